"""Judges a request's head on its raw bytes, before the parser sees it: where it ends, what body follows.

One reading of each request: whatever another server in front of us might read differently is refused here
(RFC 9112 sections 2 to 6, RFC 9110 section 7.2). The parser then reads a head that is known to be sound.
Routes, methods, credentials and media types are judged elsewhere.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from gateway.datapost.reasons import Reason
from gateway.intake.limits import FIELDS, LENGTH_DIGITS, REQUEST_LINE
from gateway.intake.request import Unreadable

#: `Framing.length` of a chunked body.
CHUNKED: Final = -1

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# More than one space before the target is tolerated, since no two servers could read it as different requests.
# The target is origin-form (`*` for OPTIONS): absolute-form would name a second host, CONNECT asks for a tunnel.
# A backslash is a slash to some servers.
_REQUEST_LINE = rb"(?:(?!CONNECT )[A-Z-]++ ++/[!-\[\]-~]*+|OPTIONS ++\*) HTTP/1\.([01])"
# No obs-fold, no space before the colon, no control character but tab, no bare CR or LF.
_HEAD = re.compile(_REQUEST_LINE + rb"\r\n(?:" + _TOKEN + rb":[\t -~\x80-\xff]*+\r\n)*+\r\n")
_LINE = re.compile(_REQUEST_LINE)
_OTHER_VERSION = re.compile(_TOKEN + rb" ++[!-~]++ HTTP/(?!1\.[01]\Z)[0-9](?:\.[0-9])?")
_BARE = re.compile(rb"(?<!\r)\n|\r(?=[^\n])")
_BEGINS = re.compile(_TOKEN)

# The fields that say how a request is to be read, in a lower-cased head of sound grammar.
_TELLING = re.compile(
    rb"\n(host|content-length|content-type|content-encoding|transfer-encoding|authorization|upgrade|expect)"
    rb":[\t ]*+([^\r]*+)"
)
#: Lists by definition; the others may stand only once.
_LISTS: Final = frozenset({b"content-encoding", b"upgrade", b"expect"})
# Fields that decisions hang on. Elsewhere (a Referer, say) octets beyond ASCII are left out, not refused.
_TELLING_BEYOND_ASCII = re.compile(
    rb"\n(?:host|content-length|content-type|content-encoding|transfer-encoding|authorization|upgrade|expect"
    rb"|connection|forwarded|x-forwarded-[a-z]+|idempotency-key)"
    rb":[^\r]*[\x80-\xff]"
)
_HOST = re.compile(rb"(?:[0-9a-z._~-]++|\[[0-9a-f:.]++\])(?::[0-9]{0,5})?[\t ]*")
_CODING = re.compile(_TOKEN)


def _malformed(text: str) -> Unreadable:
    return Unreadable(Reason.MALFORMED, text)


REQUEST_LINE_MALFORMED: Final = _malformed("The request line is malformed.")
HEAD_MALFORMED: Final = _malformed("A header field is malformed.")
LINE_BREAK: Final = _malformed("A line break is malformed.")
REFUSED_BY_PARSER: Final = _malformed("The request is malformed.")
ENDED_EARLY: Final = _malformed("The request ended early.")
LEADING_LINES: Final = _malformed("Too many empty lines precede the request.")
LINE_TOO_LONG: Final = Unreadable(Reason.URI_TOO_LONG, "The request line is too long.")
HEAD_TOO_LARGE: Final = Unreadable(Reason.HEADERS_TOO_LARGE, "The request headers are too large.")
TOO_MANY_FIELDS: Final = Unreadable(Reason.HEADERS_TOO_LARGE, "There are too many header fields.")
BODY_TOO_LARGE: Final = Unreadable(Reason.TOO_LARGE, "The body is too large.")
HEAD_TIMEOUT: Final = Unreadable(Reason.REQUEST_TIMEOUT, "The request headers did not arrive in time.")
BODY_TIMEOUT: Final = Unreadable(Reason.REQUEST_TIMEOUT, "The body did not arrive in time.")
DRAINING: Final = Unreadable(Reason.DRAINING, "")
GONE: Final = Unreadable(Reason.CLIENT_GONE, "The connection was lost.")
_VERSION: Final = Unreadable(Reason.VERSION_NOT_SUPPORTED, "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
_REPEATED: Final = _malformed("A header field is repeated.")
_NO_HOST: Final = _malformed("The Host field is missing or malformed.")
_LENGTH: Final = _malformed("The Content-Length is malformed.")
_TRANSFER: Final = _malformed("The Transfer-Encoding is malformed.")
_BEYOND_ASCII: Final = _malformed("A header field holds characters beyond ASCII.")
_UNKNOWN_CODING: Final = Unreadable(Reason.NOT_IMPLEMENTED, "The transfer coding is not supported.")
_EXPECTATION: Final = Unreadable(Reason.EXPECTATION_FAILED, "The expectation cannot be met.")
_ENCODED: Final = Unreadable(Reason.UNSUPPORTED_MEDIA_TYPE, "Content encodings are not taken.")


class Framing(NamedTuple):
    """What the head says about the body and the connection.

    length: bytes of the body, or CHUNKED. unreadable: what makes the body unreadable before it is looked at; judged
    only when somebody wants it, since credentials come first. invited: the client waits for `100 Continue`. last:
    the answer closes, whatever else is said. ascii: the head is ASCII throughout.
    """

    length: int
    unreadable: Unreadable | None
    invited: bool
    last: bool
    ascii: bool


def judge(head: bytes, largest: int) -> Framing | Unreadable:
    """Judge one head, up to and including its empty line; `largest` is the largest body that is taken."""
    sound = _HEAD.fullmatch(head)
    if sound is None or sound.end(1) > REQUEST_LINE:
        return judge_line(head[: head.find(b"\r\n")]) or HEAD_MALFORMED
    if head.count(b"\n") > FIELDS + 2:
        return TOO_MANY_FIELDS
    lowered = head.lower()
    telling = _TELLING.findall(lowered)
    told = dict(telling)
    if len(told) != len(telling) and not _joined(telling, told):
        return _REPEATED
    ascii = head.isascii()
    if not ascii and _TELLING_BEYOND_ASCII.search(lowered):
        return _BEYOND_ASCII
    modern = sound[1] == b"1"
    host = told.get(b"host")
    if modern if host is None else _HOST.fullmatch(host) is None:
        return _NO_HOST
    length = _length(told, modern)
    if isinstance(length, Unreadable):
        return length
    # An Upgrade is ignored, and of other methods than POST no body is read: what either may leave behind on the
    # connection is nobody's request.
    last = b"upgrade" in told or not head.startswith(b"POST ")
    unreadable, invited = None, False
    if b"expect" in told:
        unreadable, invited = _expectation(told, modern)
    if unreadable is None and b"content-encoding" in told and not _identity(told):
        unreadable = _ENCODED
    if unreadable is None and length > largest:
        unreadable = BODY_TOO_LARGE
    return Framing(length, unreadable, invited, last, ascii)


def judge_line(line: bytes) -> Unreadable | None:
    """What is wrong with a request line (without its CRLF), None when it is sound."""
    if len(line) > REQUEST_LINE:
        return LINE_TOO_LONG
    if _LINE.fullmatch(line):
        return None
    return _VERSION if _OTHER_VERSION.fullmatch(line) else REQUEST_LINE_MALFORMED


def judge_part(part: bytearray, seen: int, limit: int) -> Unreadable | None:
    """What is already wrong with a head that has not ended yet; `seen` bytes of it were judged before.

    Without this, whoever ends lines with a bare LF or speaks another protocol would learn of it by a timeout.
    """
    if not seen and _BEGINS.match(part) is None:
        return REQUEST_LINE_MALFORMED
    if _BARE.search(part, max(0, seen - 1)):
        return LINE_BREAK
    end = part.find(b"\r\n", 0, REQUEST_LINE + 2)
    if end < 0:
        return LINE_TOO_LONG if len(part) > REQUEST_LINE + 1 else None
    if seen <= end + 1 and (wrong := judge_line(bytes(part[:end]))):
        return wrong
    return HEAD_TOO_LARGE if len(part) > limit else None


def _joined(telling: list[tuple[bytes, bytes]], told: dict[bytes, bytes]) -> bool:
    """Join the lists among repeated fields; False when one is repeated that is none."""
    for name in told:
        values = [value for other, value in telling if other == name]
        if len(values) > 1 and name not in _LISTS:
            return False
        told[name] = b",".join(values)
    return True


def _length(told: dict[bytes, bytes], modern: bool) -> int | Unreadable:
    """The body's length (RFC 9112 section 6.3): no field, no body."""
    length, coding = told.get(b"content-length"), told.get(b"transfer-encoding")
    if coding is None:
        if length is None:
            return 0
        digits = length.rstrip(b"\t ")
        if not digits.isdigit() or len(digits) > LENGTH_DIGITS:
            return _LENGTH
        return int(digits)
    if length is not None or not modern:
        return _TRANSFER
    coding = coding.rstrip(b"\t ")
    if coding == b"chunked":
        return CHUNKED
    # RFC 9112 section 6.1: 501 for a coding that is not known, as long as the framing is; else 400.
    *inner, final = [name.strip(b"\t ") for name in coding.split(b",")]
    if final == b"chunked" and all(_CODING.fullmatch(name) and name != b"chunked" for name in inner):
        return _UNKNOWN_CODING
    return _TRANSFER


def _expectation(told: dict[bytes, bytes], modern: bool) -> tuple[Unreadable | None, bool]:
    """What is expected of us: nothing, 100 Continue, or what we do not know. HTTP/1.0 may expect nothing."""
    if not modern:
        return None, False
    known = all(one.strip(b"\t ") == b"100-continue" for one in told[b"expect"].split(b","))
    return (None, True) if known else (_EXPECTATION, False)


def _identity(told: dict[bytes, bytes]) -> bool:
    """Whether the body is the lead's own bytes. Decompressing is a stranger's way to spend our time."""
    return all(one.strip(b"\t ") in (b"", b"identity") for one in told[b"content-encoding"].split(b","))
