"""The headers that go with an answer, apart from Content-Length and Date: pure functions of its reason.

They follow the reason, not the status that goes out: an answer whose policy says 200 still tells which
method is allowed and when to come back.
"""

from __future__ import annotations

import re

from gateway.datapost.negotiate import Format
from gateway.datapost.reasons import Reason

Headers = tuple[tuple[str, str], ...]

#: Seconds after which a resend has a chance (RFC 9110 section 10.2.3), unless the caller knows better.
RETRY_AFTER_S = {
    Reason.RATE_LIMITED: 1,
    Reason.OVERLOADED: 1,
    Reason.UPSTREAM_UNREACHABLE: 5,
    Reason.CIRCUIT_OPEN: 10,
    Reason.DRAINING: 5,
    Reason.STORE_UNAVAILABLE: 5,
}

_NO_STORE = ("Cache-Control", "no-store")
_ALLOW = ("Allow", "POST")
_not_printable_ascii = re.compile(r"[^ -~]").sub
_to_escape = re.compile(r'(["\\])').sub


def content_type(format: Format) -> str:
    """The Content-Type of an answer in this format."""
    return format.content_type


def answer_headers(reason: Reason, reference: str, *, realm: str = "", retry_after_s: int | None = None) -> Headers:
    """All but Content-Type: X-Request-Id, Cache-Control, and what the reason asks for.

    realm names the protection space and is used with UNAUTHORIZED alone; retry_after_s are whole seconds,
    None for the reason's usual.
    """
    request_id = ("X-Request-Id", reference)
    if reason is Reason.UNAUTHORIZED:
        return (request_id, _NO_STORE, ("WWW-Authenticate", challenge(realm)))
    if reason is Reason.METHOD_NOT_ALLOWED:
        return (request_id, _NO_STORE, _ALLOW)
    if reason.retry:
        seconds = RETRY_AFTER_S[reason] if retry_after_s is None else max(0, retry_after_s)
        return (request_id, _NO_STORE, ("Retry-After", str(seconds)))
    return (request_id, _NO_STORE)


def challenge(realm: str) -> str:
    """`Basic realm="…", charset="UTF-8"` (RFC 7617 section 2.1).

    The realm becomes a quoted-string (RFC 9110 section 5.6.4): quotes and backslashes are escaped, and what
    is not printable ASCII, line ends above all, shows as `?`.
    """
    quoted = _to_escape(r"\\\1", _not_printable_ascii("?", realm or "leads"))
    return f'Basic realm="{quoted}", charset="UTF-8"'
