"""`gateway journal export`: conversions as CSV, for the platform's upload and for reconciling with the legacy.

The columns of --late are those that impact.com takes for conversions at the order level (its reference "Conversion
Data", https://integrations.impact.com/impact-brand/docs/order-level-data): names, case and formats are the
platform's. Nothing else of a lead is opened than what stands in them: the click ID, and what the answer to the
partner says anyway.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.journal.options import program_option, since_option, until_option
from gateway.cli.options import config_option

if TYPE_CHECKING:
    from gateway.cli.journal.opening import Desk
    from gateway.journal.records import Record

#: The platform's names. CampaignId and ActionTrackerId are the account's, and the same in all lines.
LATE_COLUMNS = (
    "CampaignId",
    "ActionTrackerId",
    "EventDate",
    "OrderId",
    "ClickId",
    "CustomerId",
    "CurrencyCode",
    "Amount",
)
#: The same names for the same things, and beside them what finds a lead here and there.
ACCEPTED_COLUMNS = (
    "Reference",
    "Program",
    "Partner",
    "EventDate",
    "LegacyId",
    "OrderId",
    "CustomerId",
    "CurrencyCode",
    "Amount",
    "AcceptedLate",
)
# Size as in the platform's reference; what is no such text was not made by the platform.
_is_click_id = re.compile(r"[!-~]{1,64}").fullmatch

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ids:
    """What the platform calls this program."""

    campaign: str
    action_tracker: str


@click.command()
@config_option
@click.option("--late", "kind", flag_value="late", help="Accepted after the partner was told that it was not known.")
@click.option("--accepted", "kind", flag_value="accepted", help="All that were accepted, to compare with the legacy.")
@program_option
@since_option
@until_option
@click.option("--campaign-id", metavar="N", default="", help="With --late: the column CampaignId.")
@click.option("--action-tracker-id", metavar="N", default="", help="With --late: the column ActionTrackerId.")
@click.option("--ids", is_flag=True, help="With --accepted: the legacy's IDs alone, one a line.")
def command(
    config: Path,
    kind: str | None,
    program: str | None,
    since: str | None,
    until: str | None,
    campaign_id: str,
    action_tracker_id: str,
    ids: bool,
) -> None:
    """Write conversions as CSV, newest first.

    --late is for the platform's upload. It needs `attribution: {click_id: FIELD}` in the program; a conversion
    without a click ID, or whose content was erased, cannot be uploaded and is listed on stderr. --since and --until
    are then about the time at which the lead turned out to be accepted.

    --accepted is for reconciling with the legacy's own list; --since and --until are about when leads came. A lead
    whose content is gone has a line without IDs and amount, and is listed on stderr.
    Times are read as gateway journal search reads them. Exit code 1: not all could be written.
    """
    from gateway.cli.journal.contents import NotReadable
    from gateway.cli.journal.moments import moment_ms, zone_of
    from gateway.cli.journal.opening import at_desk
    from gateway.datapost.reasons import Outcome
    from gateway.journal.records import Query

    if kind is None:
        raise click.UsageError("Say --late or --accepted.")
    late = kind == "late"
    if ids and late:
        raise click.UsageError("--ids goes with --accepted.")
    if (campaign_id or action_tracker_id) and not late:
        raise click.UsageError("--campaign-id and --action-tracker-id go with --late.")

    async def work(desk: Desk) -> int:
        missing = False
        known = desk.configured
        if program is not None:
            known.program(program)
        elif (campaign_id or action_tracker_id) and len(known.settings) > 1:
            raise click.UsageError(
                f"There are several programs; say which with --program: {', '.join(known.settings)}."
            )
        zone = zone_of(one.timezone for one in known.composition.programs.values() if program in (None, one.name))
        now_ms = await desk.store.now_ms()
        since_ms, until_ms = moment_ms("--since", since, zone, now_ms), moment_ms("--until", until, zone, now_ms)
        query = Query(program=program or "", outcome=Outcome.ACCEPTED, sealed=True, late=late)
        row = _late_row(desk, _Ids(campaign_id, action_tracker_id)) if late else _accepted_row(desk)
        table = _Table(LATE_COLUMNS if late else ACCEPTED_COLUMNS, "LegacyId" if ids else None)
        if not late:
            query = replace(query, since_ms=since_ms, until_ms=until_ms)
        async with desk.searching(query) as records:
            async for record in records:
                if late and not (since_ms or 0) <= record.late_ms < (until_ms or record.late_ms + 1):
                    continue
                try:
                    table.add(row(record))
                except NotReadable as why:
                    missing = True
                    click.echo(f"not {'uploadable' if late else 'complete'}: {record.reference}: {why}", err=True)
                    if not late and not ids:
                        table.add(_accepted_cells(record))
        return 1 if missing else 0

    at_desk(config, work)


class _Table:
    """CSV on stdout, its columns first; or one of them, a line each."""

    def __init__(self, columns: Row, alone: str | None) -> None:
        self._alone = None if alone is None else columns.index(alone)
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        if self._alone is None:
            self._writer.writerow(columns)

    def add(self, row: Row) -> None:
        if self._alone is None:
            self._writer.writerow(row)
        else:
            click.echo(row[self._alone])


def _late_row(desk: Desk, ids: _Ids) -> Callable[[Record], Row]:
    from gateway.cli.journal.contents import NotReadable, contents_of, lead_of
    from gateway.cli.journal.moments import spelled

    def row(record: Record) -> Row:
        settings = desk.configured.settings.get(record.program)
        if settings is None or settings.attribution is None:
            raise NotReadable(f"its program {record.program} does not say `attribution: {{click_id: FIELD}}`")
        contents = contents_of(record, desk.sealer)
        if contents.members is None:
            raise NotReadable("its answer is not kept")
        _, checked = lead_of(record, contents.body, desk.configured.composition.programs[record.program])
        click_id = checked.fields.get(settings.attribution.click_id, "")
        if not click_id:
            raise NotReadable(f"the lead has no {settings.attribution.click_id}")
        if not _is_click_id(click_id):
            raise NotReadable(f"{settings.attribution.click_id} holds no click ID")
        members = contents.members
        return (
            ids.campaign,
            ids.action_tracker,
            spelled(record.received_ms),
            members.uniqueid,
            click_id,
            members.customerid,
            _currency(desk, record, members.sale_amount),
            members.sale_amount,
        )

    return row


def _accepted_row(desk: Desk) -> Callable[[Record], Row]:
    from gateway.cli.journal.contents import NotReadable, contents_of

    def row(record: Record) -> Row:
        contents = contents_of(record, desk.sealer)
        members = contents.members
        if members is None:
            raise NotReadable("its answer is not kept")
        return _accepted_cells(
            record,
            # Without an ID of the legacy's own it knows the lead by none, and the reference stood in.
            LegacyId=contents.legacy_id or members.uniqueid,
            OrderId=members.uniqueid,
            CustomerId=members.customerid,
            CurrencyCode=_currency(desk, record, members.sale_amount),
            Amount=members.sale_amount,
        )

    return row


def _accepted_cells(record: Record, **opened: str) -> Row:
    """What the row says, and beside it what was opened, if anything could be."""
    from gateway.cli.journal.moments import spelled

    known: Mapping[str, str] = {
        "Reference": record.reference,
        "Program": record.program,
        "Partner": record.partner,
        "EventDate": spelled(record.received_ms),
        "AcceptedLate": spelled(record.late_ms) if record.late_ms else "",
        **opened,
    }
    return tuple(known.get(column, "") for column in ACCEPTED_COLUMNS)


def _currency(desk: Desk, record: Record, amount: str) -> str:
    settings = desk.configured.settings.get(record.program)
    return settings.answer.sale_amount.money.currency if amount and settings is not None else ""
