"""`gateway journal backup`."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.options import config_option


@click.command()
@config_option
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def command(config: Path, folder: Path) -> None:
    """Copy the journal's file into DIR while the gateway runs, in the place of an earlier backup there.

    Two files: journal.sqlite3 holds everything but the records' keys, keys.sqlite3 these. Keep as many of the first
    as you like and the newest of the second alone, and what is erased is erased from all backups. The keys of the
    ring (journal.key) are in neither. A journal in PostgreSQL is backed up by pg_dump: docs/journal.md.
    """
    from gateway.cli.journal.opening import configured, in_words, local_folder
    from gateway.cli.journal.progress import Progress
    from gateway.cli.journal.rows import counted
    from gateway.journal.backup import backup

    source = local_folder(configured(config))
    with in_words(), Progress("copying submissions") as progress:
        copied = backup(source, folder, progress)
    click.echo(f"{counted(copied.rows, 'submission')} and {counted(copied.keys, 'record key')} copied to {folder}.")
