"""`gateway healthcheck`: for containers and scripts."""

from __future__ import annotations

import http.client
import ipaddress
import json
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway.cli.options import config_option, json_option

_TIMEOUT_S = 2.0
_PATH = "/healthz"


@click.command()
@config_option
@click.option("--url", metavar="URL", help="Ask here instead; then no configuration is read.")
@json_option
def command(config: Path, url: str | None, as_json: bool) -> None:
    """Ask a running gateway whether it is alive: GET /healthz on its admin port.

    Exit code 0: it answered 200. Anything else is 1, with the reason on stderr, or in the object that --json
    prints; so are two seconds of silence.
    """
    host, port, path = _configured(config) if url is None else _parts(url)
    why = ask(host, port, path)
    if as_json:
        click.echo(json.dumps({"host": host, "port": port, "path": path, "alive": not why, "why": why}))
    elif why:
        click.echo(f"{host}:{port} {why}", err=True)
    if why:
        raise SystemExit(1)


def ask(host: str, port: int, path: str = _PATH, timeout_s: float = _TIMEOUT_S) -> str:
    """Why the gateway there is not alive; "" when it is."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        status = connection.getresponse().status
    except TimeoutError:
        return f"did not answer within {timeout_s:g} s"
    except OSError as error:
        return f"cannot be reached: {error.strerror or type(error).__name__}"
    except http.client.HTTPException:
        return "does not speak HTTP"
    finally:
        connection.close()
    return "" if status == 200 else f"answered {status}"


def _parts(url: str) -> tuple[str, int, str]:
    """Host, port and target of an http:// address."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    else:
        target = (parts.path or _PATH) + (f"?{parts.query}" if parts.query else "")
    if host is None or parts.scheme != "http" or not target.isascii() or not target.isprintable() or " " in target:
        raise click.BadParameter("must be an http:// address", param_hint="--url")
    return host, port or 80, target


def _configured(config: Path) -> tuple[str, int, str]:
    """Where the admin port of a configuration can be reached from this machine.

    Only the top file's `admin` is read: a mistake in a program's file says nothing about the process that runs.
    """
    from gateway.settings.addresses import parse_address
    from gateway.settings.models import Admin
    from gateway.settings.problems import Problem
    from gateway.settings.tree import read

    problems: list[Problem] = []
    data = read(config, problems).data or {}
    admin = data.get("admin", Admin().address)
    address = admin.get("address", Admin().address) if isinstance(admin, dict) else admin
    try:
        host, port = parse_address(address if isinstance(address, str) else "")
    except ValueError:
        port = 0
    if not data or not port:
        click.echo(f"{config} names no admin port to ask; see gateway check, or use --url", err=True)
        raise SystemExit(1)
    return reachable(host), port, _PATH


def reachable(host: str) -> str:
    """The loopback address in place of "every address"."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
