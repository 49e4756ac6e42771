"""`gateway journal rotate`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from gateway.cli.options import config_option

if TYPE_CHECKING:
    from gateway.cli.journal.opening import Desk
    from gateway.journal.operations import RecordKey

_AT_ONCE = 1000


@click.command()
@config_option
def command(config: Path) -> None:
    """Wrap the keys of all records by the ring's newest key, so that older ones can be taken out of it.

    The newest key is the first line of journal.key; the running gateway must know it already. What the records say
    is not touched, and leads go on meanwhile. Can be stopped and started again. Exit code 1: some are wrapped by a
    key that the ring does not have.
    """
    from gateway.cli.journal.opening import at_desk
    from gateway.cli.journal.progress import Progress
    from gateway.cli.journal.rows import counted

    async def work(desk: Desk) -> int:
        total = 0
        async for page in _foreign(desk):
            total += len(page)
        done = wrapped = 0
        missing: set[str] = set()
        with Progress("wrapping keys") as progress:
            async for page in _foreign(desk):
                wrapped += await _rewrap(desk, page, missing)
                done += len(page)
                progress(done, total)
        current = desk.sealer.ring.current
        click.echo(f"{counted(wrapped, 'record key')} wrapped anew; all new ones are by key {current}.")
        for key_id in sorted(missing):
            click.echo(f"Some are wrapped by key {key_id}, which the ring does not have, or do not open.", err=True)
        return 1 if missing else 0

    at_desk(config, work)


Page = tuple[tuple[str, "RecordKey"], ...]


async def _foreign(desk: Desk) -> AsyncIterator[Page]:
    """References and record keys that are wrapped by another key than the newest, a page at a time."""
    from gateway.journal.operations import ForeignKeys

    after = ""
    while page := cast(Page, await desk.commit(ForeignKeys(desk.sealer.ring.current, after, _AT_ONCE))):
        yield page
        after = page[-1][0]


async def _rewrap(desk: Desk, page: Page, missing: set[str]) -> int:
    from gateway.journal.operations import Rewrap
    from gateway.journal.sealing import KeyMissing, SealBroken

    changes = []
    for reference, key in page:
        try:
            changes.append((reference, key, desk.sealer.rewrapped(reference, key)))
        except (KeyMissing, SealBroken):
            missing.add(key.key_id)
    return cast(int, await desk.commit(Rewrap(tuple(changes)))) if changes else 0
