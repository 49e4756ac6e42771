"""`gateway journal show`: the one command that shows values of a lead, and only when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.journal.options import reference_argument
from gateway.cli.options import config_option, json_option

if TYPE_CHECKING:
    from gateway.cli.journal.contents import Contents
    from gateway.journal.records import Record


@click.command()
@config_option
@click.option("--body", is_flag=True, help="Decrypt the lead, the legacy's answer and ours, and show them.")
@json_option
@reference_argument
def command(config: Path, body: bool, as_json: bool, reference: str) -> None:
    """Show one submission: its times, what became of it and why, and what operators did to it.

    REF is the reference that partner, platform and log have. Values of the lead are shown with --body alone. Exit
    code 1: there is no such submission, or what it says cannot be opened.
    """
    from gateway.cli.journal.contents import NotReadable, contents_of
    from gateway.cli.journal.opening import Desk, at_desk, fail
    from gateway.cli.journal.rows import as_data, dump
    from gateway.journal.records import Query

    async def work(desk: Desk) -> int:
        record = await desk.find(Query(reference=reference, sealed=True, audit=True))
        if record is None:
            fail(f"there is no submission {reference} in the journal")
        contents, why = None, ""
        if body:
            try:
                contents = contents_of(record, desk.sealer)
            except NotReadable as error:
                why = str(error)
        if as_json:
            click.echo(dump({**as_data(record), **_more(record), **({"content": _content(contents)} if body else {})}))
        else:
            for line in (*_lines(record), *(_opened(contents) if contents is not None else ())):
                click.echo(line)
        if why:
            fail(f"{reference} {why}")
        return 0

    at_desk(config, work)


def _more(record: Record) -> dict[str, object]:
    from gateway.cli.journal.moments import spelled

    sealed = record.sealed
    kept = {
        name: len(getattr(sealed, name)) > 0 if sealed is not None else False for name in ("body", "answer", "members")
    }
    return {
        "content_type": record.content_type or None,
        "kept": kept,
        "key": sealed.key.key_id if sealed is not None and sealed.key is not None else None,
        "audit": [
            {"at": spelled(one.at_ms), "action": one.action, "who": one.who, "why": one.why} for one in record.audit
        ],
    }


def _lines(record: Record) -> Iterator[str]:
    from gateway.cli.journal.moments import spelled
    from gateway.cli.journal.rows import outcome_word, printable

    sealed = record.sealed
    kept = [name for name in ("body", "answer", "members") if sealed is not None and getattr(sealed, name)]
    key = f", key {sealed.key.key_id}" if sealed is not None and sealed.key is not None else ""
    changed = record.reason is not record.first_reason and record.first_reason is not None
    rows = (
        ("program", record.program),
        ("partner", printable(record.partner)),
        ("received", spelled(record.received_ms)),
        ("settled", spelled(record.settled_ms) if record.settled_ms else "not yet"),
        ("delivery", record.delivery.value),
        ("outcome", outcome_word(record)),
        ("reason", record.reason.slug if record.reason is not None else ""),
        ("told first", record.first_reason.slug if changed and record.first_reason is not None else ""),
        ("changed", f"{spelled(record.late_ms)} {'by hand' if record.by_hand else 'by a late answer'}")
        if record.late_ms
        else ("", ""),
        ("rule", record.rule),
        ("failure", record.failure),
        ("status", str(record.upstream_status) if record.upstream_status else ""),
        ("faults", " ".join(record.faults)),
        ("encoding", printable(record.content_type)),
        ("kept", "erased" if record.erased else f"{', '.join(kept)}{key}" if kept else "nothing"),
    )
    yield record.reference
    yield from (f"  {name:<10}  {text}" for name, text in rows if text)
    for one in record.audit:
        yield f"  {one.action:<10}  {spelled(one.at_ms)} by {printable(one.who)}: {printable(one.why)}"


def _opened(contents: Contents) -> Iterator[str]:
    from gateway.cli.journal.rows import printable

    for title, data in (("lead", contents.body), ("legacy's answer", contents.answer)):
        yield f"{title}:"
        for line in data.decode("utf-8", "backslashreplace").splitlines() or ["(empty)"]:
            yield f"  {printable(line)}"
    if contents.members is not None:
        yield "answered to the partner:"
        for name, value in contents.members._asdict().items():
            text = str(value).lower() if isinstance(value, bool) else printable(value)
            yield f"  {name:<12} {text}".rstrip()
    if contents.legacy_id:
        yield f"legacy's ID: {printable(contents.legacy_id)}"


def _content(contents: Contents | None) -> dict[str, object] | None:
    if contents is None:
        return None
    return {
        "lead": contents.body.decode("utf-8", "backslashreplace"),
        "answer": contents.answer.decode("utf-8", "backslashreplace"),
        "members": contents.members._asdict() if contents.members is not None else None,
        "legacy_id": contents.legacy_id or None,
    }
