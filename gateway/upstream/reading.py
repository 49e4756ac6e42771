"""One legacy answer, from bytes to `LegacyAnswer`, around aiohttp's C response parser. No I/O.

Decides where the answer's head ends, which framings and statuses are trusted, and when the answer is
complete; the parser judges the head's grammar and undoes chunks. The head is gathered here up to its blank line
and fed first, so that bytes behind the answer can never make the parser refuse the answer itself; then it gets
exactly the body that the head announced. Each answer gets a parser of its own: one is cheaper than the
bookkeeping of handing it on (0.9 µs), and nothing of one answer can reach the next.

What a lenient reader must still not accept is junk: interim answers without end, a switch of protocols, a status
outside 200 to 599, codings we did not ask for, two lengths. The parser's exception texts quote what they read,
so none leaves this module.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpResponseParser
from aiohttp.http_exceptions import HttpProcessingError

from gateway.answers import LegacyAnswer
from gateway.upstream.values import Failure

if TYPE_CHECKING:
    from aiohttp.http import RawResponseMessage
    from aiohttp.streams import StreamReader

MAX_HEAD = 64 * 1024  # bytes of all heads together, interim ones and line ends included
MAX_FIELDS = 128  # trailers of a chunked body included
MAX_INTERIM = 10  # answers 1xx before the one that counts
_WIRE_SLACK = 16 * 1024  # wire bytes of a chunked body: at most twice max_answer, and this

_CHUNKED, _UNTIL_CLOSE = -1, -2
_CODINGS = ("", "chunked", "identity")
_COUNTED = re.compile(rb"\r\nContent-Length: ([0-9]{1,9})\r\n", re.IGNORECASE)
# The end of a chunked body: `0` or a trailer's last character, its line end, the blank line, nothing more.
_CHUNKED_END = re.compile(rb"[^\r\n]\r?\n\r?\n\Z")


def parser_is_compiled() -> bool:
    """Whether aiohttp's C parser is there: the one in Python reads other bytes as valid."""
    return HttpResponseParser.__module__ == "aiohttp._http_parser"


class Unpaced(BaseProtocol):
    """What the parser's streams call to slow the sender down: nothing, since `max_answer` bounds them."""

    def pause_reading(self) -> None:
        """Nothing is slowed."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Nothing was slowed."""


