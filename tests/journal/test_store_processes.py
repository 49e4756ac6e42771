"""Several real processes on one journal, and processes that are killed: each claim once, each acknowledged row kept.

More rounds and kills by GATEWAY_TEST_ROUNDS and GATEWAY_TEST_KILLS.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.datapost.reasons import Outcome
from gateway.journal.backup import verify
from gateway.journal.operations import Begin, CountUnknown, Leave, Look, Recover
from gateway.journal.port import Store
from gateway.journal.records import Query
from gateway.journal.values import Met
from tests.support.journals import SEALER, a_claim, an_entry
from tests.support.stores import begin, meet

ROUNDS = int(os.environ.get("GATEWAY_TEST_ROUNDS", "20"))
KILLS = int(os.environ.get("GATEWAY_TEST_KILLS", "30"))
ROOT = Path(__file__).resolve().parents[2]

Start = Callable[[str], Awaitable[Process]]


@pytest.fixture
async def start(place: tuple[str, str]) -> AsyncIterator[Start]:
    """Start a worker in a mode; it is ready when this returns."""
    workers: list[Process] = []

    async def started(mode: str) -> Process:
        command = (sys.executable, "-m", "tests.support.store_worker", mode, *place)
        worker = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE, limit=1 << 20)
        workers.append(worker)
        assert await line(worker) == "ready"
        return worker

    yield started
    for worker in workers:
        if worker.returncode is None:
            worker.kill()
        await worker.communicate()


async def line(worker: Process) -> str:
    assert worker.stdout is not None
    async with asyncio.timeout(30):
        return (await worker.stdout.readline()).decode().strip()


async def test_of_fifty_identical_leads_at_once_on_two_processes_one_begins(start: Start) -> None:
    workers = [await start("rush"), await start("rush")]
    for number in range(ROUNDS):
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write(f"{number} 25\n".encode())
        answers = await asyncio.gather(*(line(worker) for worker in workers))
        assert Counter(" ".join(answers).split()) == {"NOTHING": 1, "RUNNING": 49}, f"round {number}"


async def test_a_process_that_is_killed_at_any_instant_has_lost_nothing_that_it_was_told_is_written(
    start: Start, one_more: Callable[[], Store], place: tuple[str, str]
) -> None:
    dice = random.Random(os.environ.get("GATEWAY_TEST_SEED", "9"))
    acknowledged: dict[str, str] = {}
    killed: list[int] = []
    for _ in range(KILLS):
        worker = await start("write")
        assert worker.stdout is not None
        acknowledged.update(await told(worker, dice.randrange(1, 60)))
        # Somewhere in the middle of a commit, or between two.
        await asyncio.sleep(dice.random() * 0.01)
        os.kill(worker.pid, signal.SIGKILL)
        killed.append(worker.pid)
        acknowledged.update(of(await worker.stdout.read()))
        await worker.wait()
    store = one_more()
    await store.open()
    outcomes = {record.reference: record.outcome async for record in store.search(Query())}
    assert len(acknowledged) > KILLS * 5
    lost = [reference for reference in acknowledged if reference not in outcomes]
    unsettled = [reference for reference, said in acknowledged.items() if said == "f" and not outcomes.get(reference)]
    assert (lost, unsettled) == ([], [])
    # What was begun and not settled is known as unknown, and not begun again, whether its index was written or not.
    await store.commit([Leave(f"writer {pid}") for pid in killed])
    await store.commit([Recover(10_000)])
    for reference, said in acknowledged.items():
        look = Look(an_entry(reference, claims=(a_claim(reference),)))
        met = (await meet(store, look)).met
        assert met is Met.REPLAY or (said == "b" and met is Met.UNKNOWN), (reference, said, met)
    rows = [record async for record in store.search(Query())]
    assert all(record.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN) for record in rows)
    await store.close()
    if place[0] == "sqlite":
        assert verify(Path(place[1]), sealer=SEALER).faults == ()


async def told(worker: Process, lines: int) -> dict[str, str]:
    """What it says in so many lines."""
    return of("\n".join([await line(worker) for _ in range(lines)]).encode())


def of(said: bytes) -> dict[str, str]:
    """By reference the last thing that was said of it: b (begun) or f (settled). A line cut off says nothing."""
    lines = [words.split() for words in said.decode().split("\n")]
    return {words[1]: words[0] for words in lines if len(words) == 2 and len(words[1]) == 26}


async def test_a_commit_whose_asker_is_cancelled_is_whole_or_not_there(store: Store) -> None:
    """It may not be half done, and the store goes on."""
    for number in range(20):
        operations: list[Begin] = [begin(an_entry(f"{number} {part}")) for part in range(5)]
        asked = asyncio.ensure_future(store.commit(operations))
        for _ in range(number % 4):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await store.commit([CountUnknown()])  # behind it
        written = [
            [record async for record in store.search(Query(reference=operation.entry.reference))]
            for operation in operations
        ]
        assert len({len(rows) for rows in written}) == 1
