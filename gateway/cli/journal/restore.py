"""`gateway journal restore`."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.options import config_option


@click.command()
@config_option
@click.option(
    "--keys",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The newest keys.sqlite3, when it is not the one in DIR.",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def command(config: Path, keys: Path | None, folder: Path) -> None:
    """Put the backup in DIR in the place of a journal that is gone; the gateway must not run.

    Nothing is overwritten: where there is a journal, nothing is done. Of the leads that came after the backup the
    restored journal knows nothing: the gateway starts with --after-restore only, which says what that means.
    """
    from gateway.cli.journal.opening import check_stopped, configured, in_words, local_folder
    from gateway.cli.journal.progress import Progress
    from gateway.cli.journal.rows import counted
    from gateway.journal.backup import restore

    known = configured(config)
    target = local_folder(known)
    check_stopped(known)
    with in_words(), Progress("restoring submissions") as progress:
        copied = restore(folder, target, keys=keys, progress=progress)
    click.echo(f"{counted(copied.rows, 'submission')} and {counted(copied.keys, 'record key')} restored to {target}.")
    if copied.shredded:
        click.echo(f"Of {copied.shredded} the key is gone: they were erased after the backup, and are so here.")
    click.echo("Start the gateway once with: gateway serve --after-restore")
