"""docs/commands.md, made from the commands: `python -m tests.support.commands_reference > docs/commands.md`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator

import click

from gateway.cli import gateway

HEAD = """\
# Commands

Every command and every option; `-h` after any of them says the same. Exit codes: 0 fine, 1 found faults (what else it
may mean stands with the command), 2 wrong use. Output is for people on a terminal, and JSON where `--json` is taken;
what went wrong is said on stderr.
"""
_WIDTH = 118


def commands(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """(name with those before it, its section) of a command and all below it, in the order of help."""
    context = click.Context(command, info_name=name, parent=parent)
    if parent is not None:
        yield context.command_path, _section(command, context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from commands(found, below, context)


def _section(command: click.Command, context: click.Context) -> str:
    pieces = [context.command_path, *command.collect_usage_pieces(context)]
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    lines = [
        f"{'###' if context.command_path.count(' ') > 1 else '##'} {context.command_path}",
        f"    {' '.join(pieces)}",
        *(textwrap.fill(" ".join(one.split()), _WIDTH, break_on_hyphens=False) for one in paragraphs),
    ]
    if options := [_option(*record) for record in _records(command, context)]:
        lines.append("\n".join(options))
    return "\n\n".join(lines)


def _records(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """(spelling, what it does) of each option but --help, which all have. Arguments are told of in the text."""
    for option in (param for param in command.params if isinstance(param, click.Option)):
        record = option.get_help_record(context)
        assert record is not None, f"{context.command_path} {option.name} is hidden"
        yield record


def _option(spelling: str, says: str) -> str:
    text = f"- `{spelling}`: {' '.join(says.split())}"
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def reference() -> str:
    """The whole page."""
    return "\n\n".join([HEAD.rstrip(), *(section for _, section in commands(gateway, "gateway"))]) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
