"""`gateway journal erase`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli.journal.options import Reference, field_option, why_option
from gateway.cli.options import config_option


@click.command()
@config_option
@field_option
@click.option("--reference", metavar="REF", type=Reference(), help="Of this submission.")
@why_option
@click.option("--yes", is_flag=True, help="Do not ask on a terminal.")
def command(config: Path, fields: tuple[str, ...], reference: str | None, why: str, yes: bool) -> None:
    """Erase what is kept of a person or a submission: the lead, the legacy's answer, ours, and their key.

    What stays is that there was a submission, when, and what became of it, with your name and --why; and until their
    windows end the keyed hashes by which a resend is recognised. Backups: docs/journal.md. Exit code 1: nothing was
    found to erase.
    """
    from gateway.cli.journal.fields import search, wanted
    from gateway.cli.journal.opening import Desk, at_desk, check_index_key
    from gateway.cli.journal.settle import operator
    from gateway.journal.operations import Erase
    from gateway.journal.records import Query

    if bool(fields) == (reference is not None):
        raise click.UsageError("Say --field NAME=VALUE or --reference REF.")
    if not why.strip():
        raise click.UsageError("--why is empty.")

    async def work(desk: Desk) -> int:
        spelled = wanted(fields, desk.configured) if fields else ()
        if fields:
            await check_index_key(desk)
        if sys.stdin.isatty() and not yes:
            query = Query(reference=reference or "")
            count = 0
            async for record in search(desk, query, spelled):
                count += not record.erased
            if count and not click.confirm(f"Erase {_count(count)} for good?", err=True):
                return 1
        erased = 0
        for index in spelled or ((),):
            erase = Erase(index=index, reference=reference or "", who=operator(), why=why.strip())
            result = await desk.commit(erase)
            assert isinstance(result, int)  # noqa: S101  (the port's word)
            erased += result
        click.echo(f"{_count(erased)} erased." if erased else "Nothing was found to erase.", err=not erased)
        return 0 if erased else 1

    at_desk(config, work)


def _count(number: int) -> str:
    return f"{number} submission{'' if number == 1 else 's'}"
