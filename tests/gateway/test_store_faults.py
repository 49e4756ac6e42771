"""A store that is away: nothing is sent before it is written; what came back is told truly, and written later."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import PostgresServer
from tests.support.running import LEAD, OK, Running, running
from tests.support.upstreams import ScriptedUpstream, answering


class Held:
    """An upstream script that answers when told to."""

    def __init__(self) -> None:
        self.arrived, self.release = asyncio.Event(), asyncio.Event()

    async def __call__(self, peer: Any) -> None:
        await peer.request()
        self.arrived.set()
        await self.release.wait()
        await peer.send(OK)


async def recovered(gateway: Running) -> None:
    """Send leads until one is accepted again; each one before is refused unsent."""
    async with asyncio.timeout(30):
        for number in range(10_000):
            answer = await gateway.post({**LEAD, "loan_amount": str(2000 + number)})
            if answer.reason == "accepted":
                return
            assert answer.reason == "store_unavailable"


def events(gateway: Running) -> list[str]:
    return [line["event"] for line in gateway.log()]


async def test_a_locked_sqlite_journal_refuses_unsent_and_comes_back_without_a_restart(tmp_path: Path) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url) as gateway:
        assert (await gateway.post()).reason == "accepted"
        other = sqlite3.connect(next((tmp_path / "state").rglob("journal.sqlite3")), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        answer = await gateway.post()
        assert (answer.reason, answer.status) == ("store_unavailable", 503)
        assert legacy.requests == 1
        assert (await gateway.admin("/readyz"))[0] == 503
        other.execute("ROLLBACK")
        other.close()
        await recovered(gateway)
        assert (await gateway.admin("/readyz"))[0] == 200


async def test_an_answer_that_cannot_be_written_is_told_truly_alarmed_and_written_later(tmp_path: Path) -> None:
    held = Held()
    program = {"lead": {"replay": {"window": "10m"}}}
    async with (
        ScriptedUpstream(held, answering(OK)) as legacy,
        running(tmp_path, legacy.url, program=program) as gateway,
    ):
        first = asyncio.create_task(gateway.post())
        await held.arrived.wait()
        other = sqlite3.connect(next((tmp_path / "state").rglob("journal.sqlite3")), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        held.release.set()
        answer = await first
        assert answer.reason == "accepted"
        deferred = [line for line in gateway.log() if line["event"] == "journal_settlement_deferred"]
        assert [line["reference"] for line in deferred] == [answer.headers["x-request-id"]]
        other.execute("ROLLBACK")
        other.close()
        async with asyncio.timeout(20):
            while "journal_settlement_caught_up" not in events(gateway):
                await asyncio.sleep(0)
        # Written: a resend is answered from the journal.
        async with asyncio.timeout(20):
            while (again := await gateway.post()).reason == "store_unavailable":
                pass
        assert again.body == answer.body
        assert legacy.requests == 1


def store_settings(url: str) -> dict[str, Any]:
    return {"journal": {"url": url, "key": "5b" * 32, "index_key": "an index key of the tests' own"}}


@pytest.fixture
async def behind_postgres(tmp_path: Path, postgres_url: str) -> AsyncIterator[tuple[ScriptedUpstream, Running]]:
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        running(tmp_path, legacy.url, top=store_settings(postgres_url)) as gateway,
    ):
        yield legacy, gateway


async def test_a_stopped_postgresql_refuses_unsent_and_comes_back_without_a_restart(
    behind_postgres: tuple[ScriptedUpstream, Running], postgres_server: PostgresServer
) -> None:
    legacy, gateway = behind_postgres
    assert (await gateway.post()).reason == "accepted"
    postgres_server.stop()
    answer = await gateway.post()
    assert (answer.reason, answer.status) == ("store_unavailable", 503)
    assert legacy.requests == 1
    assert (await gateway.admin("/readyz"))[0] == 200, "a shared store makes no process unready"
    assert (await gateway.admin("/readyz?deep"))[0] == 503
    postgres_server.start()
    await recovered(gateway)


async def test_a_frozen_postgresql_refuses_unsent_and_comes_back_without_a_restart(
    behind_postgres: tuple[ScriptedUpstream, Running], postgres_server: PostgresServer
) -> None:
    legacy, gateway = behind_postgres
    assert (await gateway.post()).reason == "accepted"
    postgres_server.freeze()
    assert (await gateway.post()).reason == "store_unavailable"
    assert legacy.requests == 1
    postgres_server.thaw()
    await recovered(gateway)
