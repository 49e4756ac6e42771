"""W3C Trace Context: one submission belongs to the trace of whoever called, or begins one.

Decides what of `traceparent` and `tracestate` is believed and what goes to the legacy endpoint. We are one step of
the trace: its id stays, the parent becomes a span id of ours, which stands in the log line. Reading is strict and
total: anything but a well-formed traceparent begins a new trace, and a tracestate without one is dropped
(section 4.3 of the recommendation). A tracestate is passed on as it came, when it can stand in a header.

A trace that begins here says "sampled": most tracers follow their caller, and a legacy endpoint that was traced
before must not go dark because a gateway stands in front of it now.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import getrandbits
from typing import NamedTuple

# version, trace id, parent id, flags; lower case only. Later versions may add fields behind a dash.
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NO_TRACE, _NO_PARENT = "0" * 32, "0" * 16
# sampled, and random-trace-id of level 2 when a caller says so; other bits are not ours to repeat.
_KNOWN_FLAGS = 0x03
_NEW_FLAGS = "01"
# Section 3.3.1.5: at least this much is passed on; section 3.3.1.1: more members make it invalid.
_MOST_STATE, _MOST_MEMBERS = 512, 32


class Trace(NamedTuple):
    """Where a submission stands in a trace; `traceparent` and `tracestate` are for the upstream, "" for none."""

    trace_id: str
    span_id: str
    flags: str
    tracestate: str

    @property
    def traceparent(self) -> str:
        """The header that makes this submission the parent of what the upstream does."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def continued(
    traceparent: str | None, tracestate: str | None = None, random_bits: Callable[[int], int] = getrandbits
) -> Trace:
    """The trace that these headers continue, or a new one.

    random_bits: of a generator that a fork seeds anew; identities need no secrecy, and the kernel costs more.
    Both are the values of all lines joined with ", " (two traceparents are none), or None.
    """
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent is not None else None
    if found is None:
        return _begun(random_bits)
    version, trace_id, parent, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE or parent == _NO_PARENT:
        return _begun(random_bits)
    state = tracestate if tracestate and _fit(tracestate) else ""
    return Trace(trace_id, f"{random_bits(64) or 1:016x}", f"{int(flags, 16) & _KNOWN_FLAGS:02x}", state)


def _begun(random_bits: Callable[[int], int]) -> Trace:
    # All zeroes would mean "invalid".
    return Trace(f"{random_bits(128) or 1:032x}", f"{random_bits(64) or 1:016x}", _NEW_FLAGS, "")


def _fit(tracestate: str) -> bool:
    return (
        len(tracestate) <= _MOST_STATE
        and tracestate.isascii()
        and tracestate.isprintable()
        and tracestate.count(",") < _MOST_MEMBERS
    )
