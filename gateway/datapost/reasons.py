"""Why the gateway answered as it did: the one catalogue that answers, log lines and metrics read.

The slug is the word in a note's machine part, the `reason` label of the counter and the field of the log
line. Slugs are a public contract: add, do not rename. The status is the true one (RFC 9110 section 15);
which status goes out is the program's policy (`status_codes`).
"""

from __future__ import annotations

from enum import Enum, unique
from typing import Literal


@unique
class Delivery(Enum):
    """What is known of the way to the legacy endpoint."""

    __hash__ = object.__hash__  # by identity, as they compare; the one of Enum is written in Python

    NOT_SENT = "not_sent"  # no byte of the lead was written
    SENT = "sent"  # a byte was written, no complete answer came
    ANSWERED = "answered"  # a complete answer was read


@unique
class Outcome(Enum):
    """What became of a lead that may have gone out."""

    __hash__ = object.__hash__

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ERROR = "error"
    UNKNOWN = "unknown"
    NONE = ""  # refused by the gateway: the legacy endpoint never saw it


@unique
class Reason(Enum):
    """Slug, true status, sentence for people (no escapes needed in JSON or XML), worth a retry."""

    __hash__ = object.__hash__

    ACCEPTED = ("accepted", 200, "Lead submitted successfully", False)
    LEGACY_REJECTED = ("legacy_rejected", 200, "The lead was not accepted.", False)
    LEGACY_DUPLICATE = ("legacy_duplicate", 200, "The lead is already known.", False)
    LEGACY_ERROR = (
        "legacy_error",
        502,
        "The lead system reported a failure; ask before sending the lead again.",
        False,
    )
    UNRECOGNIZED_ANSWER = (
        "unrecognized_answer",
        502,
        "The lead was sent, but its outcome could not be read; do not send it again.",
        False,
    )
    OUTCOME_UNKNOWN = (
        "outcome_unknown",
        504,
        "The lead was sent, but no complete answer came; do not send it again.",
        False,
    )
    LEAD_INVALID = ("lead_invalid", 200, "The lead is not valid.", False)
    DUPLICATE = ("duplicate", 200, "The lead is already known.", False)
    CAP_REACHED = ("cap_reached", 200, "No more leads are taken at this time.", False)
    SUPPRESSED = ("suppressed", 200, "This lead cannot be taken.", False)
    OUTSIDE_HOURS = ("outside_hours", 200, "Leads are not taken at this hour.", False)
    PAUSED = ("paused", 200, "Leads are not taken at present.", False)
    TEST_LEAD = ("test_lead", 200, "The test lead passed all checks; it was not forwarded.", False)
    IN_PROGRESS = ("in_progress", 409, "The same lead is still being worked on.", False)
    IDEMPOTENCY_CONFLICT = (
        "idempotency_conflict",
        422,
        "The idempotency key was used before for another lead.",
        False,
    )
    UNAUTHORIZED = ("unauthorized", 401, "The credentials are missing or wrong.", False)
    FORBIDDEN = ("forbidden", 403, "Submitting from here is not allowed.", False)
    NOT_FOUND = ("not_found", 404, "There is no such program.", False)
    METHOD_NOT_ALLOWED = ("method_not_allowed", 405, "Leads are taken by POST only.", False)
    MALFORMED = ("malformed", 400, "The request could not be read.", False)
    UNSUPPORTED_MEDIA_TYPE = ("unsupported_media_type", 415, "The content type is not taken here.", False)
    TOO_LARGE = ("too_large", 413, "The body is too large.", False)
    URI_TOO_LONG = ("uri_too_long", 414, "The request line is too long.", False)
    HEADERS_TOO_LARGE = ("headers_too_large", 431, "The request headers are too large.", False)
    REQUEST_TIMEOUT = ("request_timeout", 408, "The request did not arrive in time.", False)
    EXPECTATION_FAILED = ("expectation_failed", 417, "The expectation cannot be met.", False)
    NOT_IMPLEMENTED = ("not_implemented", 501, "The transfer coding is not supported.", False)
    VERSION_NOT_SUPPORTED = ("version_not_supported", 505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.", False)
    RATE_LIMITED = ("rate_limited", 429, "Too many leads in too short a time; try again later.", True)
    UPSTREAM_UNREACHABLE = (
        "upstream_unreachable",
        503,
        "The lead system could not be reached; the lead was not sent and may be sent again.",
        True,
    )
    CIRCUIT_OPEN = (
        "circuit_open",
        503,
        "The lead system is resting; the lead was not sent and may be sent again.",
        True,
    )
    OVERLOADED = ("overloaded", 503, "Too busy at this moment; the lead was not sent and may be sent again.", True)
    DRAINING = ("draining", 503, "Shutting down; the lead was not sent and may be sent again.", True)
    STORE_UNAVAILABLE = (
        "store_unavailable",
        503,
        "Leads cannot be recorded at this moment; the lead was not sent and may be sent again.",
        True,
    )
    INTERNAL = ("internal", 500, "An internal error occurred; ask before sending the lead again.", False)
    # 499 is what proxies log for it; nobody reads this answer.
    CLIENT_GONE = ("client_gone", 499, "The partner left before sending began.", False)

    def __init__(self, slug: str, status: int, sentence: str, retry: bool) -> None:
        self.slug, self.status, self.sentence, self.retry = slug, status, sentence, retry
        #: How much attention it deserves: money hangs on an unknown outcome, `internal` is a bug.
        self.severity: Literal["info", "warning", "error"] = (
            "error" if status == 500 else "warning" if slug in ("unrecognized_answer", "outcome_unknown") else "info"
        )


#: What delivery and outcome follow from a reason whose answer came from reading or losing the legacy's.
OUTCOMES: dict[Reason, tuple[Delivery, Outcome]] = {
    Reason.ACCEPTED: (Delivery.ANSWERED, Outcome.ACCEPTED),
    Reason.LEGACY_REJECTED: (Delivery.ANSWERED, Outcome.REJECTED),
    Reason.LEGACY_DUPLICATE: (Delivery.ANSWERED, Outcome.REJECTED),
    Reason.LEGACY_ERROR: (Delivery.ANSWERED, Outcome.ERROR),
    Reason.UNRECOGNIZED_ANSWER: (Delivery.ANSWERED, Outcome.UNKNOWN),
    Reason.OUTCOME_UNKNOWN: (Delivery.SENT, Outcome.UNKNOWN),
}
