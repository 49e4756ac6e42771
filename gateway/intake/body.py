"""One request's body: where it ends in what was read, and its bytes once it is whole.

The parser decodes; where a body ends is found here, so that the parser gets exactly that. Nothing of a body is
looked at before it is asked for, and no more is waited for than may come.
"""

from __future__ import annotations

from typing import Final

from aiohttp.http import HttpProcessingError, HttpRequestParser
from aiohttp.streams import StreamReader

from gateway.datapost.reasons import Reason
from gateway.intake.chunks import CHUNK_MALFORMED, ChunkWalk
from gateway.intake.framing import CHUNKED, Framing
from gateway.intake.request import Unreadable

#: What the parser is known to raise. Their texts quote the input: never look at them.
PARSER_ERRORS: Final = (HttpProcessingError, ValueError)

ENDED_EARLY: Final = Unreadable(Reason.MALFORMED, "The body ended early.")


class Body:
    """The body that `framing` announces, behind a head that `parser` has been fed.

    settled: it is whole and taken out of the buffer: what follows there is the next request. lost: it was found
    unreadable, and nobody knows where the next request begins.
    """

    __slots__ = ("_framing", "_parser", "_payload", "_walk", "lost", "settled")

    def __init__(self, parser: HttpRequestParser, payload: StreamReader, framing: Framing, largest: int) -> None:
        self._parser, self._payload, self._framing = parser, payload, framing
        self._walk = ChunkWalk(largest) if framing.length == CHUNKED else None
        self.settled = False
        self.lost = framing.unreadable is not None

    @property
    def invited(self) -> bool:
        """Whether the client waits for `100 Continue`."""
        return self._framing.invited

    def read(self, buffer: bytearray, ended: bool) -> bytes | Unreadable | None:
        """The body, taken out of the front of `buffer`, where it stands; None while it needs more bytes.

        Not to be asked for again once it has come. ended: no more bytes will.
        """
        if self._framing.unreadable is not None:
            return self._framing.unreadable
        end = self._framing.length if self._walk is None else self._walk.end(buffer)
        if isinstance(end, Unreadable):
            return self._lose(end)
        if end is None or len(buffer) < end:
            return self._lose(ENDED_EARLY) if ended else None
        try:
            self._parser.feed_data(bytes(buffer[:end]))
        except PARSER_ERRORS:
            return self._lose(CHUNK_MALFORMED)
        if not self._payload.is_eof():
            return self._lose(CHUNK_MALFORMED)
        del buffer[:end]
        self.settled = True
        return self._payload.read_nowait(-1)

    def skip(self, buffer: bytearray, ended: bool) -> bool:
        """Whether the body is out of the way, though nobody wants it: only if that costs next to nothing."""
        if not self.settled and not self.lost and self._walk is None:
            self.read(buffer, ended)
        return self.settled

    def _lose(self, why: Unreadable) -> Unreadable:
        self.lost = True
        return why
