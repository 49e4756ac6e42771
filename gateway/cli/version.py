"""`gateway version`."""

from __future__ import annotations

import json

import click

from gateway import __version__
from gateway.cli.options import json_option


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Print the version."""
    click.echo(json.dumps({"version": __version__}) if as_json else f"gateway {__version__}")
