"""`gateway version`."""

from __future__ import annotations

import click

from gateway import __version__


@click.command()
def command() -> None:
    """Print the version."""
    click.echo(f"gateway {__version__}")
