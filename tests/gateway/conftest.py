"""What the whole-way tests share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.postgres import _postgres_session, postgres_server, postgres_url

#: A journal that several hosts share has its keys from outside.
KEYS = {"key": "5b" * 32, "index_key": "an index key of the tests' own"}

__all__ = ["_postgres_session", "postgres_server", "postgres_url", "store"]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of the top file that put the journal into each of the two stores in turn."""
    if request.param == "sqlite":
        return {}
    return {"journal": {"url": request.getfixturevalue("postgres_url"), **KEYS}}
