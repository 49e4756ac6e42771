"""The log: one JSON line a submission, and lines for bugs, late answers and what libraries say.

Decides which fields there are. They are an allow-list by construction: `SubmissionLine` and the methods here are
all that is ever written, and each field is a number, a word of ours, a configured name or a reference. No address
of a client (personal data), no header, no value of a lead has a field. Exceptions are told as kind and place in the
code, libraries' records too (`redaction`); `start` sees to it that nothing else reaches the terminal.

A submission whose outcome is unknown is a warning, a bug an error, all else information; what the configured
level leaves out costs one comparison.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Literal, Protocol, TypedDict, cast

import orjson
import structlog

from gateway.observe import redaction
from gateway.observe.libraries import Takeover
from gateway.observe.sink import Sink, Stream
from gateway.observe.words import FaultWords, ReasonWord, Severity, Word

Level = Literal["debug", "info", "warning", "error"]

_LEVELS: dict[Level, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_MOST_FAULTS = 30


class SubmissionLine(TypedDict, total=False):
    """Every field that a submission's line can have; those without a meaning in it are left out.

    Times are microseconds: total from the first byte of the request to its answer, overhead without the upstream,
    connect and first_byte of the upstream. faults are `field=kind`.
    """

    time: str
    level: str
    event: str
    reference: str
    program: str
    partner: str
    reason: str
    status: int
    delivery: str
    outcome: str
    rule: str
    faults: list[str]
    upstream_status: int
    failure: str
    second_try: bool
    surplus: bool
    mapped: bool
    trace_id: str
    body_bytes: int
    answer_bytes: int
    total_us: int
    overhead_us: int
    upstream_us: int
    connect_us: int
    first_byte_us: int


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Answered(Protocol):
    @property
    def surplus(self) -> bool: ...


class _Exchanged(Protocol):
    @property
    def answer(self) -> _Answered | None: ...
    @property
    def failure(self) -> Word | None: ...
    @property
    def connect_s(self) -> float: ...
    @property
    def first_byte_s(self) -> float | None: ...
    @property
    def total_s(self) -> float: ...
    @property
    def second_try(self) -> bool: ...


class Loggable(Protocol):
    """What a submission's line is made of; `pipeline.Submission` is one."""

    @property
    def reference(self) -> str: ...
    @property
    def lane(self) -> _Named | None: ...
    @property
    def partner(self) -> str: ...
    @property
    def delivery(self) -> Word: ...
    @property
    def outcome(self) -> Word: ...
    @property
    def rule(self) -> str: ...
    @property
    def faults(self) -> Sequence[FaultWords]: ...
    @property
    def exchange(self) -> _Exchanged | None: ...
    @property
    def upstream_status(self) -> int: ...
    @property
    def mapped(self) -> bool: ...
    @property
    def trace_id(self) -> str: ...
    @property
    def body_bytes(self) -> int: ...


