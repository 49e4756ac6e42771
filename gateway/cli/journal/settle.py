"""`gateway journal settle`: an operator who asked the legacy's people says what became of a lead."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.journal.options import reference_argument, why_option
from gateway.cli.options import config_option

if TYPE_CHECKING:
    from gateway.cli.journal.opening import Configured
    from gateway.datapost.contract import Conclusion
    from gateway.datapost.values import Reading
    from gateway.journal.records import Record
    from gateway.journal.sealing import Sealer


@click.command()
@config_option
@click.option("--accepted", "verdict", flag_value="accepted", help="The legacy took the lead.")
@click.option("--rejected", "verdict", flag_value="rejected", help="It did not.")
@click.option("--uniqueid", metavar="ID", help="The legacy's ID of an accepted lead; it becomes the Order ID.")
@click.option("--sale-amount", metavar="AMOUNT", help="What an accepted lead is worth, as the legacy writes it.")
@why_option
@reference_argument
def command(
    config: Path, verdict: str | None, uniqueid: str | None, sale_amount: str | None, why: str, reference: str
) -> None:
    """Say what became of a submission whose outcome is unknown.

    An accepted one keeps its claims, a rejected one gives them back; whoever sends the same lead again gets this
    answer. Your name and --why are kept. The partner is not told by this: gateway journal export --late writes what
    the platform takes. Exit code 1: its outcome is not unknown.
    """
    from gateway.cli.journal.contents import NotReadable, cipher_of
    from gateway.cli.journal.moments import spelled
    from gateway.cli.journal.opening import Desk, at_desk, fail
    from gateway.cli.journal.rows import outcome_word
    from gateway.datapost.reasons import Outcome, Reason
    from gateway.datapost.values import Reading, Verdict
    from gateway.journal.operations import SettleByHand
    from gateway.journal.records import Query
    from gateway.journal.sealing import pack_members

    if verdict is None:
        raise click.UsageError("Say --accepted or --rejected.")
    accepted = verdict == "accepted"
    if not accepted and (uniqueid or sale_amount):
        raise click.UsageError("--uniqueid and --sale-amount go with --accepted.")
    if not why.strip():
        raise click.UsageError("--why is empty.")

    async def work(desk: Desk) -> int:
        record = await desk.find(Query(reference=reference, sealed=True))
        if record is None:
            fail(f"there is no submission {reference} in the journal")
        reading = Reading(
            Verdict.ACCEPTED if accepted else Verdict.REJECTED, uniqueid=uniqueid or None, sale_amount=sale_amount
        )
        conclusion = _conclude(record, reading, desk.configured, desk.sealer)
        if accepted and conclusion.reason is not Reason.ACCEPTED:
            raise click.UsageError(_missing(uniqueid, sale_amount))
        try:
            packed = pack_members(conclusion.answer, conclusion.legacy_id or "")
            members = cipher_of(record, desk.sealer).seal("members", packed)
        except NotReadable:
            members = b""  # nothing is kept of what it said, and nothing is added
        operation = SettleByHand(
            reference=reference,
            outcome=Outcome.ACCEPTED if accepted else Outcome.REJECTED,
            members=members,
            who=operator(),
            why=why.strip(),
        )
        if not await desk.commit(operation):
            now = await desk.find(Query(reference=reference)) or record
            since = f" since {spelled(now.late_ms or now.settled_ms)}" if now.settled_ms else ""
            fail(f"the outcome of {reference} is not unknown: it is {outcome_word(now)}{since}")
        order_id = f", uniqueid {conclusion.answer.uniqueid}" if accepted else ""
        click.echo(f"{reference} is {verdict}{order_id}.")
        return 0

    at_desk(config, work)


def _conclude(record: Record, reading: Reading, known: Configured, sealer: Sealer) -> Conclusion:
    """The answer as the program would have given it then; e-mail and customer ID as far as the lead is still kept."""
    from gateway.cli.journal.contents import NotReadable, contents_of, lead_of
    from gateway.datapost import compile_contract
    from gateway.settings.models import AnswerSettings
    from gateway.settings.problems import loose_report

    program = known.composition.programs.get(record.program)
    if program is None:
        usual = compile_contract(AnswerSettings(), program=record.program, id_key=None, report=loose_report())
        return usual.conclude(reading, {}, record.reference)
    try:
        _, checked = lead_of(record, contents_of(record, sealer).body, program)
    except NotReadable:
        return program.contract.conclude(reading, {}, record.reference)
    return program.contract.conclude(reading, checked.fields, record.reference)


def _missing(uniqueid: str | None, sale_amount: str | None) -> str:
    if sale_amount:
        return f"--sale-amount {sale_amount} is no amount as the program writes it (answer.sale_amount.money)."
    if uniqueid:
        return "The ID is none that can be shown; see answer.uniqueid."
    return "The program needs an ID for an accepted lead; give it with --uniqueid."


def operator() -> str:
    """Who does this, for the audit; with sudo, who asked for it."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's number without a name
        user = f"uid {os.getuid()}"
    asked = os.environ.get("SUDO_USER", "")
    return f"{asked} (as {user})" if asked and asked != user else user
