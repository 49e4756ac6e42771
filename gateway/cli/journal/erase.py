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
    from gateway.cli.journal.opening import Desk, at_desk, check_index_key, fail
    from gateway.cli.journal.rows import counted
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
            if count and not click.confirm(f"Erase {counted(count, 'submission')} for good?", err=True):
                return 1
        who = operator()
        erasures = [
            Erase(index=index, reference=reference or "", who=who, why=why.strip()) for index in spelled or ((),)
        ]
        # In one transaction: a person is erased under all spellings or not at all.
        erased = sum(done for done in await desk.commit_all(erasures) if isinstance(done, int))
        if not erased:
            fail("nothing was found to erase.")
        click.echo(f"{counted(erased, 'submission')} erased.")
        return 0

    at_desk(config, work)
