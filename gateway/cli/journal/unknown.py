"""`gateway journal unknown`."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.journal.options import program_option
from gateway.cli.options import config_option, json_option


@click.command()
@config_option
@program_option
@json_option
def command(config: Path, program: str | None, as_json: bool) -> None:
    """List the submissions whose outcome nobody knows, newest first.

    Their leads went out, no answer came or none that could be read, and no late answer has settled them. Until
    somebody says what became of them (gateway journal settle), the same lead is not sent again.
    """
    from gateway.cli.journal.opening import Desk, at_desk
    from gateway.cli.journal.rows import print_records
    from gateway.datapost.reasons import Outcome
    from gateway.journal.records import Query

    async def work(desk: Desk) -> int:
        query = Query(program=program or "", outcome=Outcome.UNKNOWN)
        async with desk.searching(query) as records:
            count = await print_records(records, as_json=as_json)
        if not count and not as_json:
            click.echo("No outcome is unknown.")
        return 0

    at_desk(config, work)
