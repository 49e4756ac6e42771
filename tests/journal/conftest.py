"""What the journal's tests share: either store, each test with a journal of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.journal.port import Store
from tests.support.postgres import _postgres_session, postgres_server, postgres_url, wire
from tests.support.stores import a_store

__all__ = ["_postgres_session", "postgres_server", "postgres_url", "wire"]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The kind of a store, and where it is: a folder or a URL."""
    if request.param == "sqlite":
        return "sqlite", str(tmp_path / "state")
    return "postgres", request.getfixturevalue("postgres_url")


@pytest.fixture
def one_more(place: tuple[str, str]) -> Callable[[], Store]:
    """One more way into the test's journal, as another process has it; not open yet."""
    return lambda: a_store(*place)


@pytest.fixture
async def store(one_more: Callable[[], Store]) -> AsyncIterator[Store]:
    """An open store, empty."""
    made = one_more()
    await made.open()
    yield made
    await made.close()
