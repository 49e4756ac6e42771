"""What Python, the event loop and libraries would print by themselves becomes lines of our log, without its texts.

Covers the root of `logging`, warnings, the event loop's exceptions, those of threads, and those that can be raised
nowhere. The same place in the code is told at most once a second, with how often it was held back: a loop that is
out of file descriptors complains a thousand times a second.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

from structlog.typing import FilteringBoundLogger

from gateway.observe import redaction

_EVERY_S = 1.0
_MOST_PLACES = 256


class Pace:
    """Lets each key through once a second, and counts what it holds back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """clock: seconds."""
        self._clock = clock
        self._told: dict[object, tuple[float, int]] = {}  # key -> when it was let through, how many since

    def admit(self, key: object) -> int | None:
        """None to hold this one back, else how many were since the last one that was let through."""
        now = self._clock()
        at, held = self._told.get(key, (now - _EVERY_S, 0))
        # A clock that was set back lets one through.
        if 0 <= now - at < _EVERY_S:
            self._told[key] = (at, held + 1)
            return None
        if len(self._told) >= _MOST_PLACES:
            self._told.clear()
        self._told[key] = (now, 0)
        return held


class Takeover:
    """In force from its making until `remove`."""

    def __init__(
        self,
        logger: FilteringBoundLogger,
        level: int,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
    ) -> None:
        self._logger = logger
        self._pace = Pace(clock)
        self._loop = loop
        loop.set_exception_handler(self._of_loop)
        root = logging.getLogger()
        self._handler = _Handler(self._of_library)
        self._root_level = root.level
        # What libraries do all day is no news, and their texts are not shown anyway.
        root.setLevel(level if level == logging.DEBUG else max(level, logging.WARNING))
        root.addHandler(self._handler)
        logging.captureWarnings(True)
        # Only Python's own are replaced: whoever set another one (a test runner) wants to see for itself.
        if threading.excepthook is threading.__excepthook__:
            threading.excepthook = self._of_thread
        if sys.unraisablehook is sys.__unraisablehook__:
            sys.unraisablehook = self._of_nowhere

    def remove(self) -> None:
        """Give everything back to Python."""
        # Back to what Python does by itself, and only from what is ours: another log may have taken over since.
        if self._loop.get_exception_handler() == self._of_loop:
            self._loop.set_exception_handler(None)
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._root_level)
        logging.captureWarnings(False)
        if threading.excepthook == self._of_thread:
            threading.excepthook = threading.__excepthook__
        if sys.unraisablehook == self._of_nowhere:
            sys.unraisablehook = sys.__unraisablehook__

    def _of_library(self, record: logging.LogRecord) -> None:
        place = redaction.place(record)
        if (held := self._pace.admit((record.name, place))) is None:
            return
        fields: dict[str, Any] = {"logger": record.name, "place": place}
        if record.msg in redaction.FIXED_TEXTS:
            fields["text"] = record.msg
        bug = record.exc_info[1] if record.exc_info else None
        self._tell(record.levelno, "library", bug, fields, held)

    def _of_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        text, bug, task = context.get("message"), context.get("exception"), context.get("task", context.get("future"))
        fields: dict[str, Any] = {}
        if text in redaction.FIXED_TEXTS:
            fields["text"] = text
        if isinstance(task, asyncio.Task):
            fields["task"] = getattr(task.get_coro(), "__qualname__", "")
        if (held := self._pace.admit((*fields.values(), type(bug)))) is not None:
            self._tell(logging.ERROR, "event_loop", bug, fields, held)

    def _of_thread(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and (held := self._pace.admit(("thread", args.exc_type))) is not None:
            self._tell(logging.ERROR, "thread", args.exc_value, {}, held)

    def _of_nowhere(self, unraisable: sys.UnraisableHookArgs) -> None:
        if (held := self._pace.admit(("nowhere", unraisable.exc_type))) is not None:
            self._tell(logging.ERROR, "unraisable", unraisable.exc_value, {}, held)

    def _tell(self, level: int, event: str, bug: BaseException | None, fields: dict[str, Any], held: int) -> None:
        if bug is not None:
            fields |= {"exception": redaction.kind(bug), "places": redaction.places(bug.__traceback__)}
        if held:
            fields["held_back"] = held
        self._logger.log(min(max(level // 10 * 10, logging.DEBUG), logging.ERROR), event, fields=fields)


class _Handler(logging.Handler):
    """Hands records on without formatting them."""

    def __init__(self, take: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(record)
