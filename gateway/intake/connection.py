"""One downstream connection: bytes to requests, replies to bytes, strictly one after another.

The head is gathered here up to its empty line and judged on its raw bytes (`framing`), then aiohttp's C parser is
fed exactly one head and, unless that is here in plain sight, exactly its body. So garbage behind a valid request
cannot take that request down with it, and what stands behind a request is always the next one. The parser's
exceptions quote what they read: their texts are never looked at.

Here it is decided when bytes are read, how long anybody may take, and when the connection ends. What is answered
is the handler's. Nothing is ever written while no request has begun: a client would take it for the answer to its
next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser, RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.datapost.reasons import Reason
from gateway.intake import framing as faults
from gateway.intake.body import PARSER_ERRORS, Body
from gateway.intake.deadline import Deadline
from gateway.intake.framing import Framing, judge, judge_part
from gateway.intake.limits import FIELDS, HELD, LEADING, LINGER_BYTES, LINGER_TIME, WRITE_TIME
from gateway.intake.reply import CLOSES, CONTINUE, STAYS, STAYS_FOR_1_0, Dates, serialise
from gateway.intake.request import Handler, Reply, Request, Unreadable
from gateway.settings.models import Limits


class Owner(Protocol):
    """What a connection needs of the intake that it belongs to."""

    limits: Limits
    handler: Handler
    loop: asyncio.AbstractEventLoop
    dates: Dates
    draining: bool
    crashed: Callable[[Exception], None]

    def admit(self, connection: Connection) -> bool:
        """Count it in; False when there are too many."""

    def left(self, connection: Connection) -> None:
        """The connection is lost."""

    def finished(self, connection: Connection) -> None:
        """The last handler of a lost connection has returned."""


class _Unthrottled(BaseProtocol):
    """The parser's idea of a protocol. It never pauses: we feed what we have bounded before."""

    def pause_reading(self) -> None:
        """Nothing: see above."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Nothing: see above."""


