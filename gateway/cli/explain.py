"""`gateway explain`: recorded legacy answers through a program's answer rules and its contract.

It prints how each was read and what a partner would be answered, values included, for the engineer who recorded the
answers; no configuration value but the words of the `answers:` block is shown. There is no lead here: a value of one
that a legacy's note repeats stands as it is, and members that come from the lead are empty.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import config_option, json_option

if TYPE_CHECKING:
    from gateway.answers import Explanation, LegacyAnswer
    from gateway.datapost.reasons import Reason
    from gateway.serve.compose import Program

Headers = tuple[tuple[str, str], ...]

#: Stands in the answer where a submission's own reference would; no submission ever has it.
_REFERENCE = "0" * 26


@click.command()
@config_option
@click.option("--program", "name", metavar="NAME", help="The program; may be left out when there is only one.")
@click.option("--status", type=click.IntRange(100, 599), help="Status of a bare body (200 when left out).")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Header of a bare body; repeatable.")
@json_option
@click.argument("files", metavar="ANSWER…", nargs=-1, required=True)
def command(
    config: Path, name: str | None, status: int | None, headers: tuple[str, ...], as_json: bool, files: tuple[str, ...]
) -> None:
    """Show how recorded legacy answers are read, and what a partner would be answered.

    ANSWER is a file or - for standard input: a whole HTTP answer as `curl -i` prints it, a JSON object with status,
    headers and body, or a bare body. Exit code 1: no rule recognised one of them, or its answer is not what the rule
    said. Exit code 2: wrong use, or a configuration that is wrong.
    """
    given = tuple(_header(line) for line in headers)
    recorded = [(file, _recorded(_read(file), status, given)) for file in files]
    program = _program(config, name)
    explained = [_explained(program, file, answer) for file, answer in recorded]
    if as_json:
        click.echo(json.dumps([_data(one) for one in explained], indent=2, ensure_ascii=False))
    else:
        for index, one in enumerate(explained):
            click.echo(("\n" if index else "") + "\n".join(_lines(one)))
    raise SystemExit(0 if all(one.as_said for one in explained) else 1)


# --- what was recorded ----------------------------------------------------------------------------


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise click.UsageError("--header is 'NAME: VALUE'.")
    return name.strip(), value.strip()


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "cannot be read"
        raise click.UsageError(f"ANSWER: {file}: {reason}.") from None


def _recorded(data: bytes, status: int | None, headers: Headers) -> LegacyAnswer:
    from gateway.answers import LegacyAnswer

    if status is not None or headers:
        return LegacyAnswer(status or 200, headers, data)
    if data.startswith(b"HTTP/"):
        return _raw(data)
    return _case(data) or LegacyAnswer(200, (), data)


_STATUS_LINE = re.compile(rb"HTTP/[0-9.]+ ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n|\Z")


def _raw(data: bytes) -> LegacyAnswer:
    """A whole HTTP answer, interim ones before it skipped; chunks joined, what stands behind the body left out."""
    from gateway.answers import LegacyAnswer

    while (line := _STATUS_LINE.match(data)) is not None:
        end = _BLANK_LINE.search(data, line.end() - 2)
        head, body = data[line.end() : end.start() if end else None], data[end.end() if end else len(data) :]
        if line[1][:1] == b"1":
            data = body
            continue
        headers = tuple(_head_lines(head.decode("utf-8", "surrogateescape")))
        named = {name.lower(): value for name, value in headers}
        if named.get("transfer-encoding", "").lower() == "chunked":
            body = _join_chunks(body)
        length = named.get("content-length", "")
        surplus = length.isdecimal() and len(body) > int(length)
        return LegacyAnswer(int(line[1]), headers, body[: int(length)] if surplus else body, surplus)
    raise click.UsageError("ANSWER begins like an HTTP answer and has no status line.")


def _head_lines(head: str) -> Iterator[tuple[str, str]]:
    for line in head.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), value.strip()


_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n")


def _join_chunks(body: bytes) -> bytes:
    """The body of chunks; as it is when it is not in chunks, since many a tool records it joined."""
    parts: list[bytes] = []
    at = 0
    while (size := _CHUNK.match(body, at)) is not None:
        length = int(size[1], 16)
        if length == 0:
            return b"".join(parts)
        parts.append(body[size.end() : size.end() + length])
        at = size.end() + length + 2
    return body


def _case(data: bytes) -> LegacyAnswer | None:
    """A JSON object with status, headers and body (text), as answers are kept for tests."""
    from gateway.answers import LegacyAnswer

    try:
        case = json.loads(data)
    except (ValueError, RecursionError):
        return None
    match case:
        case {"status": int(status), "headers": dict(headers), "body": str(body)} if 100 <= status <= 599:
            lines = tuple((str(name), str(value)) for name, value in headers.items())
            return LegacyAnswer(status, lines, body.encode("utf-8", "replace"))
    return None


# --- whose rules ----------------------------------------------------------------------------------


def _program(config: Path, name: str | None) -> Program:
    from gateway.serve.compose import compose
    from gateway.settings.load import load

    loaded = load(config)
    composition = compose(loaded)
    if composition is None:
        for problem in loaded.findings():
            click.echo(str(problem), err=True)
        click.echo("The configuration is wrong; no answer was read.", err=True)
        raise SystemExit(2)
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


# --- what is made of them -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Explained:
    """One recorded answer: how it was read, and what a partner would get for it."""

    file: str
    answer: LegacyAnswer
    reading: Explanation
    reason: Reason
    as_said: bool  # a rule decided, and the reason is its verdict's
    remarks: tuple[str, ...]
    status: int
    told: str


def _explained(program: Program, file: str, answer: LegacyAnswer) -> _Explained:
    from gateway.datapost import render
    from gateway.datapost.contract import REASONS

    explanation, contract = program.answers.explain(answer), program.contract
    reading = explanation.reading
    conclusion = contract.conclude(reading, {}, _REFERENCE)
    return _Explained(
        file=file,
        answer=answer,
        reading=explanation,
        reason=conclusion.reason,
        as_said=reading.verdict is not None and conclusion.reason is REASONS[reading.verdict],
        remarks=contract.remarks(reading, _REFERENCE),
        status=contract.status(conclusion.reason),
        told=render(conclusion.answer, contract.format_for(None)).decode(),
    )


# --- what is printed ------------------------------------------------------------------------------


def _lines(one: _Explained) -> Iterator[str]:
    answer, explained = one.answer, one.reading
    reading = explained.reading
    yield f"{one.file}: status {answer.status}, {reading.kind}{', bytes behind the body' if answer.surplus else ''}"
    for step in explained.unwraps:
        yield f"  unwrap       {step.source}{'' if step.found else ': nothing to unwrap'}   ({step.where})"
    if reading.verdict is not None:
        released = ", release" if reading.release else ""
        yield f"  verdict      {reading.verdict.value}   by {reading.rule}{released}"
    else:
        why = "a limit was hit" if reading.limited else "no rule matched" if explained.opened else "not decompressed"
        yield f"  verdict      none: {why} (unrecognized_answer)"
    width = max((len(_shown(origin.value)) for origin in explained.members), default=0)
    for origin in explained.members:
        yield f"  {origin.member:<12} {_shown(origin.value):<{min(width, 60)}}   {origin.source}   ({origin.where})"
    for missed in explained.missed:
        yield f"  not {missed.rule:<8} {missed.where}: {missed.why}"
    remarks = f"   ({'; '.join(one.remarks)})" if one.remarks else ""
    yield f"  reason       {one.reason.slug}{remarks}{'' if one.as_said else '   not what a rule said'}"
    yield f"the partner gets {one.status}:"
    yield f"  {one.told}"


def _shown(value: str) -> str:
    """A value on a terminal: nothing that moves the cursor, rings or sets colours."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in value)


def _data(one: _Explained) -> dict[str, object]:
    answer, explained = one.answer, one.reading
    reading = explained.reading
    return {
        "answer": one.file,
        "status": answer.status,
        "surplus": answer.surplus,
        "kind": reading.kind,
        "verdict": reading.verdict.value if reading.verdict is not None else None,
        "rule": reading.rule or None,
        "release": reading.release,
        "limited": reading.limited,
        "unwraps": [{"where": step.where, "source": step.source, "found": step.found} for step in explained.unwraps],
        "members": {
            origin.member: {"value": origin.value, "where": origin.where, "source": origin.source}
            for origin in explained.members
        },
        "missed": [{"rule": missed.rule, "where": missed.where, "why": missed.why} for missed in explained.missed],
        "reason": one.reason.slug,
        "as_said": one.as_said,
        "remarks": list(one.remarks),
        "partner": {"status": one.status, "answer": one.told},
    }
