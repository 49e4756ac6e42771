"""The log line: which fields it has, which level, and that nothing else gets into it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.datapost.values import Fault
from gateway.observe.log import SubmissionLine, SubmissionLog
from tests.support.canaries import CANARY

REFERENCE = "01M87SCK6KK5S71BC8SKK1RMX2"


class Failure(Enum):
    RESET = "reset"


@dataclass(frozen=True)
class Answer:
    surplus: bool = False
    body: bytes = CANARY.encode()


@dataclass(frozen=True)
class Exchange:
    answer: Answer | None = field(default_factory=Answer)
    failure: Failure | None = None
    connect_s: float = 0.001
    first_byte_s: float | None = 0.02
    total_s: float = 0.03
    second_try: bool = False


@dataclass(frozen=True)
class Submission:
    """As the pipeline's, with things besides that must not show."""

    reference: str = REFERENCE
    lane: SimpleNamespace | None = field(default_factory=lambda: SimpleNamespace(name="auto", password=CANARY))
    partner: str = "acme"
    delivery: Delivery = Delivery.ANSWERED
    outcome: Outcome = Outcome.ACCEPTED
    rule: str = "ok"
    faults: tuple[Fault, ...] = ()
    exchange: Exchange | None = field(default_factory=Exchange)
    upstream_status: int = 200
    mapped: bool = False
    trace_id: str = "a" * 32
    body_bytes: int = 562
    lead: str = CANARY


REFUSED = Submission(
    delivery=Delivery.NOT_SENT, outcome=Outcome.NONE, exchange=None, rule="", trace_id="", upstream_status=0
)


@pytest.fixture
def stream() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def log(stream: io.BytesIO) -> SubmissionLog:
    return SubmissionLog("info", stream, clock=lambda: 1795558266.0825)


def lines(log: SubmissionLog, stream: io.BytesIO) -> list[dict[str, Any]]:
    log.flush()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def one_line(log: SubmissionLog, stream: io.BytesIO) -> dict[str, Any]:
    [found] = lines(log, stream)
    return found


def test_a_submission_is_one_line_of_json_with_these_fields(log: SubmissionLog, stream: io.BytesIO) -> None:
    log.submission(Submission(), Reason.ACCEPTED, 200, 180, 0.035)
    assert one_line(log, stream) == {
        "time": "2026-11-24T22:11:06.082Z",
        "level": "info",
        "event": "submission",
        "reference": REFERENCE,
        "program": "auto",
        "partner": "acme",
        "reason": "accepted",
        "status": 200,
        "delivery": "answered",
        "outcome": "accepted",
        "rule": "ok",
        "upstream_status": 200,
        "trace_id": "a" * 32,
        "body_bytes": 562,
        "answer_bytes": 180,
        "total_us": 35000,
        "overhead_us": 5000,
        "upstream_us": 30000,
        "connect_us": 1000,
        "first_byte_us": 20000,
    }


def test_what_has_no_meaning_is_left_out(log: SubmissionLog, stream: io.BytesIO) -> None:
    log.submission(replace(REFUSED, lane=None, partner=""), Reason.NOT_FOUND, 404, 150, 0.0005)
    assert one_line(log, stream).keys() == {
        "time", "level", "event", "reference", "program", "partner", "reason", "status", "delivery", "outcome",
        "body_bytes", "answer_bytes", "total_us",
    }  # fmt: skip


def test_a_failure_a_second_try_and_surplus_bytes_are_told(log: SubmissionLog, stream: io.BytesIO) -> None:
    failed = Exchange(answer=None, failure=Failure.RESET, first_byte_s=None, second_try=True)
    log.submission(Submission(exchange=failed, delivery=Delivery.SENT), Reason.OUTCOME_UNKNOWN, 200, 1, 0.1)
    log.submission(Submission(exchange=Exchange(answer=Answer(surplus=True))), Reason.ACCEPTED, 200, 1, 0.1)
    first, second = lines(log, stream)
    assert (first["failure"], first["second_try"], first.keys() & {"rule", "upstream_status", "first_byte_us"}) == (
        "reset",
        True,
        set(),
    )
    assert (second["surplus"], "failure" in second, "second_try" in second) == (True, False, False)


def test_that_an_id_was_mapped_is_told(log: SubmissionLog, stream: io.BytesIO) -> None:
    log.submission(Submission(mapped=True), Reason.ACCEPTED, 200, 1, 0.1)
    log.submission(Submission(), Reason.ACCEPTED, 200, 1, 0.1)
    first, second = lines(log, stream)
    assert (first["mapped"], "mapped" in second) == (True, False)


def test_faults_are_told_as_field_and_kind_and_never_as_text(log: SubmissionLog, stream: io.BytesIO) -> None:
    faults = (Fault("email", "missing", CANARY), Fault("", "unknown", CANARY))
    log.submission(replace(REFUSED, faults=faults), Reason.LEAD_INVALID, 200, 1, 0.1)
    assert one_line(log, stream)["faults"] == ["email=missing", "=unknown"]


def test_a_line_has_room_for_30_faults(log: SubmissionLog, stream: io.BytesIO) -> None:
    faults = tuple(Fault(f"field{number}", "missing", "") for number in range(500))
    log.submission(replace(REFUSED, faults=faults), Reason.LEAD_INVALID, 200, 1, 0.1)
    assert len(one_line(log, stream)["faults"]) == 30


