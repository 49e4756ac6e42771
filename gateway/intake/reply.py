"""A reply as bytes: status line, the fields that belong to the connection, the body (RFC 9112 section 4)."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus

from gateway.intake.request import Reply

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: What is said about the connection.
STAYS, CLOSES, STAYS_FOR_1_0 = "", "Connection: close\r\n", "Connection: keep-alive\r\n"

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {code: f"HTTP/1.1 {code} {_PHRASES.get(code, '')}\r\nDate: " for code in range(200, 600)}


class Dates:
    """The Date field's text (RFC 9110 section 5.6.7), made once a second."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second, self._text = 0, ""

    def now(self) -> str:
        """The text for this second."""
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text


def serialise(reply: Reply, date: str, connection: str, *, bodiless: bool = False) -> bytes:
    """All bytes of an answer. No Server field: it tells strangers more than partners.

    bodiless: the answer to HEAD, which keeps the length of what is left out (RFC 9110 section 9.3.2). Raises
    ValueError when a field holds a line break, NUL or anything but ASCII: that would be a bug of ours.
    """
    fields = ""
    for name, value in reply.headers:
        fields += f"{name}: {value}\r\n"
    head = (
        f"{_STATUS_LINES[reply.status]}{date}\r\nContent-Type: {reply.content_type}\r\n"
        f"Content-Length: {len(reply.body)}\r\n{fields}{connection}\r\n"
    )
    lines = len(reply.headers) + (6 if connection else 5)
    if head.count("\n") != lines or head.count("\r") != lines or "\0" in head:
        raise ValueError("a field of a reply holds a control character")
    encoded = head.encode("ascii")
    return encoded if bodiless else encoded + reply.body
