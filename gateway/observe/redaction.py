"""What may be said of an exception or of a library's log record: kinds and places in the code, never texts.

Texts quote what was being worked on: parsers quote headers, reprs of tasks quote results. A place in the code says
as much to whoever reads the source, and nothing about anybody's lead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import TracebackType

_MOST_FRAMES = 8
_MOST_CAUSES = 4

#: Texts of event loops that are told as they are: fixed words, and without them nothing says what happened.
FIXED_TEXTS = frozenset(
    {
        "Error on transport creation for incoming connection",
        "Fatal error on server TCPServer",
        "Fatal error on transport TCPTransport",
        "Future exception was never retrieved",
        "Task exception was never retrieved",
        "Task was destroyed but it is pending!",
        "protocol.pause_writing() failed",
        "protocol.resume_writing() failed",
        "socket.accept() out of system resource",
    }
)


def kind(bug: BaseException) -> str:
    """`ValueError`, `re.error`; with what it came from: `RuntimeError < KeyError`."""
    return " < ".join(_names(bug))


def places(trace: TracebackType | None) -> list[str]:
    """Where it happened, innermost last: `gateway.pipeline:131 carry`."""
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return found[-_MOST_FRAMES:]


def place(record: logging.LogRecord) -> str:
    """Where a library logged: `web_protocol:451 log_exception`."""
    return f"{record.module}:{record.lineno} {record.funcName}"


def _names(bug: BaseException) -> Iterator[str]:
    current: BaseException | None = bug
    for _ in range(_MOST_CAUSES):
        if current is None:
            return
        owner = type(current)
        yield owner.__qualname__ if owner.__module__ == "builtins" else f"{owner.__module__}.{owner.__qualname__}"
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
