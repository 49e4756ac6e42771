"""What the journal in a file costs: a lead's two commits through the engine, small and large, and what recovery takes.

    python bench/journal.py [--rows 1000000] [--leads 20000] [--folder DIR]

32 leads in flight, full durability, sealing included: begin (claim, fingerprint, two index hashes, 900 bytes of
body), finish (members, 300 bytes of answer). A small journal and a large one take turns, so that a busy machine
slows both. CPU is the whole process's, both threads, minus what making the leads costs.
"""

import argparse
import asyncio
import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from gateway.datapost.reasons import Delivery, Outcome, Reason
from gateway.datapost.values import DataPostResponse
from gateway.intake.reference import References
from gateway.journal.engine import Journal
from gateway.journal.keys import Hashes
from gateway.journal.operations import Begin, Recover
from gateway.journal.sealing import KeyRing, Sealer
from gateway.journal.sqlite import SqliteStore
from gateway.journal.values import Claim, Entry, Met, Settlement

DAY_MS = 86_400_000
IN_FLIGHT = 32
OPEN = 10_000
TURNS = 20
BODY, ANSWER = os.urandom(450).hex().encode(), os.urandom(150).hex().encode()
MEMBERS = DataPostResponse(
    valid=True,
    uniqueid="0123456789",
    sale_amount="12.50",
    email="somebody@example.com",
    note="Lead submitted successfully [accepted ref=01JD0000000000000000000000]",
)
references = References()
sealer = Sealer(KeyRing([bytes(range(32))]))


class Silent:
    """A watch that says nothing."""

    def __getattr__(self, name):
        return lambda *_: None


def entry(now_ms):
    some = os.urandom(64)
    return Entry(
        reference=references.new(),
        program="auto-insurance",
        partner="acme",
        received_ms=now_ms,
        fingerprint=some[:16],
        replay_ms=600_000,
        unknown_hold_ms=30 * DAY_MS,
        claims=(Claim("same_email", some[16:32], 30 * DAY_MS),),
        index=(some[32:48], some[48:]),
        content_type="application/json",
        body=BODY,
    )


def settlement(reference):
    return Settlement(
        reference=reference, reason=Reason.ACCEPTED, delivery=Delivery.ANSWERED, outcome=Outcome.ACCEPTED,
        members=MEMBERS, rule="thank_you", upstream_status=200, answer=ANSWER,
    )  # fmt: skip


async def leads(journal, count):
    """So many leads, 32 at once; (CPU, wall) microseconds a lead, and the slowest commit in milliseconds."""
    now_ms = journal.now_ms()
    entries = [entry(now_ms) for _ in range(count)]
    settlements = {one.reference: settlement(one.reference) for one in entries}
    todo = iter(entries)
    slowest = 0.0

    async def lane():
        nonlocal slowest
        for one in todo:
            before = time.perf_counter()
            meeting = await journal.begin(one)
            assert meeting.met is Met.NOTHING
            between = time.perf_counter()
            assert await journal.finish(settlements[one.reference])
            slowest = max(slowest, between - before, time.perf_counter() - between)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(IN_FLIGHT)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return cpu / count * 1e6, wall / count * 1e6, slowest * 1e3


async def fill(folder, rows):
    """A journal of so many settled leads, by its own means in large commits."""
    from gateway.journal.operations import Finish

    store = SqliteStore(folder)
    await store.open()
    cipher = sealer.fresh("filling")
    body, members, answer = (cipher.seal(column, text) for column, text in (("b", BODY), ("m", ANSWER), ("a", ANSWER)))
    last = []
    for at in range(0, rows + 500, 500):
        now_ms = await store.now_ms()
        entries = [entry(now_ms) for _ in range(500)] if at < rows else []
        begins = [Begin(one, "filling", cipher.key, body) for one in entries]
        await store.commit([*begins, *(Finish(settlement(one.reference), members, answer) for one in last)])
        last = entries
        if at and at % 100_000 == 0:
            print(f"  {at:,} rows", flush=True)
    await store.close()


async def open_journal(folder):
    journal = Journal(SqliteStore(folder), sealer, Hashes(b"a key for benchmarks"), Silent())
    await journal.start()
    return journal


async def recovery(folder):
    """Seconds from opening a journal with 10,000 leads left open to the last of them settled, and the opening alone."""
    store = SqliteStore(folder)
    await store.open()
    cipher = sealer.fresh("recovery")
    now_ms = await store.now_ms()
    for _ in range(OPEN // 500):
        await store.commit([Begin(entry(now_ms), "dead", cipher.key, BODY) for _ in range(500)])
    await store.close()
    start = time.perf_counter()
    await store.open()
    await store.commit([])
    opened = time.perf_counter() - start
    settled = 0
    while some := (await store.commit([Recover()]))[0]:
        settled += len(some)
    took = time.perf_counter() - start
    assert settled == OPEN, settled
    await store.close()
    return took, opened


def bytes_a_lead(folder):
    path = folder / "journal.sqlite3"
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT count(*) FROM submissions").fetchone()[0]
        hashes = db.execute("SELECT count(*) FROM hashes").fetchone()[0]
    return path.stat().st_size / rows, hashes / rows


async def main(rows, count, base):
    small, large = base / "small", base / "large"
    print(f"Filling {rows:,} rows …", flush=True)
    await fill(small, 10_000)
    await fill(large, rows)
    journals = {"10,000": await open_journal(small), f"{rows:,}": await open_journal(large)}
    figures = {name: [] for name in journals}
    for _ in range(TURNS):
        for name, journal in journals.items():
            figures[name].append(await leads(journal, count // TURNS))
    for journal in journals.values():
        await journal.close()
    print(f"A lead's two commits, {IN_FLIGHT} in flight, by rows in the journal:")
    for name, turns in figures.items():
        cpu, wall = sorted(turn[0] for turn in turns), min(turn[1] for turn in turns)
        slowest = max(turn[2] for turn in turns)
        print(f"  {name:>10}: {statistics.median(cpu):.1f} µs CPU (of {TURNS} turns {cpu[0]:.1f} to {cpu[-1]:.1f}), "
              f"{wall:.0f} µs wall at best, slowest commit {slowest:.0f} ms")  # fmt: skip
    size, hashes = bytes_a_lead(large)
    texts = f"{len(BODY)} bytes of body, {len(ANSWER)} of answer"
    print(f"  {size:.0f} bytes a lead on disk ({texts}; {hashes:.2f} keys indexed)")
    took, opened = await recovery(large)
    print(f"Recovery of {OPEN:,} open leads among {rows:,}: {took:.2f} s, of which opening {opened:.2f} s")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--leads", type=int, default=40_000)
    options.add_argument("--folder", type=Path, help="on the disk that is to be measured; a temporary one if missing")
    chosen = options.parse_args()
    where = Path(tempfile.mkdtemp(prefix="journal-bench-", dir=chosen.folder))
    try:
        uvloop.run(main(chosen.rows, chosen.leads, where))
    finally:
        shutil.rmtree(where)
