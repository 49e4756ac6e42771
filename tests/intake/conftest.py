"""What the tests of the downstream edge share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.downstream import Edge, open_edge

_LONGEST = 30.0


@pytest.fixture(autouse=True)
async def watchdog() -> AsyncIterator[None]:
    """A connection that is never closed must fail its test, not hang it: uvloop does not hear pytest's alarm."""
    loop = asyncio.get_running_loop()
    bark = loop.call_later(_LONGEST, lambda: [task.cancel("too long") for task in asyncio.all_tasks(loop)])
    yield
    bark.cancel()


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    """An edge with default limits."""
    async with open_edge() as edge:
        yield edge
