"""What Python, event loops and libraries would print becomes lines of ours, without any text of theirs."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.observe.libraries import Pace
from gateway.observe.log import SubmissionLog
from gateway.observe.redaction import kind, places
from tests.support.canaries import CANARY

ROOT = Path(__file__).parents[2]


class Started:
    """A log that has taken over, and what it wrote."""

    def __init__(self, level: Any = "info") -> None:
        self.stream = io.BytesIO()
        self.log = SubmissionLog(level, self.stream)
        self.log.start(asyncio.get_running_loop())

    def lines(self) -> list[dict[str, Any]]:
        self.log.flush()
        assert CANARY not in self.stream.getvalue().decode()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
async def started() -> AsyncIterator[Started]:
    made = Started()
    yield made
    made.log.close()


def record(logger: str, level: int, text: str, line: int = 12, **more: Any) -> None:
    """A record as a library would make it, from a place of its own."""
    made = logging.LogRecord(
        logger, level, "/lib/aiohttp/web_protocol.py", line, text, (), more.get("exc_info"), "log_exception"
    )
    # Not through the logger: the test runner's own handlers would show the text.
    for handler in logging.getLogger().handlers:
        if type(handler).__module__ == "gateway.observe.libraries":
            handler.handle(made)


async def test_a_librarys_record_is_told_by_logger_and_place(started: Started) -> None:
    record("aiohttp.server", logging.ERROR, f"Error handling request from {CANARY}")
    [line] = started.lines()
    assert line == {
        "time": line["time"],
        "level": "error",
        "event": "library",
        "logger": "aiohttp.server",
        "place": "web_protocol:12 log_exception",
    }


async def test_a_librarys_exception_is_told_by_kind_and_place(started: Started) -> None:
    try:
        int(CANARY)
    except ValueError as error:
        record("aiohttp.server", logging.ERROR, CANARY, exc_info=(type(error), error, error.__traceback__))
    [line] = started.lines()
    assert line["exception"] == "ValueError"
    assert line["places"][-1].endswith("test_a_librarys_exception_is_told_by_kind_and_place")


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.CRITICAL, "error"),
        (logging.ERROR, "error"),
        (35, "warning"),
        (logging.WARNING, "warning"),
        (logging.INFO, "info"),
    ],
)
async def test_any_level_has_a_level_of_ours(started: Started, level: int, shown: str) -> None:
    record("asyncio", level, "x")
    assert [line["level"] for line in started.lines()] == [shown]


async def test_fixed_texts_are_told_as_they_are(started: Started) -> None:
    record("asyncio", logging.ERROR, "socket.accept() out of system resource")
    assert started.lines()[0]["text"] == "socket.accept() out of system resource"


@pytest.mark.parametrize(("level", "root"), [("info", 30), ("warning", 30), ("error", 40), ("debug", 10)])
async def test_libraries_are_heard_from_warnings_on_unless_debugging(level: Any, root: int) -> None:
    before = logging.getLogger().level
    started = Started(level)
    assert logging.getLogger().level == root
    started.log.close()
    assert logging.getLogger().level == before


async def test_a_task_that_failed_unseen_is_told_by_its_coroutine(started: Started) -> None:
    async def careless() -> None:
        raise RuntimeError(CANARY)

    task = asyncio.create_task(careless())
    await asyncio.wait({task})
    del task
    gc.collect()
    [line] = started.lines()
    assert line["event"] == "event_loop"
    assert line["text"] == "Task exception was never retrieved"
    assert line["exception"] == "RuntimeError"
    assert line["task"].endswith("careless")
    assert line["places"][-1].endswith("careless")


async def test_a_callback_that_failed_is_told_by_its_place(started: Started) -> None:
    def careless() -> None:
        raise LookupError(CANARY)

    asyncio.get_running_loop().call_soon(careless)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    [line] = started.lines()
    assert (line["event"], line["exception"]) == ("event_loop", "LookupError")
    assert line["places"][-1].endswith("careless")


async def test_the_same_place_is_told_once_and_the_rest_is_counted(started: Started) -> None:
    for _ in range(1000):
        record("asyncio", logging.ERROR, "socket.accept() out of system resource")
    record("asyncio", logging.ERROR, "another place", line=13)
    assert [line["place"] for line in started.lines()] == [
        "web_protocol:12 log_exception",
        "web_protocol:13 log_exception",
    ]


def test_what_was_held_back_is_counted_when_the_next_one_passes() -> None:
    now = [100.0]
    pace = Pace(lambda: now[0])
    assert [pace.admit("a") for _ in range(4)] == [0, None, None, None]
    assert pace.admit("b") == 0
    now[0] = 100.9
    assert pace.admit("a") is None
    now[0] = 101.0
    assert [pace.admit("a"), pace.admit("a")] == [4, None]


def test_a_clock_that_was_set_back_holds_nothing_back() -> None:
    now = [100.0]
    pace = Pace(lambda: now[0])
    pace.admit("a")
    now[0] = 5.0
    assert pace.admit("a") == 0


def test_places_that_are_told_apart_are_bounded() -> None:
    pace = Pace(lambda: 1.0)
    for number in range(10_000):
        assert pace.admit(number) == 0
    assert len(pace._told) <= 256


async def test_closing_gives_everything_back(started: Started) -> None:
    loop = asyncio.get_running_loop()
    assert loop.get_exception_handler() is not None
    started.log.close()
    assert loop.get_exception_handler() is None
    assert not [one for one in logging.getLogger().handlers if type(one).__module__ == "gateway.observe.libraries"]


async def test_two_logs_in_one_process_leave_nothing_behind() -> None:
    shown = warnings.showwarning
    first, second = Started(), Started()
    first.log.close()
    second.log.close()
    assert warnings.showwarning is shown
    assert asyncio.get_running_loop().get_exception_handler() is None


LOUD = f"""
import asyncio, logging, sys, threading, warnings
from gateway.observe.log import SubmissionLog

