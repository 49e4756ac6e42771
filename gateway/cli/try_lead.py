"""`gateway try`: one lead through decoding and rules, as `serve` would take it, and no further.

Prints names, faults and the answer, never a value of the lead and never an upstream credential, so that what it
prints can be passed on.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.options import config_option, json_option

if TYPE_CHECKING:
    from gateway.datapost.reasons import Reason
    from gateway.datapost.values import Fault
    from gateway.lead import Checked, Lead
    from gateway.serve.compose import Composition, Program
    from gateway.settings.models import UpstreamSettings

_TYPES = {"form": "application/x-www-form-urlencoded", "json": "application/json", "xml": "application/xml"}

#: Stands in the answer where a submission's own reference would; no submission ever has it.
_REFERENCE = "0" * 26


@click.command()
@config_option
@click.option("--program", "name", metavar="NAME", help="The program; may be left out when there is only one.")
@click.option(
    "--type",
    "media",
    metavar="form|json|xml|MEDIA",
    help="How the lead is encoded, or a whole Content-Type; guessed from its first character when left out.",
)
@json_option
@click.argument("lead", metavar="LEAD")
def command(config: Path, name: str | None, media: str | None, as_json: bool, lead: str) -> None:
    """Walk one lead through the rules without sending it.

    LEAD is a file, - for standard input, or the lead itself: 'email=jane@example.com&state=CA', '{"email": …}'.
    Names, faults and the answer are printed, values are not. Exit code 1: the lead is not taken. Exit code 2: wrong
    use, or a configuration that is wrong.
    """
    body = _body(lead)
    composition, upstreams = _compose(config)
    program = _program(composition, name)
    content_type = _TYPES.get(media, media) if media is not None else _guess(body)
    trial = _try(program, content_type, body, limit=composition.settings.limits.body)
    forward = _forward(upstreams[program.name], content_type, len(body)) if trial.reason is None else None
    if as_json:
        click.echo(json.dumps(trial.as_data(program, forward), indent=2, ensure_ascii=False))
    else:
        for line in trial.as_lines(program, forward):
            click.echo(line)
    raise SystemExit(0 if trial.reason is None else 1)


def _body(lead: str) -> bytes:
    if lead == "-":
        return sys.stdin.buffer.read()
    try:
        if (file := Path(lead)).is_file():
            return file.read_bytes()
    except (OSError, ValueError) as error:  # too long for a name, a NUL, no permission
        if isinstance(error, PermissionError):
            raise click.UsageError(f"LEAD: {lead} may not be read.") from None
    if "=" not in lead and not lead.lstrip().startswith(("{", "[", "<")):
        raise click.UsageError("LEAD is no file, and no lead: a=1&b=2, JSON or XML.")
    return lead.encode("utf-8", "surrogateescape")


def _guess(body: bytes) -> str:
    match body.lstrip(b" \t\r\n\xef\xbb\xbf")[:1]:
        case b"{" | b"[":
            return _TYPES["json"]
        case b"<":
            return _TYPES["xml"]
        case _:
            return _TYPES["form"]


def _compose(config: Path) -> tuple[Composition, Mapping[str, UpstreamSettings]]:
    from gateway.serve.compose import compose
    from gateway.settings.load import load

    loaded = load(config)
    composition = compose(loaded)
    if composition is None:
        for problem in loaded.findings():
            click.echo(str(problem), err=True)
        click.echo("The configuration is wrong; no lead was tried.", err=True)
        raise SystemExit(2)
    return composition, {one.settings.program: one.settings.upstream for one in loaded.programs}


def _program(composition: Composition, name: str | None) -> Program:
    programs = composition.programs
    if name is None and len(programs) == 1:
        (program,) = programs.values()
        return program
    known = ", ".join(programs)
    if name is None:
        raise click.UsageError(f"There are several programs; say which with --program: {known}.")
    if name not in programs:
        raise click.UsageError(f"There is no program {name}; there are: {known}.")
    return programs[name]


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """How it went. reason: why the lead is not taken, None when it is; answer: what the partner would get then."""

    content_type: str
    size: int  # bytes
    lead: Lead | None = None
    checked: Checked | None = None
    reason: Reason | None = None
    why: str = ""  # what could not be read, in words; empty when it was read
    status: int | None = None
    answer: str = ""

    def faults(self) -> tuple[Fault, ...]:
        return self.checked.faults if self.checked is not None else ()

    def names(self, program: Program) -> Iterator[tuple[str, str | None, str]]:
        """(name as sent, its field, fine | faulty | empty | unknown | refused) of each name, in the order received."""
        if self.lead is None or self.checked is None:
            return
        faulty = {fault.field for fault in self.faults()}
        filled = {name for name, text in self.lead.pairs if text and not text.isspace()}
        for name in dict.fromkeys([*(name for name, _ in self.lead.pairs), *sorted(self.lead.listed)]):
            field = program.check.field_of(name)
            if name not in filled:
                state = "empty"
            elif field is None:
                # A fault without a field is of the whole lead: there are fields that are not known.
                state = "refused" if "" in faulty else "unknown"
            else:
                state = "faulty" if field in faulty else "fine"
            yield name, field, state

    def as_lines(self, program: Program, forward: Mapping[str, Any] | None) -> Iterator[str]:
        read = f", {len(self.lead.pairs)} fields" if self.lead is not None else ""
        yield f"{program.name}: {self.content_type}, {self.size} bytes{read}"
        rows = list(self.names(program))
        width = min(max((len(_shown(name)) for name, *_ in rows), default=0), 40)
        for name, field, state in rows:
            under = f" (as {field})" if field not in (None, name) else ""
            yield f"  {_shown(name):{width}}  {state}{under}"
        if self.faults():
            yield "faults:"
            yield from (f"  {fault.field or 'the lead'}: {fault.text} ({fault.kind})" for fault in self.faults())
        if self.why:
            yield f"cannot be read: {self.why}"
        if forward is None:
            yield f"not taken; the partner gets {self.status}:"
            yield f"  {self.answer}"
            return
        credentials = ", with credentials that are not shown" if forward["credentials"] else ""
        yield f"taken; would be forwarded: POST {forward['url']}, {forward['bytes']} bytes as received{credentials}"
        yield "the answer depends on the legacy endpoint's; `gateway explain` reads recorded ones"

    def as_data(self, program: Program, forward: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            "program": program.name,
            "content_type": self.content_type,
            "bytes": self.size,
            "encoding": self.lead.encoding if self.lead is not None else None,
            "taken": self.reason is None,
            "reason": self.reason.slug if self.reason is not None else None,
            "why": self.why,
            "names": [{"name": name, "field": field, "state": state} for name, field, state in self.names(program)],
            "faults": [{"field": one.field, "kind": one.kind, "text": one.text} for one in self.faults()],
            "unknown": self.checked.unknown if self.checked is not None else 0,
            "status": self.status,
            "answer": self.answer or None,
            "forward": dict(forward) if forward is not None else None,
        }


def _shown(name: str) -> str:
    """A name as it can stand on a terminal: strangers choose names."""
    return name if name.isprintable() and name else json.dumps(name)


def _try(program: Program, content_type: str, body: bytes, *, limit: int) -> _Trial:
    """The stages of a submission that need nobody else: body, decode, fields."""
    from gateway.datapost import render
    from gateway.datapost.reasons import Reason
    from gateway.lead import Undecodable

    def refused(reason: Reason, why: str = "", lead: Lead | None = None, checked: Checked | None = None) -> _Trial:
        contract = program.contract
        if checked is not None:
            answer = contract.refuse(reason, _REFERENCE, faults=checked.faults, unknown=checked.unknown)
        else:
            answer = contract.refuse(reason, _REFERENCE, text=why)
        return _Trial(
            content_type=content_type,
            size=len(body),
            lead=lead,
            checked=checked,
            reason=reason,
            why=why,
            status=contract.status(reason),
            answer=render(answer, contract.format_for(None)).decode(),
        )

    if len(body) > limit:
        return refused(Reason.TOO_LARGE, f"the body is longer than limits.body, {limit} bytes")
    lead = program.decode(content_type, body)
    if isinstance(lead, Undecodable):
        return refused(lead.reason, lead.text)
    checked = program.check(lead, datetime.datetime.now(program.timezone).date())
    if checked.faults:
        return refused(Reason.LEAD_INVALID, lead=lead, checked=checked)
    return _Trial(content_type=content_type, size=len(body), lead=lead, checked=checked)


def _forward(upstream: UpstreamSettings, content_type: str, size: int) -> dict[str, Any]:
    """What would go out. A query in the url may hold a key, so only that there is one is said."""
    address, query, _ = upstream.url.partition("?")
    return {
        "url": f"{address}?…" if query else address,
        "content_type": content_type,
        "bytes": size,
        "credentials": upstream.auth is not None,
    }
