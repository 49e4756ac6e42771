"""The commands, one module each. A command's module is imported only when that command runs.

So `gateway version` loads no server, and `gateway check` loads no event loop.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

#: command: (module below gateway.cli, what it does); the order is that of `gateway --help`.
COMMANDS = {
    "demo": ("demo", "Run a whole scene on this machine and print curl lines to try."),
    "init": ("init", "Write a working configuration with fresh keys and a credential."),
    "check": ("check", "Check a configuration and report all that is wrong in it."),
    "serve": ("serve", "Run the gateway."),
    "try": ("try_lead", "Walk one lead through the rules without sending it."),
    "explain": ("explain", "Show how recorded legacy answers are read."),
    "schema": ("schema", "Print the JSON Schema of the configuration, for editors."),
    "journal": ("journal", "Look into the journal and settle what it does not know."),
    "hash-password": ("hash_password", "Hash a partner's password for an htpasswd file."),
    "healthcheck": ("healthcheck", "Ask a running gateway whether it is alive."),
    "version": ("version", "Print the version."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports a command's module when it is called."""

    def __init__(
        self, *, package: str = "gateway.cli", subcommands: Mapping[str, tuple[str, str]] = COMMANDS, **settings: Any
    ) -> None:
        """subcommands: by name (module below package, what it does), in the order in which help lists them."""
        super().__init__(**settings)
        self._package = package
        self._subcommands = subcommands

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._subcommands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._subcommands:
            return None
        module = importlib.import_module(f"{self._package}.{self._subcommands[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._subcommands.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def gateway() -> None:
    """A reverse proxy that makes a legacy lead endpoint conform to impact.com's Data Post."""