class AnswerReader:
    """Takes the bytes of one answer as they come; done when `answer` or `failure` is set."""

    __slots__ = (
        "_body",
        "_buffer",
        "_heads",
        "_interim",
        "_limit",
        "_loop",
        "_persistent",
        "_unpaced",
        "answer",
        "failure",
        "seen",
    )

    def __init__(self, limit: int, unpaced: Unpaced, loop: asyncio.AbstractEventLoop) -> None:
        """limit: most bytes of body (`max_answer`)."""
        self._limit = limit
        self._unpaced = unpaced
        self._loop = loop
        self._buffer = b""  # of a head that has no end yet
        self._heads = 0
        self._interim = 0
        self._body: _Body | None = None  # there once the head is read, unless all came at once
        #: The sender means to keep the connection open, and its framing tells where the next answer begins.
        self._persistent = False
        self.answer: LegacyAnswer | None = None
        self.failure: Failure | None = None
        #: Bytes that have arrived.
        self.seen = 0

    @property
    def reusable(self) -> bool:
        """The answer says that the connection may carry another one, and nothing stood behind it."""
        return self._persistent and self.answer is not None and not self.answer.surplus

    def feed(self, data: bytes) -> bool:
        """Take what arrived; True when the reader is done. Must not be called again then."""
        if not self.seen and self._feed_whole(data):
            return True
        self.seen += len(data)
        if self._body is not None:
            self._take(self._body, data)
        else:
            self._feed_head(data)
        return self.answer is not None or self.failure is not None

    def end(self) -> None:
        """The sender has closed cleanly. Afterwards the reader is done, one way or the other."""
        body = self._body
        if body is not None and body.need == _UNTIL_CLOSE:
            self.answer = body.answer(surplus=False)
        else:
            self.failure = Failure.TRUNCATED_ANSWER if self.seen else Failure.CLOSED_EARLY

    def cut(self, *, reset: bool) -> None:
        """The connection is gone without a clean end: a reset, or TLS without its closing alert."""
        if reset:
            self.failure = Failure.RESET
        else:
            self.failure = Failure.TRUNCATED_ANSWER if self.seen else Failure.CLOSED_EARLY

    def _feed_whole(self, data: bytes) -> bool:
        """The short way of an answer that came at once and whole, as most do; False: nothing was done.

        The parser gets the head alone, and need build no stream for a body that is here. A length that it does not
        find in the head as well is not believed.
        """
        end = _head_end(data, 0)
        counted = _COUNTED.search(data, 0, end) if 0 < end <= MAX_HEAD else None
        if counted is None or (length := int(counted[1])) != len(data) - end or length > self._limit:
            return False
        try:
            messages, _, _ = self._parser(with_body=False).feed_data(data[:end])
        except HttpProcessingError:
            return False
        if len(messages) != 1:
            return False
        message = messages[0][0]
        if message.code < 200 or self._framing(message) != length:
            self.failure = None
            return False
        self.seen = len(data)
        self._persistent = _persists(message)
        self.answer = _answer(message, data[end:], surplus=False)
        return True

    def _parser(self, *, with_body: bool = True) -> HttpResponseParser:
        return HttpResponseParser(
            self._unpaced,
            self._loop,
            self._limit + _WIRE_SLACK,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
            max_headers=MAX_FIELDS,
            response_with_body=with_body,
            read_until_eof=True,
            auto_decompress=False,
        )

    def _feed_head(self, data: bytes) -> None:
        # Bytes of a head that drips in are looked at once: only the last three can begin a blank line.
        looked = max(len(self._buffer) - 3, 0)
        if self._buffer:
            data = self._buffer + data
        while True:
            if data[:1] in (b"\r", b"\n"):
                # Line ends before a status line: what follows a body that was counted too short.
                bare = data.lstrip(b"\r\n")
                self._heads += len(data) - len(bare)
                data, looked = bare, 0
            end = _head_end(data, looked)
            if self._heads + (end if end >= 0 else len(data)) > MAX_HEAD:
                self.failure = Failure.JUNK_ANSWER
                return
            if end < 0:
                # What is no HTTP is told at once: whoever speaks otherwise may never close nor send a blank line.
                if data[:5] != b"HTTP/"[: len(data)]:
                    self.failure = Failure.JUNK_ANSWER
                self._buffer = data
                return
            self._heads += end
            body = self._read_head(data[:end])
            data, looked = data[end:], 0
            if body is not None:
                self._body = body
                self._persistent = body.persistent
                self._take(body, data)
                return
            if self.failure is not None:
                return

    def _read_head(self, head: bytes) -> _Body | None:
        """What follows one head; None after an interim one, which is forgotten, and with `failure`."""
        parser = self._parser()
        try:
            messages, _, _ = parser.feed_data(head)
        except HttpProcessingError:
            self.failure = Failure.JUNK_ANSWER
            return None
        if len(messages) != 1:
            self.failure = Failure.JUNK_ANSWER
            return None
        message, payload = messages[0]
        if 100 <= message.code < 200 and message.code != 101:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self.failure = Failure.JUNK_ANSWER
            return None
        need = self._framing(message)
        return None if isinstance(need, Failure) else _Body(parser, message, payload, need, self._limit)

    def _framing(self, message: RawResponseMessage) -> int | Failure:
        """Bytes of body to come, or how they end (RFC 9112 6.3); a failure, also kept, for what is not read."""
        headers = message.headers
        if not 200 <= message.code <= 599 or (
            "Transfer-Encoding" in headers and ", ".join(headers.getall("Transfer-Encoding")).lower() not in _CODINGS
        ):
            self.failure = Failure.JUNK_ANSWER
            return self.failure
        if message.code in (204, 304):
            return 0  # no body, whatever the headers say
        if message.chunked:
            return _CHUNKED
        length = headers.get("Content-Length")
        if length is None:
            return _UNTIL_CLOSE
        if not (length.isascii() and length.isdigit()):
            self.failure = Failure.JUNK_ANSWER  # folded over two lines, or so
            return self.failure
        if len(length) > 20 or int(length) > self._limit:
            self.failure = Failure.ANSWER_TOO_LARGE
            return self.failure
        return int(length)

    def _take(self, body: _Body, data: bytes) -> None:
        taken = body.feed(data)
        if isinstance(taken, Failure):
            self.failure = taken
        elif taken is not None:
            self.answer = body.answer(surplus=taken)


