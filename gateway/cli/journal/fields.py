"""`--field NAME=VALUE`: from what somebody looks for to the hashes under which the journal knows it.

A field may be read another way by each program (a phone number by its region), so one value may have several hashes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING

import click

from gateway.cli.journal.opening import Configured, Desk

if TYPE_CHECKING:
    from gateway.journal.records import Query, Record
    from gateway.settings.models import AnyField

_RULES = ("min_length", "max_length", "pattern", "min", "max", "places", "min_age", "max_age")

#: One hash a field; a lead is meant that carries all of one of these.
Wanted = tuple[tuple[bytes, ...], ...]


def wanted(fields: Sequence[str], known: Configured, program: str | None = None) -> Wanted:
    """All spellings of what was asked for, by the fields of one program or of all. Wrong use when there is none."""
    pairs = [_pair(field) for field in fields]
    return tuple(product(*(_hashes(name, text, known, program) for name, text in pairs)))


async def search(desk: Desk, query: Query, spelled: Wanted) -> AsyncGenerator[Record, None]:
    """Rows of the query that carry what is wanted, newest first, each once; () stands for all rows."""
    if len(spelled) < 2:
        async with desk.searching(replace(query, index=spelled[0] if spelled else ())) as records:
            async for record in records:
                yield record
        return
    found: dict[str, Record] = {}  # of one person: few
    for index in spelled:
        async with desk.searching(replace(query, index=index)) as records:
            async for record in records:
                found[record.reference] = record
    newest = sorted(found.values(), key=lambda record: (record.received_ms, record.reference), reverse=True)
    for record in newest[: query.limit or None]:
        yield record


def _pair(field: str) -> tuple[str, str]:
    name, given, text = field.partition("=")
    if not given:
        # To stderr: stdout may be on its way into a file.
        text = click.prompt(name, err=True)
    return name.strip(), text.strip()


def _hashes(name: str, text: str, known: Configured, program: str | None) -> list[bytes]:
    from gateway.journal.keys import normaliser

    plan = known.plan
    if name not in plan.index:
        raise click.UsageError(f"{name} is not in journal.index; there are: {', '.join(plan.index) or 'none'}.")
    if program is not None:
        known.program(program)
    texts: dict[str, None] = {}
    for settings in known.settings.values():
        field = settings.lead.fields.get(name)
        if field is not None and program in (None, settings.program):
            value = _typed(name, field, text)
            if value is not None and (normal := normaliser(field.type)(value)):
                texts[normal] = None
    if not texts:
        raise click.UsageError(f"The value is none that {name} takes in {program or 'any program'}.")
    return [plan.hashes.index(name, one) for one in texts]


def _typed(name: str, field: AnyField, text: str) -> object | None:
    """The text's value by the field's type; None when it has none.

    Rules that may have changed since (a length, an age) do not decide who is found.
    """
    from gateway.datapost.values import Fault
    from gateway.lead.fields import compile_field
    from gateway.settings.problems import loose_report

    bare = field.model_copy(update={rule: None for rule in _RULES if rule in type(field).model_fields})
    check = compile_field(name, bare, loose_report())
    value = text if check is None else check(text, datetime.now(UTC).date())
    return None if not text or isinstance(value, Fault) else value
