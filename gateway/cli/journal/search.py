"""`gateway journal search`."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import click

from gateway.cli.journal.options import field_option, partner_option, program_option, since_option, until_option
from gateway.cli.journal.rows import OUTCOMES, print_records
from gateway.cli.options import config_option, json_option


@click.command()
@config_option
@program_option
@partner_option
@click.option("--reason", metavar="REASON", help="With this reason: docs/reasons.md.")
@click.option(
    "--outcome",
    type=click.Choice(OUTCOMES),
    help="With this outcome; none: refused by the gateway, open: being worked on.",
)
@since_option
@until_option
@field_option
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@json_option
def command(
    config: Path,
    program: str | None,
    partner: str | None,
    reason: str | None,
    outcome: str | None,
    since: str | None,
    until: str | None,
    fields: tuple[str, ...],
    limit: int | None,
    as_json: bool,
) -> None:
    """Find submissions, newest first: a line each, or a JSON object a line with --json.

    All conditions given must hold. Values of leads are neither shown nor kept readable: --field compares keyed hashes.
    A time without an offset is meant in the programs' time zone when they share one (--program: in that one's), else
    in UTC; times are printed in UTC. Exit code 1: nothing was found.
    """
    from gateway.cli.journal.fields import search, wanted
    from gateway.cli.journal.moments import moment_ms, zone_of
    from gateway.cli.journal.opening import Desk, at_desk, check_index_key
    from gateway.datapost.reasons import Outcome, Reason
    from gateway.journal.records import Query

    reasons = {one.slug: one for one in Reason}
    if reason is not None and reason not in reasons:
        raise click.BadParameter(f"is none of {', '.join(reasons)}.", param_hint="--reason")
    outcomes = {one.value or "none": one for one in Outcome}

    async def work(desk: Desk) -> int:
        spelled = wanted(fields, desk.configured, program) if fields else ()
        if fields:
            await check_index_key(desk)
        programs = desk.configured.composition.programs.values()
        zone = zone_of(one.timezone for one in programs if program in (None, one.name))
        now_ms = await desk.store.now_ms()
        query = Query(
            program=program or "",
            partner=partner or "",
            reason=None if reason is None else reasons[reason],
            outcome=None if outcome is None else outcomes.get(outcome),
            open=outcome == "open",
            since_ms=moment_ms("--since", since, zone, now_ms),
            until_ms=moment_ms("--until", until, zone, now_ms),
            limit=limit or 0,
        )
        async with aclosing(search(desk, query, spelled)) as records:
            found = await print_records(records, as_json=as_json)
        if not found and not as_json:
            click.echo("Nothing was found.", err=True)
        return 0 if found else 1

    at_desk(config, work)
