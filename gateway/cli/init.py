"""`gateway init`: a configuration to start from, with keys and a credential of its own."""

from __future__ import annotations

import json
import os
import secrets
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import click

from gateway.cli.options import json_option

_USER = "partner"
#: Bytes of randomness: 192 bits for the password, 256 for the key.
_PASSWORD_BYTES = 24
_KEY_BYTES = 32


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Write a working configuration into DIR, with fresh keys and a credential.

    The password is printed once and kept nowhere. Nothing is ever overwritten. Exit code 1: something is in the way.
    """
    from gateway.intake.passwords import hash_password

    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    files = {
        Path("gateway.yaml"): _template("gateway.yaml"),
        Path("programs/example.yaml"): _template("example.yaml"),
        Path("partners.htpasswd"): f"{_USER}:{hash_password(password)}\n",
        Path("keys/ids"): f"{secrets.token_hex(_KEY_BYTES)}\n",
        Path("keys/journal"): f"{secrets.token_hex(_KEY_BYTES)}\n",
        Path("keys/index"): f"{secrets.token_hex(_KEY_BYTES)}\n",
    }
    if there := [str(folder / name) for name in files if os.path.lexists(folder / name)]:
        click.echo(f"Nothing was written, since this is there already: {', '.join(there)}", err=True)
        raise SystemExit(1)
    try:
        _write(folder, files)
    except OSError as error:
        click.echo(f"{error.filename} cannot be written: {os.strerror(error.errno or 0)}", err=True)
        raise SystemExit(1) from None
    if as_json:
        made = {"folder": str(folder), "files": [*map(str, files)], "user": _USER, "password": password}
        click.echo(json.dumps(made, ensure_ascii=False, indent=2))
        return
    top = shlex.quote(str(folder / "gateway.yaml"))
    click.echo(f"""\
Written to {folder}: {", ".join(map(str, files))}
The partner's user is {_USER}, its password {password}
It is shown this once; gateway hash-password makes another one.

Next: say in {folder / "programs" / "example.yaml"} where your endpoint is and how it answers, then
  gateway check -c {top}
  gateway serve -c {top}""")


def _template(name: str) -> str:
    return (resources.files("gateway.settings") / "templates" / name).read_text(encoding="utf-8")


def _write(folder: Path, files: Mapping[Path, str]) -> None:
    """Write files that only their owner may read. Raises OSError, FileExistsError among them."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if name.parent == Path("keys") else 0o755)
        private = name.parent == Path("keys") or name.suffix == ".htpasswd"
        # Exclusive: what appeared since we looked is not overwritten either, nor is a link followed.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
