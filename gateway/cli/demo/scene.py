"""The demo's scene: writes a configuration into a temporary folder, starts the players, prints what to try."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click
import uvloop
from aiohttp import web

from gateway.cli.demo.legacy import MOODS, SILENT, Legacy
from gateway.cli.demo.platform import Platform
from gateway.intake.passwords import hash_password
from gateway.serve.compose import compose
from gateway.serve.process import Server
from gateway.settings.load import load

#: The demo's partner. The password is no secret: everything listens on loopback only.
USER, PASSWORD = "acme", "demo"


@dataclass(frozen=True, slots=True)
class Ports:
    """The four ports of the scene, all on 127.0.0.1."""

    gateway: int
    legacy: int
    platform: int
    admin: int


def run(ports: Ports) -> int:
    """Play until Ctrl-C or SIGTERM. Returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="gateway-demo-") as folder:
        configuration = write_configuration(Path(folder))
        return uvloop.run(_play(configuration, ports))


def write_configuration(folder: Path) -> Path:
    """Write the demo's configuration, a fresh key and the partner's credential; returns the top file."""
    shipped = resources.files("gateway.cli.demo") / "config"
    (folder / "programs").mkdir()
    (folder / "keys").mkdir(mode=0o700)
    top = folder / "gateway.yaml"
    top.write_bytes((shipped / "gateway.yaml").read_bytes())
    (folder / "programs" / "auto-insurance.yaml").write_bytes((shipped / "auto-insurance.yaml").read_bytes())
    _write_private(folder / "keys" / "ids", secrets.token_hex(32))
    _write_private(folder / "partners.htpasswd", f"{USER}:{hash_password(PASSWORD)}\n")
    return top


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


async def _play(configuration: Path, ports: Ports) -> int:
    gateway_url = f"http://127.0.0.1:{ports.gateway}/leads/auto-insurance"
    legacy_url = f"http://127.0.0.1:{ports.legacy}/cgi-bin/lead.pl"
    os.environ |= {
        "DEMO_LISTEN": f"127.0.0.1:{ports.gateway}",
        "DEMO_ADMIN": f"127.0.0.1:{ports.admin}",
        "DEMO_LEGACY": legacy_url,
    }
    loaded = load(configuration)
    composition = compose(loaded, create=True)
    if composition is None:  # the shipped configuration is tested; a port out of range ends here
        for problem in loaded.findings():
            click.echo(str(problem), err=True)
        return 1
    legacy = Legacy()
    platform = web.AppRunner(Platform(gateway_url, USER, PASSWORD).application(), access_log=None)
    server = Server(composition)
    try:
        async with _listening("the legacy endpoint", ports.legacy):
            await legacy.start(ports.legacy)
        await platform.setup()
        async with _listening("the platform", ports.platform):
            await web.TCPSite(platform, "127.0.0.1", ports.platform).start()
        async with _listening("the gateway", ports.gateway):
            await server.start()
    except _PortTaken as taken:
        click.echo(f"{taken} Try others: gateway demo --port 18080 --admin-port 19090", err=True)
        return 1
    else:
        click.echo(playbill(ports))
        return await server.until_stopped()
    finally:
        legacy.close()
        await server.close()
        await platform.cleanup()


class _PortTaken(Exception):
    """Which port cannot be had, for whom, and why."""


@asynccontextmanager
async def _listening(who: str, port: int) -> AsyncIterator[None]:
    try:
        yield
    except OSError as error:
        # The gateway has two ports, and names the one that it could not have.
        address = error.filename or f"127.0.0.1:{port}"
        why = os.strerror(error.errno or 0)
        raise _PortTaken(f"Port {address.rpartition(':')[2]} cannot be had for {who}: {why}.") from None


def playbill(ports: Ports) -> str:
    """Who plays, and the lines to try."""
    gateway = f"http://127.0.0.1:{ports.gateway}/leads/auto-insurance"
    lead = "-d 'phone=(415) 555-2671&state=CA&loan_amount=5000'"
    moods = ", ".join((*MOODS, SILENT))
    return f"""\
legacy endpoint  http://127.0.0.1:{ports.legacy}/cgi-bin/lead.pl (awkward on purpose)
gateway          {gateway} (user {USER}, password {PASSWORD})
platform         http://127.0.0.1:{ports.platform}/track, /conversions
metrics          http://127.0.0.1:{ports.admin}/metrics

A lead that is taken:
  curl -u {USER}:{PASSWORD} {lead} -d email=jane@example.com {gateway}
A lead with two faults:
  curl -u {USER}:{PASSWORD} -d 'email=jane&phone=555&state=CA' {gateway}
The same in XML:
  curl -u {USER}:{PASSWORD} -H 'Accept: application/xml' {lead} -d email=jane@example.com {gateway}
Other moods of the legacy endpoint: {moods}
  curl -u {USER}:{PASSWORD} {lead} -d email=soap@example.com {gateway}
Through the platform, which shows the conversion it would record:
  curl {lead} -d email=page@example.com http://127.0.0.1:{ports.platform}/track

Ready. Ctrl-C ends the demo.
"""
