"""Bounds of the downstream edge that are not settings: nobody has a reason to change them.

What operators may change stands in `settings.models.Limits`. Sizes are bytes, times are seconds.
"""

from __future__ import annotations

from typing import Final

#: The request line without its CRLF. A program's path has at most 256 characters; the rest is room for a query.
REQUEST_LINE: Final = 4096
#: Header fields of one request, trailers included.
FIELDS: Final = 64
#: Empty lines before a request line (RFC 9112 section 2.2 asks for one); old browsers put one behind a body.
LEADING: Final = 4
#: A Content-Length with more digits than this is no length: 10^19 - 1 is the largest that fits in 64 bits.
LENGTH_DIGITS: Final = 19

#: What may lie in memory behind the request that is being worked on, before reading pauses.
HELD: Final = 64 * 1024
#: Wire bytes of a chunked body are capped at twice the body limit plus this: chunk sizes, extensions, trailers.
CHUNK_OVERHEAD: Final = 16 * 1024

#: A client that is still sending gets this long, and this many more bytes, to take our last answer. Closing
#: under its hands would make a reset overtake the answer (RFC 9112 section 9.6).
LINGER_TIME: Final = 1.0
LINGER_BYTES: Final = 1024 * 1024
#: A client that does not take its answer for this long is cut off.
WRITE_TIME: Final = 10.0
#: Handlers that are told to stop have this long to put their answer together.
ABORT_TIME: Final = 1.0


def wire_cap(body: int) -> int:
    """The most bytes on the wire that a chunked body of at most `body` bytes may take."""
    return 2 * body + CHUNK_OVERHEAD