def test_no_field_is_written_that_is_not_on_the_list(log: SubmissionLog, stream: io.BytesIO) -> None:
    for reason in Reason:
        for exchange in (None, Exchange(), Exchange(answer=None, failure=Failure.RESET)):
            log.submission(Submission(exchange=exchange), reason, 200, 1, 0.1)
    found = lines(log, stream)
    allowed = SubmissionLine.__annotations__.keys() | {"time", "level", "event"}
    assert len(found) == 3 * len(Reason)
    assert {key for line in found for key in line} <= allowed
    assert CANARY not in stream.getvalue().decode()


@pytest.mark.parametrize(
    ("level", "written"),
    [
        pytest.param(
            "debug", ["accepted", "lead_invalid", "outcome_unknown", "unrecognized_answer", "internal"], id="debug"
        ),
        pytest.param(
            "info", ["accepted", "lead_invalid", "outcome_unknown", "unrecognized_answer", "internal"], id="info"
        ),
        pytest.param("warning", ["outcome_unknown", "unrecognized_answer", "internal"], id="warning"),
        pytest.param("error", ["internal"], id="error"),
    ],
)
def test_the_level_decides_which_submissions_are_written(level: Any, written: list[str], stream: io.BytesIO) -> None:
    log = SubmissionLog(level, stream)
    for reason in (
        Reason.ACCEPTED,
        Reason.LEAD_INVALID,
        Reason.OUTCOME_UNKNOWN,
        Reason.UNRECOGNIZED_ANSWER,
        Reason.INTERNAL,
    ):
        log.submission(Submission(), reason, 200, 1, 0.1)
    found = lines(log, stream)
    assert [line["reason"] for line in found] == written
    levels = {"outcome_unknown": "warning", "unrecognized_answer": "warning", "internal": "error"}
    assert [line["level"] for line in found] == [levels.get(reason, "info") for reason in written]


def test_a_late_answer_and_a_repeated_id_are_warnings(log: SubmissionLog, stream: io.BytesIO) -> None:
    log.late(REFERENCE, "auto", "acme", "accepted", "ok", 12.5)
    log.repeated_id(REFERENCE, "auto", "acme")
    late, repeated = lines(log, stream)
    assert late == {
        "time": late["time"],
        "level": "warning",
        "event": "late_answer",
        "reference": REFERENCE,
        "program": "auto",
        "partner": "acme",
        "verdict": "accepted",
        "rule": "ok",
        "after_us": 12_500_000,
    }
    assert (repeated["level"], repeated["event"], repeated["reference"]) == ("warning", "repeated_id", REFERENCE)


def broken(value: str) -> None:
    try:
        raise KeyError(value)
    except KeyError as error:
        raise ValueError(f"cannot read {value}") from error


def test_a_bug_is_told_by_kind_and_place_and_never_by_its_text(log: SubmissionLog, stream: io.BytesIO) -> None:
    try:
        broken(CANARY)
    except ValueError as bug:
        log.bug(bug, REFERENCE)
    line = one_line(log, stream)
    assert (line["level"], line["event"], line["reference"]) == ("error", "bug", REFERENCE)
    assert line["exception"] == "ValueError < KeyError"
    assert line["places"][-1].split(" ") == [line["places"][-1].split(" ")[0], "broken"]
    assert "test_log:" in line["places"][-1]
    assert CANARY not in stream.getvalue().decode()


def test_a_line_that_cannot_be_written_says_so_and_raises_nothing(log: SubmissionLog, stream: io.BytesIO) -> None:
    log.submission(Submission(partner="\udcff"), Reason.ACCEPTED, 200, 1, 0.1)
    line = one_line(log, stream)
    assert (line["event"], line["unwritable"]) == ("submission", True)


def test_line_ends_in_a_value_do_not_make_another_line(log: SubmissionLog, stream: io.BytesIO) -> None:
    log.submission(Submission(partner='a\r\n{"event": "forged"}\u2028'), Reason.ACCEPTED, 200, 1, 0.1)
    log.flush()
    assert stream.getvalue().count(b"\n") == 1
    assert stream.getvalue().count(b"\r") == 0


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_a_started_log_writes_by_itself_and_all_of_it_when_closed(
    log: SubmissionLog, stream: io.BytesIO, loop: asyncio.AbstractEventLoop
) -> None:
    log.start(loop)
    for _ in range(300):
        log.submission(Submission(), Reason.ACCEPTED, 200, 1, 0.1)
    log.close()
    assert len(stream.getvalue().splitlines()) == 300
    assert log.dropped == 0


def test_lines_lost_to_a_broken_stream_are_counted(loop: asyncio.AbstractEventLoop, stream: io.BytesIO) -> None:
    log = SubmissionLog("info", stream)
    stream.close()
    log.start(loop)
    log.submission(Submission(), Reason.ACCEPTED, 200, 1, 0.1)
    log.close()
    assert log.dropped == 1


def test_the_time_is_utc_and_has_milliseconds(stream: io.BytesIO) -> None:
    moments = iter([0.0, 0.9999, 1.0, 86399.5])
    log = SubmissionLog("info", stream, clock=lambda: next(moments))
    for _ in range(4):
        log.repeated_id(REFERENCE, "auto", "acme")
    assert [line["time"] for line in lines(log, stream)] == [
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.999Z",
        "1970-01-01T00:00:01.000Z",
        "1970-01-01T23:59:59.500Z",
    ]
