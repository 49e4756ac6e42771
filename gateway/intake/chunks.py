"""Finds where a chunked body ends (RFC 9112 section 7.1), so that the parser gets exactly that and no byte more.

Decoding is the parser's; the two must agree on the end, or the request is malformed.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.datapost.reasons import Reason
from gateway.intake.framing import BODY_TOO_LARGE
from gateway.intake.limits import wire_cap
from gateway.intake.request import Unreadable

CHUNK_MALFORMED: Final = Unreadable(Reason.MALFORMED, "The chunked body is malformed.")

# chunk-size [ chunk-ext ]; what an extension may hold is the parser's to say, but never a line break.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[^\r\n]*+)?+\r\n")
_PART_OF_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}(?:;|\r?\Z)")
_BARE_LF = re.compile(rb"(?<!\r)\n")


class ChunkWalk:
    """A walk over a growing buffer that begins with a chunked body."""

    __slots__ = ("_at", "_behind_data", "_cap", "_largest", "_searched", "_total", "_trailers")

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._cap = wire_cap(largest)
        # Where the next size line begins, or the line break behind a chunk's data, or, among trailers, the line
        # break of the last size line.
        self._at = 0
        self._behind_data = False
        self._searched = 0  # no line that matters ends before this
        self._total = 0  # bytes of data announced so far
        self._trailers = False

    def end(self, buffer: bytearray) -> int | Unreadable | None:
        """Length of the whole body on the wire; None while it has not ended. Call again with more bytes."""
        end = self._trailer(buffer) if self._trailers else self._chunk(buffer)
        if isinstance(end, Unreadable):
            return end
        return BODY_TOO_LARGE if (len(buffer) if end is None else end) > self._cap else end

    def _chunk(self, buffer: bytearray) -> int | Unreadable | None:
        """Walk from size line to size line."""
        while True:
            if self._behind_data:
                line_break = buffer[self._at : self._at + 2]
                if line_break != b"\r\n":
                    return None if b"\r\n".startswith(line_break) else CHUNK_MALFORMED
                self._at += 2
                self._behind_data = False
            # From where the last search ended, lest a dripped extension cost more with each byte.
            line_end = buffer.find(b"\n", max(self._at, self._searched))
            if line_end < 0:
                return self._unfinished(buffer)
            line = _SIZE.fullmatch(buffer, self._at, line_end + 1)
            if line is None:
                return CHUNK_MALFORMED
            size = int(line[1], 16)
            if size == 0:
                self._trailers = True
                self._at = self._searched = line_end - 1
                return self._trailer(buffer)
            self._total += size
            if self._total > self._largest:
                return BODY_TOO_LARGE
            self._at = line_end + 1 + size
            self._behind_data = True

    def _unfinished(self, buffer: bytearray) -> Unreadable | None:
        """A size line without its end: can it still become one?"""
        begins = self._searched <= self._at + 16
        self._searched = len(buffer)
        if not begins or len(buffer) == self._at or _PART_OF_SIZE.match(buffer, self._at):
            return None
        return CHUNK_MALFORMED

    def _trailer(self, buffer: bytearray) -> int | Unreadable | None:
        """Behind the last chunk: fields, which nobody reads, up to an empty line."""
        end = buffer.find(b"\r\n\r\n", max(self._at, self._searched - 3))
        if end >= 0:
            return end + 4
        if _BARE_LF.search(buffer, max(self._at, self._searched - 1)):
            return CHUNK_MALFORMED
        self._searched = len(buffer)
        return None
