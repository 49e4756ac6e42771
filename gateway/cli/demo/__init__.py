"""`gateway demo`: a whole scene on one machine, with nothing else installed."""

from __future__ import annotations

import click

from gateway.cli.demo.scene import USER, Ports, run


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65533),
    default=8080,
    show_default=True,
    help="The gateway's port; the next two are the other players'.",
)
@click.option(
    "--admin-port",
    type=click.IntRange(1, 65535),
    default=9090,
    show_default=True,
    help="The gateway's admin port.",
)
def command(port: int, admin_port: int) -> None:
    """Run a whole scene on this machine and print curl lines to try.

    An awkward legacy endpoint, the gateway before it, and a stand-in for the platform that forwards leads
    and shows the conversion it would record. Ctrl-C ends it.
    """
    if port <= admin_port <= port + 2:
        raise click.UsageError(f"--admin-port {admin_port} is one of the players' ports, {port} to {port + 2}.")
    raise SystemExit(run(Ports(gateway=port, legacy=port + 1, platform=port + 2, admin=admin_port)))


__all__ = ["USER", "command"]
