"""A process of its own over a journal, for tests that need two of them, or one that dies.

python -m tests.support.store_worker rush KIND PLACE     a line in: so many identical leads at once; a line out
python -m tests.support.store_worker write KIND PLACE    leads without end; a line for each that is acknowledged
"""

from __future__ import annotations

import asyncio
import os
import sys

from gateway.datapost.reasons import Reason
from gateway.journal.operations import Beat
from gateway.journal.port import Store
from gateway.journal.values import Met
from tests.support.journals import a_claim, an_entry
from tests.support.stores import a_store, begin, finish, meet

#: Leads that a writer has in flight, and rows in memory before its index moves them: many runs are cut off.
_AT_ONCE = 8
_RUN = 40


async def rush(store: Store) -> None:
    """`ROUND COUNT`: begin the lead of this round so many times at once; what each met."""
    loop = asyncio.get_running_loop()
    say("ready")
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        lead, count = f"round {line[0]}", int(line[1])
        prefix = f"{os.getpid():08d}{int(line[0]):010d}"
        entries = [an_entry(lead, reference=f"{prefix}{number:08d}") for number in range(count)]
        meetings = await asyncio.gather(*(meet(store, begin(entry)) for entry in entries))
        say(" ".join(meeting.met.name for meeting in meetings))


async def write(store: Store) -> None:
    """Begin and settle leads of their own until killed. `b REF` once begun, `f REF` once settled."""
    await store.commit([Beat(f"writer {os.getpid()}", 60_000)])
    say("ready")

    async def one_after_another(lane: int) -> None:
        number = 0
        while True:
            number += 1
            reference = f"{os.getpid():08d}{lane:04d}{number:014d}"
            entry = an_entry(reference, reference=reference, claims=(a_claim(reference),))
            if (await meet(store, begin(entry, f"writer {os.getpid()}"))).met is Met.NOTHING:
                say(f"b {reference}")
                if await store.commit([finish(reference, Reason.ACCEPTED)]) == [True]:
                    say(f"f {reference}")

    await asyncio.gather(*(one_after_another(lane) for lane in range(_AT_ONCE)))


def say(line: str) -> None:
    """Past all buffers: what was said before a kill -9 was said."""
    os.write(1, line.encode() + b"\n")


async def main(mode: str, kind: str, place: str) -> None:
    store = a_store(kind, place, run=_RUN)
    await store.open()
    await {"rush": rush, "write": write}[mode](store)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
