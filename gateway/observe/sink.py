"""Where log lines go: gathered in memory, written by a thread, so that a slow reader never stops the event loop.

A batch goes out after a quarter of a second, at 64 KiB, and at once for a warning or worse. When the reader
takes nothing for long, further lines are dropped and counted: leads matter more.
"""

from __future__ import annotations

import atexit
import threading
from typing import Protocol

_GATHER_S = 0.25
_BATCH_BYTES = 64 * 1024
_MOST_BYTES = 8 * 1024 * 1024
_LAST_WRITE_S = 2.0


class Stream(Protocol):
    """What a sink writes to: an open binary file."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> object: ...


class Sink:
    """Takes rendered lines from any thread. The methods are named for levels, as structlog calls them."""

    def __init__(self, stream: Stream, *, most_bytes: int = _MOST_BYTES) -> None:
        """most_bytes: how much may wait for the reader."""
        self._stream = stream
        self._most_bytes = most_bytes
        self._lock = threading.Lock()  # held for moments
        self._writing = threading.Lock()  # held while the reader takes a batch
        self._lines: list[bytes] = []
        self._size = 0
        self._some, self._now = threading.Event(), threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        #: Lines that were lost because they could not be written (in time).
        self.dropped = 0

    def info(self, line: bytes) -> None:
        """Write a line soon."""
        with self._lock:
            if self._size >= self._most_bytes:
                self.dropped += 1
                return
            if not self._lines:
                self._some.set()
            self._lines.append(line)
            self._size += len(line)
            if self._size >= _BATCH_BYTES:
                self._now.set()

    def warning(self, line: bytes) -> None:
        """Write a line at once, and what has gathered before it."""
        self.info(line)
        self._now.set()

    debug = info
    error = critical = warning

    def start(self) -> None:
        """Begin to write; in the process that goes on to use it, since threads do not survive a fork."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_on, name="log", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def flush(self) -> None:
        """Write what has gathered, here and now; waits for the reader as long as it takes."""
        with self._writing:
            with self._lock:
                lines, self._lines, self._size = self._lines, [], 0
            if lines:
                self._write(lines)

    def close(self) -> None:
        """Write what has gathered and end; waits two seconds at most for a reader that takes nothing."""
        if self._thread is None:
            return
        self._closing = True
        self._some.set()
        self._now.set()
        self._thread.join(_LAST_WRITE_S)
        self._thread = None
        atexit.unregister(self.close)

    def _write_on(self) -> None:
        while not self._closing:
            self._some.wait()
            self._now.wait(_GATHER_S)
            self._some.clear()
            self._now.clear()
            self.flush()
        self.flush()

    def _write(self, lines: list[bytes]) -> None:
        try:
            self._stream.write(b"".join(lines))
            self._stream.flush()
        except (OSError, ValueError):  # a full disk, a reader that left, a closed stream
            self.dropped += len(lines)