SECRET = "{CANARY}"

class Late:
    def __del__(self):
        raise RuntimeError(SECRET)

def fail():
    raise OSError(SECRET)

async def main():
    log = SubmissionLog("info")
    log.start(asyncio.get_running_loop())
    logging.getLogger("aiohttp.server").error("Error with %s", SECRET)
    logging.getLogger("asyncio").warning(SECRET, stack_info=True)
    warnings.warn(SECRET)
    thread = threading.Thread(target=fail, name=SECRET)
    thread.start()
    thread.join()
    Late()
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0.01)
    log.close()

asyncio.run(main())
"""


def test_a_process_full_of_loud_libraries_prints_lines_of_ours_alone() -> None:
    done = subprocess.run([sys.executable, "-c", LOUD], capture_output=True, check=True, cwd=ROOT)
    assert done.stderr == b""
    assert CANARY.encode() not in done.stdout
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["event"], line.get("exception"), line.get("logger")) for line in found] == [
        ("library", None, "aiohttp.server"),
        ("library", None, "asyncio"),
        ("library", None, "py.warnings"),
        ("thread", "OSError", None),
        ("unraisable", "RuntimeError", None),
        ("event_loop", "OSError", None),
    ]


def deep(level: int) -> None:
    if level:
        deep(level - 1)
    raise UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY)


def test_an_exception_is_a_kind_and_its_innermost_places() -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        deep(50)
    assert kind(caught.value) == "UnicodeDecodeError"
    found = places(caught.value.__traceback__)
    assert len(found) == 8
    assert all(place.endswith(" deep") for place in found)


def test_a_chain_of_causes_is_told_and_ends() -> None:
    outermost: BaseException = json.JSONDecodeError(CANARY, CANARY, 0)
    for _ in range(10):
        wrapper = RuntimeError(CANARY)
        wrapper.__cause__ = outermost
        outermost = wrapper
    assert kind(outermost) == "RuntimeError < RuntimeError < RuntimeError < RuntimeError"
    assert kind(json.JSONDecodeError(CANARY, CANARY, 0)) == "json.decoder.JSONDecodeError"


def test_an_exception_without_a_place_has_none() -> None:
    assert places(None) == []
