"""`gateway check`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.cli.options import config_option, json_option
from gateway.settings.problems import Problem, tidy


@click.command()
@config_option
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@json_option
def command(config: Path, strict: bool, as_json: bool) -> None:
    """Check a configuration and report all that is wrong in it.

    Each finding is one line: file:line:column: key: what is wrong; what is allowed. No port is opened and nobody is
    contacted. Exit code 1: something is wrong.
    """
    from gateway.serve.compose import compose
    from gateway.settings.load import load

    loaded = load(config)
    compose(loaded)
    findings = loaded.findings()
    if as_json:
        click.echo(json.dumps([_as_data(one) for one in findings], indent=2))
    else:
        for one in findings:
            click.echo(str(one))
        click.echo(summary(findings, programs=len(loaded.programs)))
    if loaded.failed or (strict and findings):
        raise SystemExit(1)


def summary(findings: Sequence[Problem], *, programs: int) -> str:
    """`2 errors, 1 warning`, or that all is well."""
    warnings = sum(one.warning for one in findings)
    errors = len(findings) - warnings
    start = _count(errors, "error") if errors else f"configuration is fine: {_count(programs, 'program')}"
    return f"{start}, {_count(warnings, 'warning')}" if warnings else start


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _as_data(problem: Problem) -> dict[str, str | int]:
    place = problem.place
    return {
        "file": str(tidy(place.file)),
        "line": place.line,
        "column": place.column,
        "key": problem.key,
        "severity": "warning" if problem.warning else "error",
        "wrong": problem.wrong,
        "allowed": problem.allowed,
    }
