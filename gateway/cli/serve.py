"""`gateway serve`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from gateway.cli.options import config_option


@click.command()
@config_option
@click.option("--after-restore", is_flag=True, help="Start on a journal that was restored from a backup.")
def command(config: Path, after_restore: bool) -> None:
    """Run the gateway until SIGTERM or Ctrl-C; both finish what is in flight.

    One line is printed when it is ready; after that, one JSON line a submission. Exit code 1: the
    configuration is wrong, a port is taken, or something had to be cut off at the end.
    """
    from gateway.intake.selfcheck import refuse_without_c_parser

    if why := refuse_without_c_parser():
        click.echo(why, err=True)
        raise SystemExit(1)

    from gateway.serve.compose import compose
    from gateway.settings.load import load

    loaded = load(config)
    composition = compose(loaded, create=True)
    for problem in loaded.findings():
        click.echo(str(problem), err=True)
    if composition is None:
        click.echo("The configuration is wrong; no port was opened.", err=True)
        raise SystemExit(1)

    import uvloop

    from gateway.journal.engine import WrongIndexKey
    from gateway.journal.postgres.link import DriverMissing
    from gateway.journal.sealing import BadKey
    from gateway.journal.values import StoreUnavailable, WrongSchema
    from gateway.serve.process import Restored, Server

    async def run() -> int:
        server = Server(composition, after_restore=after_restore)
        try:
            await server.start()
        except (StoreUnavailable, WrongSchema, WrongIndexKey, DriverMissing, BadKey, Restored) as error:
            click.echo(f"the journal cannot be opened: {error}", err=True)
            await server.close()
            return 1
        except OSError as error:
            click.echo(f"cannot listen on {error.filename}: {os.strerror(error.errno or 0)}", err=True)
            await server.close()
            return 1
        click.echo(server.ready_line)
        try:
            return await server.until_stopped()
        finally:
            await server.close()

    raise SystemExit(uvloop.run(run()))