class SubmissionLog:
    """The log of one process."""

    def __init__(
        self, level: Level = "info", stream: Stream | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """level: the least that is written. stream: takes bytes; stdout when None. clock: POSIX seconds."""
        self._sink = Sink(sys.stdout.buffer if stream is None else stream)
        self._level = _LEVELS[level]
        self._clock = clock
        self._line = _Line(clock)
        logger = structlog.wrap_logger(
            self._sink,
            processors=[self._line],
            wrapper_class=structlog.make_filtering_bound_logger(self._level),
        ).bind()
        self._logger = cast(structlog.typing.FilteringBoundLogger, logger)
        # The line that there is one of for every lead goes past structlog's wrapper, which costs as much as the line
        # itself. Compiled: for a severity whose lines are not wanted there is nothing to call.
        sink = self._sink
        wanted: dict[Severity, tuple[int, Callable[[bytes], None]]] = {
            "info": (logging.INFO, sink.info),
            "warning": (logging.WARNING, sink.warning),
            "error": (logging.ERROR, sink.error),
        }
        self._by_severity = {word: take if at >= self._level else None for word, (at, take) in wanted.items()}
        self._takeover: Takeover | None = None

    @property
    def dropped(self) -> int:
        """Lines that were lost because nobody took them (in time)."""
        return self._sink.dropped

    def submission(
        self, submission: Loggable, reason: ReasonWord, status: int, answer_bytes: int, total_s: float
    ) -> None:
        """Write a submission's one line. status: what the partner got; total_s: first byte to answer."""
        if (take := self._by_severity[reason.severity]) is None:
            return
        lane, exchange, faults = submission.lane, submission.exchange, submission.faults
        now = self._clock()
        line: SubmissionLine = {
            "time": self._line.time(now),
            "level": reason.severity,
            "event": "submission",
            "reference": submission.reference,
            "program": "" if lane is None else lane.name,
            "partner": submission.partner,
            "reason": reason.slug,
            "status": status,
            "delivery": submission.delivery.value,
            "outcome": submission.outcome.value,
            "body_bytes": submission.body_bytes,
            "answer_bytes": answer_bytes,
            "total_us": int(total_s * 1e6),
        }
        if faults:
            line["faults"] = [f"{fault.field}={fault.kind}" for fault in faults[:_MOST_FAULTS]]
        if exchange is not None:
            upstream_s = exchange.total_s
            line["upstream_us"] = int(upstream_s * 1e6)
            line["overhead_us"] = int((total_s - upstream_s) * 1e6) if total_s > upstream_s else 0
            line["connect_us"] = int(exchange.connect_s * 1e6)
            line["trace_id"] = submission.trace_id
            if exchange.first_byte_s is not None:
                line["first_byte_us"] = int(exchange.first_byte_s * 1e6)
            if exchange.answer is not None:
                line["upstream_status"] = submission.upstream_status
                line["rule"] = submission.rule
                if exchange.answer.surplus:
                    line["surplus"] = True
                if submission.mapped:
                    line["mapped"] = True
            elif exchange.failure is not None:
                line["failure"] = exchange.failure.value
            if exchange.second_try:
                line["second_try"] = True
        take(_json(cast(dict[str, object], line)))

    def late(self, reference: str, program: str, partner: str, verdict: str, rule: str, after_s: float) -> None:
        """Write that an answer came after the partner was told `outcome_unknown`, and what it said; or that none will.

        verdict: a word of `Verdict`, `unrecognized`, or `given_up`. after_s: since the request was written.
        """
        line = {"reference": reference, "program": program, "partner": partner, "verdict": verdict, "rule": rule}
        self._logger.warning("late_answer", fields=line | {"after_us": int(after_s * 1e6)})

    def repeated_id(self, reference: str, program: str, partner: str) -> None:
        """Write that the legacy gave this lead the ID of another one. The ID itself may be personal: it is not told."""
        self._logger.warning("repeated_id", fields={"reference": reference, "program": program, "partner": partner})

    def circuit(self, program: str, state: str, cause: str) -> None:
        """Write that the circuit before a program's legacy endpoint is now `closed`, `half_open` or `open`.

        cause: the failure or reason of the lead that brought it about; "" when it was time.
        """
        write = self._logger.warning if state == "open" else self._logger.info
        write("circuit", fields={"program": program, "state": state, "cause": cause})

    def journal(self, event: str, severity: Severity, reference: str = "", why: str = "") -> None:
        """Write what happened to the journal. reference: the submission it happened to; why: a few fixed words."""
        fields = {name: text for name, text in (("reference", reference), ("why", why)) if text}
        {"info": self._logger.info, "warning": self._logger.warning, "error": self._logger.error}[severity](
            event, fields=fields
        )

    def bug(self, bug: BaseException, reference: str = "") -> None:
        """Write that something of ours is broken: what kind of exception, and where. Its text may hold values."""
        line = {"reference": reference, "exception": redaction.kind(bug), "places": redaction.places(bug.__traceback__)}
        self._logger.error("bug", fields=line)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to write, and take over what Python, the event loop and libraries would print themselves."""
        self._sink.start()
        if self._takeover is None:
            self._takeover = Takeover(self._logger, self._level, loop, self._clock)

    def flush(self) -> None:
        """Write what has gathered; waits for the reader."""
        self._sink.flush()

    def close(self) -> None:
        """Give back what `start` took over, and write what has gathered."""
        if self._takeover is not None:
            self._takeover.remove()
            self._takeover = None
        self._sink.close()


class _Line:
    """structlog's only processor: a line of JSON with time (UTC), level and event in front of the fields.

    The fields come as one dictionary: unpacked into keywords they would be copied three times on the way.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._second = self._ms = -1
        self._prefix = self._text = ""

    def time(self, now: float) -> str:
        """A POSIX time as lines have it, made once a millisecond, all but its fraction once a second."""
        ms = int(now * 1000)
        if ms != self._ms:
            second, fraction = divmod(ms, 1000)
            if second != self._second:
                self._prefix, self._second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)), second
            self._ms, self._text = ms, f"{self._prefix}.{fraction:03d}Z"
        return self._text

    def __call__(self, logger: object, method: str, said: MutableMapping[str, Any]) -> bytes:
        return _json({"time": self.time(self._clock()), "level": method, "event": said["event"]} | said["fields"])


def _json(line: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a text that is not Unicode; a line must never cost an answer
        known = {key: line[key] for key in ("time", "level", "event")}
        return orjson.dumps(known | {"unwritable": True}, option=orjson.OPT_APPEND_NEWLINE)
