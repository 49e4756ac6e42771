"""What the tests of the downstream edge share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.downstream import Edge, open_edge


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    """An edge with default limits."""
    async with open_edge() as edge:
        yield edge
