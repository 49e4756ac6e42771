"""`gateway journal migrate`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import config_option

if TYPE_CHECKING:
    from gateway.journal.postgres import PostgresStore


@click.command()
@config_option
def command(config: Path) -> None:
    """Bring the schema of a journal in PostgreSQL to this version of the gateway.

    Run it once before the first gateway of a new version starts; those of the version before go on until they are
    stopped. Several hosts may run it at once. A journal in a file needs none: it is brought up to date when the
    gateway starts.
    """
    from gateway.cli.journal.opening import configured, in_words
    from gateway.journal.postgres import PostgresStore

    plan = configured(config).plan
    if plan.local:
        click.echo("The journal is a file; it is brought up to date when the gateway starts.")
        return
    with in_words():
        before, after = asyncio.run(_migrate(PostgresStore(plan.url)))
    changed = f"brought from version {before} to {after}" if before != after else f"is at version {after} already"
    click.echo(f"The journal's schema {'was ' if before != after else ''}{changed}.")


async def _migrate(store: PostgresStore) -> tuple[int, int]:
    try:
        return await store.migrate()
    finally:
        await store.close()
