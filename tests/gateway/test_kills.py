"""kill -9 at any moment, and two processes at once: no acknowledged lead is missing, none arrives twice.

The number of kills and rounds grows with GATEWAY_STORM (a factor; 1 in CI, 50 for the figures of the issue).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

from gateway.journal.records import Query
from tests.support.client import Answer, basic, exchange, request
from tests.support.process import Serving, serving
from tests.support.running import OK, PATH, USER, composed, write_configuration
from tests.support.upstreams import ScriptedUpstream

STORM = int(os.environ.get("GATEWAY_STORM", "1"))
AUTHORIZATION = basic(USER, "pass-kanarienvogel-word")
PROGRAM = {
    "lead": {
        "replay": {"window": "10m"},
        "unknown_hold": "30d",
        "duplicates": [{"name": "same_email", "key": ["email"], "window": "30d"}],
    },
    "upstream": {"max_in_flight": 200},
}


class Recording:
    """An upstream that counts how often each lead arrives, and answers after a moment that differs."""

    def __init__(self) -> None:
        self.arrivals: Counter[bytes] = Counter()
        self._turns = random.Random(7)

    async def __call__(self, peer: Any) -> None:
        data = await peer.request()
        self.arrivals[data.partition(b"\r\n\r\n")[2]] += 1
        for _ in range(self._turns.randrange(40)):
            await asyncio.sleep(0)
        await peer.send(OK)


def lead(number: int) -> str:
    return f"email=jane{number}@example.com&state=CA"


async def submit(gateway: Serving, number: int) -> Answer | None:
    """One lead; None when no answer came."""
    try:
        return await exchange(gateway.port, request(PATH, lead(number), authorization=AUTHORIZATION))
    except (OSError, asyncio.IncompleteReadError):
        return None


async def test_killed_under_load_it_loses_no_acknowledged_lead_and_sends_none_twice(tmp_path: Path) -> None:
    upstream = Recording()
    numbers = itertools.count()
    moments = random.Random(3)
    acknowledged: dict[str, str] = {}  # reference -> reason
    unanswered: list[int] = []
    async with ScriptedUpstream(upstream) as legacy:
        configuration = write_configuration(tmp_path, legacy.url, program=PROGRAM)
        for round_ in range(5 * STORM):
            async with serving(configuration, tmp_path / f"log{round_}") as gateway:
                # What got no answer the last time is sent again, as a partner would.
                again, unanswered = unanswered, []
                done = asyncio.Event()
                killed_after = moments.randrange(20, 150)

                async def partner(
                    gateway: Serving, again: list[int], lost: list[int], done: asyncio.Event, most: int
                ) -> None:
                    while not done.is_set():
                        resent = bool(again)
                        number = again.pop() if resent else next(numbers)
                        answer = await submit(gateway, number)
                        if answer is None:
                            lost.append(number)
                            return
                        if not resent:  # a replay is no new row that must last
                            acknowledged[answer.headers["x-request-id"]] = answer.reason
                        if len(acknowledged) and len(acknowledged) % most == 0:
                            done.set()

                partners = [
                    asyncio.create_task(partner(gateway, again, unanswered, done, killed_after)) for _ in range(16)
                ]
                await done.wait()
                gateway.process.kill()
                await asyncio.gather(*partners)
                unanswered += again
        async with serving(configuration, tmp_path / "log") as gateway:
            for number in unanswered:
                answer = await submit(gateway, number)
                assert answer is not None
                assert answer.reason in ("accepted", "outcome_unknown", "duplicate", "unrecognized_answer")
            assert await gateway.end() == 0
    assert max(upstream.arrivals.values()) == 1, "a lead arrived twice"
    store = composed(configuration).journal.store()
    await store.open()
    try:
        rows = {record.reference: record async for record in store.search(Query(limit=1_000_000))}
    finally:
        await store.close()
    accepted = [reference for reference, reason in acknowledged.items() if reason == "accepted"]
    assert len(accepted) > 50
    missing = [reference for reference in accepted if reference not in rows]
    assert not missing, f"{len(missing)} acknowledged leads are not in the journal"


async def test_of_fifty_identical_leads_at_once_on_two_processes_one_goes_upstream(
    tmp_path: Path, store: dict[str, Any]
) -> None:
    upstream = Recording()
    async with ScriptedUpstream(upstream) as legacy:
        configuration = write_configuration(tmp_path, legacy.url, program=PROGRAM, top=store)
        async with (
            serving(configuration, tmp_path / "one") as one,
            serving(configuration, tmp_path / "two") as two,
        ):
            for round_ in range(4 * STORM):
                answers = await asyncio.gather(*(submit(both, round_) for _ in range(25) for both in (one, two)))
                assert {answer.reason for answer in answers if answer is not None} == {"accepted"}
                assert None not in answers
            assert await one.end() == 0
            assert await two.end() == 0
    assert set(upstream.arrivals.values()) == {1}
    assert len(upstream.arrivals) == 4 * STORM
