"""What all tests share: the loop that the gateway runs on, and the watch for values that got out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest
import uvloop

from tests.support.canaries import CANARY


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both edges run on uvloop, and so do their tests: what an end of file means is the loop's word."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A canary (a lead's value, a password) on stdout, on stderr or in a log record fails the test that let it out."""
    report = yield
    if report.when == "call" and report.passed:
        for name, text in report.sections:
            if CANARY in text.lower():
                report.outcome = "failed"
                report.longrepr = f"a canary got out into {name}"
    return report