class Connection(asyncio.Protocol):
    """A client's connection. Idle; gathering a head; busy with one request; closing."""

    __slots__ = (
        "_began",
        "_body",
        "_buffer",
        "_closing",
        "_deadline",
        "_ended",
        "_head_ended",
        "_heads",
        "_held",
        "_leading",
        "_lingered",
        "_loop",
        "_owner",
        "_parser",
        "_searched",
        "_stalled",
        "_transport",
        "_waiter",
        "address",
        "gone",
        "task",
    )

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._loop = owner.loop
        # One for heads whose body is here, which need no stream built for it, and one for all else, made when needed.
        self._heads = _parser(owner, with_body=False)
        self._parser: HttpRequestParser | None = None
        self._transport: asyncio.Transport | None = None
        self.gone = False  # the connection is lost
        self.address = ""
        self.task: asyncio.Task[None] | None = None  # of the request that is being worked on
        self._deadline = Deadline(owner.loop, self._expire)
        self._buffer = bytearray()  # what was read and belongs to no request yet
        self._began = 0.0  # when the head that is being gathered began; 0.0: none has
        self._searched = 0  # the part of the buffer in which no head ends
        self._leading = 0  # empty lines, in bytes, since the last request
        self._body: Body | None = None  # of the request that is being worked on, unless it came whole
        self._head_ended = 0.0
        self._waiter: asyncio.Future[bytes | Unreadable] | None = None  # the handler wants the body
        self._ended = False  # the client sends no more
        self._held = False  # we read no more for now
        self._stalled = False  # the client does not take its answer
        self._closing = False  # the last answer was written
        self._lingered = 0

    # --- what the event loop tells us ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else ""
        if not self._owner.admit(self):
            self._closing = True
            self._transport.abort()
            return
        # So that `pause_writing` means: not all of an answer fitted into the socket.
        self._transport.set_write_buffer_limits(high=0)
        self._deadline.set(self._loop.time() + self._owner.limits.idle_time)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            self._discard(len(data))
            return
        if self.task is None and not self._stalled:
            # Most requests come in one segment of their own: that one is not copied first.
            if self._buffer:
                self._buffer += data
                self._next(self._buffer)
            else:
                self._next(data)
            return
        self._buffer += data
        if self._awaited:
            self._feed()
        elif len(self._buffer) > HELD:
            self._hold()

    def eof_received(self) -> bool:
        """The client sends no more; what it has sent whole is still answered."""
        self._ended = True
        if self._closing:
            return False
        if self._awaited:
            self._feed()
        elif self.task is None and not self._stalled:
            if not self._began:
                return False
            self._refuse(faults.ENDED_EARLY, self._buffer)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self.gone = self._closing = self._ended = True
        self._deadline.cancel()
        self._buffer.clear()
        self._tell(faults.GONE)
        self._owner.left(self)

    def pause_writing(self) -> None:
        self._stalled = True
        self._deadline.set(min(self._deadline.when, self._loop.time() + WRITE_TIME))

    def resume_writing(self) -> None:
        self._stalled = False
        if self._closing:
            self._deadline.set(self._loop.time() + LINGER_TIME)
        elif self.task is None:
            self._rest()

    # --- from bytes to a request ---

    def _next(self, read: bytes | bytearray) -> None:
        """Look for the next request's head in what was read: a fresh segment, or the buffer."""
        if not self._began:
            if read[0] in b"\r\n":
                read = self._skip_lines(read)
            if not read:
                return
            self._began, self._searched = self._loop.time(), 0
        if self._leading > LEADING:
            self._refuse(faults.LEADING_LINES, read)
            return
        end = read.find(b"\r\n\r\n", max(0, self._searched - 3)) + 4
        if end < 4 or end > self._owner.limits.head:
            self._gather_head(read)
            return
        head = bytes(read[:end])
        framing = judge(head, self._owner.limits.body)
        if isinstance(framing, Unreadable):
            self._refuse(framing, read)
        else:
            self._open(read, head, framing)

    def _skip_lines(self, read: bytes | bytearray) -> bytes | bytearray:
        """What stands behind empty lines. They begin no request: alone they are never answered."""
        kept = read.lstrip(b"\r\n")
        self._leading += len(read) - len(kept)
        self._buffer = bytearray(kept)
        if not kept:
            if self._leading > self._owner.limits.head or self._ended:
                self._end(linger=False)
            else:
                self._release()
        return self._buffer

    def _gather_head(self, read: bytes | bytearray) -> None:
        """The head has not ended yet, or is too large."""
        if read is not self._buffer:
            self._buffer += read
        wrong = judge_part(self._buffer, self._searched, self._owner.limits.head)
        self._searched = len(self._buffer)
        if wrong is None and self._ended:
            wrong = faults.ENDED_EARLY
        if wrong is not None:
            self._refuse(wrong, self._buffer)
        else:
            # Once for the whole head: what drips in does not buy more time.
            self._deadline.set(self._began + self._owner.limits.header_time)
            self._release()

    def _open(self, read: bytes | bytearray, head: bytes, framing: Framing) -> None:
        """Parse a sound head, and start its handler."""
        length, start = framing.length, len(head)
        end = start
        whole = framing.unreadable is None and 0 <= length <= len(read) - start
        if whole:
            end += length
        if whole and not framing.last:
            parser, fed = self._heads, head
        else:
            if self._parser is None:
                self._parser = _parser(self._owner, with_body=True)
            parser, fed = self._parser, bytes(read[:end])
        try:
            messages, _, _ = parser.feed_data(fed)
        except PARSER_ERRORS:
            messages = []
        if len(messages) != 1 or (whole and not messages[0][1].is_eof()):
            self._refuse(faults.REFUSED_BY_PARSER, read)
            return
        message, payload = messages[0]
        request = Request(
            self,
            message.method,
            message.path,
            message.version,
            message.headers if framing.ascii else _ascii(message),
            message.raw_headers,
            self.address,
            self._began,
            not (message.should_close or framing.last),
            bytes(read[start:end]) if whole else None,
        )
        if read is self._buffer:
            del self._buffer[:end]
        elif len(read) > end:
            self._buffer += read[end:]
        if not whole:
            self._body = Body(parser, payload, framing, self._owner.limits.body)
            self._head_ended = self._loop.time()
        self._began, self._leading = 0.0, 0
        self._deadline.clear()
        self.task = self._loop.create_task(self._serve(request), name="gateway submission")

    def _refuse(self, wrong: Unreadable, read: bytes | bytearray) -> None:
        """Answer what never became a request, and end: nobody knows what the bytes behind it are."""
        began, bodiless = self._began, read.startswith(b"HEAD ")
        self._began = 0.0
        try:
            reply = self._owner.handler.refuse(wrong.reason, self.address, began, wrong.text)
            data = serialise(reply, self._owner.dates.now(), CLOSES, bodiless=bodiless)
        except Exception as error:
            self._owner.crashed(error)
            self.cut()
            return
        self._write(data)
        self._end(linger=True)

    # --- the body, when somebody wants it ---

    async def gather(self, until: float) -> bytes | Unreadable:
        """The current request's body; see `Request.body`."""
        body = self._body
        if body is None:
            raise RuntimeError("a body is asked for after its request was answered")
        read = body.read(self._buffer, self._ended)
        if read is not None:
            return faults.GONE if self._transport is None and not body.settled else read
        deadline = self._head_ended + self._owner.limits.body_time
        if body.invited and not self._buffer:
            self._write(CONTINUE)
            deadline = self._loop.time() + self._owner.limits.body_time
        self._waiter = self._loop.create_future()
        self._deadline.set(min(deadline, until))
        self._release()
        try:
            return await self._waiter
        finally:
            self._waiter = None
            self._deadline.clear()

    def _feed(self) -> None:
        """More of a body that is waited for, or its end."""
        if self._body is not None and (read := self._body.read(self._buffer, self._ended)) is not None:
            self._tell(read)

    @property
    def _awaited(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _tell(self, read: bytes | Unreadable) -> None:
        """Hand the body to the handler that waits for it, if one does."""
        waiter, body = self._waiter, self._body
        if waiter is None or waiter.done() or body is None:
            return
        if isinstance(read, Unreadable):
            body.lost = True
        waiter.set_result(read)

    def interrupt(self) -> None:
        """Wait no longer for a body: what has not come by now is not taken any more."""
        self._tell(faults.DRAINING)

    # --- from a reply to bytes ---

    async def _serve(self, request: Request) -> None:
        """One request's task."""
        reply = None
        try:
            reply = await self._owner.handler(request)
        except Exception as error:
            # The outermost edge: whatever escapes the handler ends here, and is still answered.
            self._owner.crashed(error)
        finally:
            # Cancelled or not (only `Intake.abort` does that): who asked gets an answer.
            self._conclude(request, reply)

    def _conclude(self, request: Request, reply: Reply | None) -> None:
        body, self._body, self.task = self._body, None, None
        if self._transport is None:
            self._owner.finished(self)
            return
        try:
            self._answer(request, body, self._internal(request) if reply is None else reply)
        except Exception as error:
            # Not even a refusal could be made.
            self._owner.crashed(error)
            self.cut()

    def _internal(self, request: Request) -> Reply:
        return self._owner.handler.refuse(Reason.INTERNAL, request.peer, request.received, "")

    def _answer(self, request: Request, body: Body | None, reply: Reply) -> None:
        """Write the reply; then the next request, or the end."""
        settled = body is None or body.skip(self._buffer, self._ended)
        more_to_come = not self._ended or bool(self._buffer)
        keep = request.keep and not reply.close and settled and more_to_come and not self._owner.draining
        said = CLOSES if not keep else STAYS if request.version[1] else STAYS_FOR_1_0
        bodiless = request.method == "HEAD"
        try:
            data = serialise(reply, self._owner.dates.now(), said, bodiless=bodiless)
        except (ValueError, KeyError) as error:
            self._owner.crashed(error)
            keep = False
            data = serialise(self._internal(request), self._owner.dates.now(), CLOSES, bodiless=bodiless)
        self._write(data)
        if not keep:
            self._end(linger=True)
        elif self._stalled:
            self._deadline.set(self._loop.time() + WRITE_TIME)
        else:
            self._rest()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _rest(self) -> None:
        """Between two requests."""
        self._deadline.set(self._loop.time() + self._owner.limits.idle_time)
        if self._buffer:
            self._next(self._buffer)
        elif self._ended or self._owner.draining:
            self._end(linger=False)
        else:
            self._release()

    # --- the end ---

    @property
    def idle(self) -> bool:
        """Whether no request has begun."""
        return self.task is None and not self._began and not self._closing

    def close_idle(self) -> None:
        """Close, silently, unless a request has begun."""
        if self.idle and not self._stalled:
            self._end(linger=False)

    def cut(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _end(self, *, linger: bool) -> None:
        """Nothing more will be written. linger: let a client that still sends see the answer first."""
        self._closing = True
        self._buffer.clear()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if linger and not self._ended and transport.can_write_eof():
            transport.write_eof()
            self._release()
        else:
            transport.close()
        self._deadline.set(self._loop.time() + (WRITE_TIME if self._stalled else LINGER_TIME))

    def _discard(self, count: int) -> None:
        """Bytes behind the last answer."""
        self._lingered += count
        if self._lingered > LINGER_BYTES:
            self.cut()

    # --- reading pauses, time passes ---

    def _hold(self) -> None:
        """Read no more: enough is waiting behind the request that is being worked on."""
        if not self._held and self._transport is not None:
            self._held = True
            self._transport.pause_reading()

    def _release(self) -> None:
        """Read on."""
        if self._held and self._transport is not None:
            self._held = False
            if not self._ended:
                self._transport.resume_reading()

    def _expire(self) -> None:
        """The deadline has passed: whose was it?"""
        if self._closing or self._stalled:
            self.cut()
        elif self._waiter is not None:
            self._tell(faults.BODY_TIMEOUT)
        elif self._began:
            self._refuse(faults.HEAD_TIMEOUT, self._buffer)
        elif self.task is None:
            self._end(linger=False)


def _parser(owner: Owner, *, with_body: bool) -> HttpRequestParser:
    """A parser of requests. Bounds of its own are set aside: what it is fed has passed ours."""
    return HttpRequestParser(
        _Unthrottled(owner.loop),
        owner.loop,
        2**30,
        max_line_size=owner.limits.head,
        max_field_size=owner.limits.head,
        max_headers=FIELDS,
        response_with_body=with_body,
        auto_decompress=False,
    )


def _ascii(message: RawRequestMessage) -> CIMultiDictProxy[str]:
    """The fields without octets beyond ASCII, which would be surrogates in a str and break whoever encodes them."""
    clean = CIMultiDict([(name, text.encode("ascii", "ignore").decode()) for name, text in message.headers.items()])
    return CIMultiDictProxy(clean)
