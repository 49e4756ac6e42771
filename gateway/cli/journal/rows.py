"""Records as they are printed: a line for people, an object for programs. No value of a lead stands in a record."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import click

from gateway.cli.journal.moments import spelled
from gateway.datapost.reasons import Outcome
from gateway.journal.records import Record

#: What `--outcome` takes and what is printed: `none` was refused, `open` is being worked on.
OUTCOMES = ("accepted", "rejected", "error", "unknown", "none", "open")
_LINE = "{:<20}  {:<26}  {:<20}  {:<16}  {:<8}  {}"


def outcome_word(record: Record) -> str:
    if record.outcome is None:
        return "open"
    return record.outcome.value if record.outcome is not Outcome.NONE else "none"


def as_line(record: Record) -> str:
    marks = [
        word
        for word, true in (("late", record.late_ms), ("by hand", record.by_hand), ("erased", record.erased))
        if true
    ]
    reason = record.reason.slug if record.reason is not None else "-"
    if record.failure:
        reason += f" ({record.failure})"
    return _LINE.format(
        spelled(record.received_ms),
        record.reference,
        record.program,
        printable(record.partner) or "-",
        outcome_word(record),
        ", ".join([reason, *marks]),
    )


def as_data(record: Record) -> dict[str, object]:
    """JSON's names and values; null where there is nothing to say yet."""
    return {
        "reference": record.reference,
        "program": record.program,
        "partner": record.partner,
        "received": spelled(record.received_ms),
        "delivery": record.delivery.value,
        "outcome": outcome_word(record),
        "reason": record.reason.slug if record.reason is not None else None,
        "first_reason": record.first_reason.slug if record.first_reason is not None else None,
        "rule": record.rule or None,
        "failure": record.failure or None,
        "upstream_status": record.upstream_status or None,
        "settled": spelled(record.settled_ms) if record.settled_ms else None,
        "late": spelled(record.late_ms) if record.late_ms else None,
        "by_hand": record.by_hand,
        "erased": record.erased,
        "faults": list(record.faults),
    }


def dump(data: object) -> str:
    """One line of JSON."""
    return json.dumps(data, ensure_ascii=False)


def printable(text: str) -> str:
    """Text as it can stand on a terminal: partners choose names, legacy systems answers."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


async def print_records(records: AsyncIterator[Record], *, as_json: bool) -> int:
    """Print each as it comes; how many there were."""
    line: Callable[[Record], str] = (lambda record: dump(as_data(record))) if as_json else as_line
    count = 0
    async for record in records:
        if not count and not as_json:
            click.echo(_LINE.format("RECEIVED", "REFERENCE", "PROGRAM", "PARTNER", "OUTCOME", "REASON"))
        click.echo(line(record))
        count += 1
    return count


def counted(number: int, word: str) -> str:
    """`1 lead`, `2 leads`."""
    return f"{number} {word}{'' if number == 1 else 's'}"
