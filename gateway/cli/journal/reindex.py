"""`gateway journal reindex`: all hashes anew, from what is kept of the leads.

The journal keeps no values to hash, so each lead is opened, read as it was read when it came, and hashed again. What
is not kept any more cannot be: such a row is recognised by nobody under a new key.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import config_option

if TYPE_CHECKING:
    from gateway.cli.journal.opening import Desk
    from gateway.journal.keys import Hashes
    from gateway.journal.operations import Reindex
    from gateway.journal.records import Record
    from gateway.journal.reserving import Reservation

_AT_ONCE = 500


@click.command()
@config_option
@click.option(
    "--from",
    "old",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="The index key that the journal was written with, when it is another one now; - for stdin.",
)
@click.option("--skip", is_flag=True, help="Leave leads out that cannot be read: nobody recognises them any more.")
def command(config: Path, old: Path | None, skip: bool) -> None:
    """Make all hashes anew after journal.index_key or journal.index has changed.

    Stop the gateway first: what it hashes meanwhile would be by the other key, and it refuses to start before this is
    done. Can be stopped and started again. Leads whose content is erased or past `retain` cannot be hashed again:
    their duplicates are recognised no longer. Idempotency keys are forgotten with a new key. Exit code 1: it is not
    done.
    """
    from gateway.cli.journal.opening import INDEX_KEY, at_desk, check_stopped, fail
    from gateway.cli.journal.rows import counted
    from gateway.journal.operations import Remember

    former = _former(old)

    async def work(desk: Desk) -> int:
        check_stopped(desk.configured)
        now = desk.configured.plan.hashes
        before = former or now
        mark = f"reindexing {before.name} {now.name}"
        kept = await desk.commit(Remember(INDEX_KEY, before.name))
        if kept == now.name and former is not None:
            fail("the journal is by the configured index_key already; without --from, journal.index alone is applied")
        if kept not in (before.name, mark):
            fail("the journal was written with another index_key; give that one with --from FILE")
        # A gateway that is started with either key before the end is refused.
        await desk.commit(Remember(INDEX_KEY, mark, replace=True))
        hashing = _Hashing(desk, before)
        hashed = await _hash_all(desk, hashing)
        for reference, why in hashing.failed.items():
            click.echo(f"not hashed: {reference}: {why}", err=True)
        if hashing.failed and not skip:
            fail("not done, and no gateway starts before it is: set that right and run it again, or use --skip")
        await desk.commit(Remember(INDEX_KEY, now.name, replace=True))
        click.echo(f"{counted(hashed, 'lead')} hashed anew.")
        if hashing.gone:
            click.echo(f"{hashing.gone} could not be: nothing is kept of what they said.", err=True)
        return 0

    at_desk(config, work)


def _former(file: Path | None) -> Hashes | None:
    """The hashes of the key in a file; None without one. Wrong use when it holds none."""
    from gateway.journal.keys import Hashes

    if file is None:
        return None
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        return Hashes(text.strip().encode())
    except (OSError, ValueError) as error:  # UnicodeDecodeError is one, and its text quotes the key
        why = error.strerror if isinstance(error, OSError) else "holds no index key"
        raise click.BadParameter(f"{file} {why or 'cannot be read'}.", param_hint="--from") from None


@dataclass(slots=True)
class _Both:
    """One program's hashes, as they were and as they are."""

    before: Reservation
    now: Reservation


class _Hashing:
    """From a record to what has to be written. gone: nothing is kept; failed: why, by reference."""

    def __init__(self, desk: Desk, before: Hashes) -> None:
        from gateway.journal.reserving import compile_reservation
        from gateway.settings.problems import loose_report

        self._desk = desk
        self._same_key = before.name == desk.configured.plan.hashes.name
        self._both = {
            name: _Both(
                compile_reservation(
                    settings.lead,
                    program=name,
                    signed_in=settings.auth != "none",
                    index=desk.configured.plan.index,
                    hashes=before,
                    report=loose_report(),
                ),
                desk.configured.composition.programs[name].reserve,
            )
            for name, settings in desk.configured.settings.items()
        }
        self.gone = 0
        self.failed: dict[str, str] = {}

    def __call__(self, record: Record) -> Reindex | None:
        from gateway.cli.journal.contents import NotReadable, contents_of, lead_of
        from gateway.datapost.reasons import Outcome
        from gateway.journal.operations import Reindex

        if record.sealed is None or not record.sealed.body:
            # Refused ones hold nothing and are not kept.
            self.gone += record.outcome is not Outcome.NONE
            return None
        try:
            both = self._both.get(record.program)
            if both is None:
                raise NotReadable(f"there is no program {record.program} any more")
            body = contents_of(record, self._desk.sealer).body
            program = self._desk.configured.composition.programs[record.program]
            lead, checked = lead_of(record, body, program)
        except NotReadable as why:
            self.failed[record.reference] = str(why)
            return None
        before, now = (
            reservation.entry(
                reference=record.reference,
                partner=record.partner,
                received_ms=record.received_ms,
                pairs=lead.pairs,
                typed=checked.typed,
                idempotency_key=None,
                content_type="",
                body=b"",
            )
            for reservation in (both.before, both.now)
        )
        claims = tuple((old.key, new.key) for old, new in zip(before.claims, now.claims, strict=True))
        return Reindex(record.reference, now.fingerprint, None, () if self._same_key else claims, now.index)


async def _hash_all(desk: Desk, hashing: _Hashing) -> int:
    """How many rows have new hashes."""
    from gateway.cli.journal.progress import Progress
    from gateway.journal.records import Query

    done = hashed = 0
    operations: list[Reindex] = []
    with Progress("leads hashed") as progress:
        async with desk.searching(Query(sealed=True)) as records:
            async for record in records:
                done += 1
                progress(done)
                if (operation := hashing(record)) is not None:
                    operations.append(operation)
                if len(operations) == _AT_ONCE:
                    hashed += await _write(desk, operations)
                    operations = []
        hashed += await _write(desk, operations)
    return hashed


async def _write(desk: Desk, operations: list[Reindex]) -> int:
    if not operations:
        return 0
    return sum(result is True for result in await desk.commit_all(operations))
