"""What the legacy edge tells its caller: how far one lead got, what came back, and what went wrong.

Decides the words; who sends, reads and measures fills them in (`connection`, `service`). The slugs follow
the vocabulary that proxies use in their logs, and stand in ours: add, do not rename.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import NamedTuple

from gateway.answers import LegacyAnswer
from gateway.datapost.reasons import Delivery, Reason


@unique
class Failure(Enum):
    """Why there is no complete answer. The first group happens only before a byte was written, the last only after."""

    NO_SLOT = "no_slot"  # max_in_flight leads are there already
    SHUTTING_DOWN = "shutting_down"  # close() was called
    NAME_UNRESOLVED = "name_unresolved"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_FAILED = "connect_failed"  # no route, network down, reset while connecting …
    CONNECT_TIMEOUT = "connect_timeout"  # name lookup, TCP and TLS together, on every address
    TLS_FAILED = "tls_failed"  # not trusted, wrong name, expired, or the handshake was cut
    CONNECTION_UNUSABLE = "connection_unusable"  # closed, or spoken on, before we wrote

    DEADLINE = "deadline"  # the caller's, before or after writing
    CANCELLED = "cancelled"  # cut off by close()

    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    RESET = "reset"  # connection error before the answer was complete
    CLOSED_EARLY = "closed_early"  # closed before the first byte of an answer
    TRUNCATED_ANSWER = "truncated_answer"  # closed inside the answer
    JUNK_ANSWER = "junk_answer"  # not HTTP, or a framing or status that cannot be trusted
    ANSWER_TOO_LARGE = "answer_too_large"


class Exchange(NamedTuple):
    """One lead's way to the legacy endpoint and back.

    delivery: `not_sent` only when no byte of the request was written; `answered` only with a complete answer.
    answer is there exactly when delivery is `answered`; failure exactly when it is not.
    connect_s: name lookup, TCP and TLS, second try included; 0.0 on a re-used connection. first_byte_s: from
    the write to the first byte of an answer, interim ones included; None when none came. total_s: of all.
    seen: bytes of answer that had arrived, complete or not.
    """

    delivery: Delivery
    answer: LegacyAnswer | None
    failure: Failure | None
    connect_s: float = 0.0
    first_byte_s: float | None = None
    total_s: float = 0.0
    second_try: bool = False
    reused: bool = False
    seen: int = 0

    @property
    def reason(self) -> Reason | None:
        """What the partner is told when there is no answer to read; None when there is one."""
        if self.delivery is Delivery.ANSWERED:
            return None
        if self.delivery is Delivery.SENT:
            return Reason.OUTCOME_UNKNOWN
        return _UNSENT.get(self.failure, Reason.UPSTREAM_UNREACHABLE)


# DEADLINE before the first byte means that the time went elsewhere: the partner's slow body, our own queue.
_UNSENT: dict[Failure | None, Reason] = {
    Failure.NO_SLOT: Reason.OVERLOADED,
    Failure.DEADLINE: Reason.OVERLOADED,
    Failure.SHUTTING_DOWN: Reason.DRAINING,
    Failure.CANCELLED: Reason.DRAINING,
}


def unsent(failure: Failure, *, connect_s: float = 0.0, second_try: bool = False) -> Exchange:
    """An exchange of which no byte left."""
    return Exchange(Delivery.NOT_SENT, None, failure, connect_s, None, connect_s, second_try)