class _Body:
    """What follows the head of the answer that counts."""

    __slots__ = ("_limit", "_message", "_parser", "_payload", "_tail", "_wire", "need", "persistent")

    def __init__(
        self, parser: HttpResponseParser, message: RawResponseMessage, payload: StreamReader, need: int, limit: int
    ) -> None:
        """need: bytes to come, or `_CHUNKED`, or `_UNTIL_CLOSE`. limit: most bytes of body."""
        self._parser = parser
        self._message = message
        self._payload = payload
        self._limit = limit
        self._tail = b""
        self._wire = 0
        self.need = need
        self.persistent = _persists(message)

    def feed(self, data: bytes) -> bool | Failure | None:
        """None while bytes are missing; then whether there was a surplus; or why this is no answer."""
        need = self.need
        if need >= 0:
            return self._feed_counted(data, need)
        if not data:
            return None
        return self._feed_chunked(data) if need == _CHUNKED else self._feed_open(data)

    def answer(self, *, surplus: bool) -> LegacyAnswer:
        """The answer, once its body is complete."""
        payload = self._payload
        # Another message behind a chunked body may have been read into a stream of its own, never into this one.
        return _answer(self._message, payload.read_nowait() if payload.total_bytes else b"", surplus=surplus)

    def _feed_counted(self, data: bytes, need: int) -> bool | Failure | None:
        part = data[:need]
        self.need = need - len(part)
        try:
            if part:
                self._parser.feed_data(part)
        except HttpProcessingError:
            return Failure.JUNK_ANSWER
        if self.need:
            return None
        # When we and the parser disagree about the length, neither is believed.
        return len(data) > need if self._payload.is_eof() else Failure.JUNK_ANSWER

    def _feed_open(self, data: bytes) -> Failure | None:
        try:
            self._parser.feed_data(data)
        except HttpProcessingError:
            return Failure.JUNK_ANSWER
        return Failure.ANSWER_TOO_LARGE if self._payload.total_bytes > self._limit else None

    def _feed_chunked(self, data: bytes) -> bool | Failure | None:
        payload = self._payload
        try:
            messages, _, _ = self._parser.feed_data(data)
        except HttpProcessingError:
            # Garbage behind the last chunk is a surplus; inside the body it is junk.
            if not payload.is_eof():
                return Failure.JUNK_ANSWER
            surplus = True
        else:
            surplus = bool(messages)
        self._wire += len(data)
        self._tail = (self._tail + data)[-5:]
        if payload.total_bytes > self._limit or self._wire > 2 * self._limit + _WIRE_SLACK:
            return Failure.ANSWER_TOO_LARGE
        if not payload.is_eof():
            return None
        # The beginning of another message neither raises nor comes out: it shows in how the bytes end.
        return surplus or _CHUNKED_END.search(self._tail) is None


def _persists(message: RawResponseMessage) -> bool:
    return not message.should_close and message.version == (1, 1)


def _answer(message: RawResponseMessage, body: bytes, *, surplus: bool) -> LegacyAnswer:
    try:
        headers = tuple([(name.decode(), value.decode()) for name, value in message.raw_headers])
    except UnicodeDecodeError:
        headers = tuple([(name.decode(), _text(value)) for name, value in message.raw_headers])
    return LegacyAnswer(message.code, headers, body, surplus)


def _head_end(data: bytes, start: int) -> int:
    """Where the first head in `data` ends, its blank line included; -1 when it has no end yet.

    Line ends are CR LF or LF alone, as the parser reads them.
    """
    end = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start, len(data) if end < 0 else end)
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else -1


def _text(value: bytes) -> str:
    """A header's value as text: UTF-8 when it is, else latin-1 (RFC 9110 5.5), never a lone surrogate."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
