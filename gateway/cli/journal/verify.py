"""`gateway journal verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import config_option

if TYPE_CHECKING:
    from gateway.cli.journal.opening import Configured, Desk

#: Faults that are listed; the rest is counted.
_MOST = 20


@click.command()
@config_option
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
def command(config: Path, folder: Path | None) -> None:
    """Check that the journal, or the backup in DIR, is whole, and open all that is sealed in it.

    May run beside a gateway; nothing is changed. Exit code 1: something is wrong, and said.
    """
    from gateway.cli.journal.opening import at_desk, configured, local_folder

    known = configured(config)
    if folder is not None or known.plan.local:
        raise SystemExit(_files(known, folder if folder is not None else local_folder(known)))
    at_desk(config, _database)


def _files(known: Configured, folder: Path) -> int:
    from gateway.cli.journal.opening import in_words
    from gateway.cli.journal.progress import Progress
    from gateway.journal.backup import verify

    sealer = known.plan.sealer() if known.plan.ring is not None else None
    with in_words(), Progress("checking submissions") as progress:
        verified = verify(folder, sealer=sealer, progress=progress)
    return _tell(verified.rows, verified.opened, verified.faults)


async def _database(desk: Desk) -> int:
    """Of a database the server checks what it keeps; whether it can be opened it cannot know."""
    from gateway.cli.journal.contents import NotReadable, contents_of
    from gateway.cli.journal.progress import Progress
    from gateway.journal.records import Query

    rows = opened = 0
    faults: list[str] = []
    with Progress("checking submissions") as progress:
        async with desk.searching(Query(sealed=True)) as records:
            async for record in records:
                rows += 1
                progress(rows)
                if record.sealed is None or record.sealed.key is None:
                    continue
                try:
                    contents = contents_of(record, desk.sealer)
                except NotReadable as why:
                    faults.append(f"{record.reference} {why}")
                    if len(faults) == _MOST:
                        break
                else:
                    opened += bool(contents.body) + bool(contents.answer) + (contents.members is not None)
    return _tell(rows, opened, faults)


def _tell(rows: int, opened: int, faults: tuple[str, ...] | list[str]) -> int:
    from gateway.cli.journal.rows import counted

    for fault in faults:
        click.echo(fault, err=True)
    found = "something is wrong" if faults else "all is well"
    click.echo(f"{counted(rows, 'submission')} checked, {counted(opened, 'sealed text')} opened: {found}.")
    return 1 if faults else 0
