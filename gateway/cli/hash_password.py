"""`gateway hash-password`: a line for an htpasswd file."""

from __future__ import annotations

import json
import sys

import click

from gateway.cli.options import json_option


@click.command()
@click.argument("user", required=False)
@json_option
def command(user: str | None, as_json: bool) -> None:
    """Hash a partner's password (argon2id) for an htpasswd file.

    With USER, a whole line `USER:hash` is printed. The password is asked for twice on a terminal, and read from
    stdin (one line end is dropped) when that is a pipe or a file; never from an argument, where everybody on the
    machine could see it. Exit code 1: it cannot be a password.
    """
    from gateway.intake.htpasswd import unfit_name
    from gateway.intake.passwords import hash_password, normal

    if user is not None and (why := unfit_name(normal(user))):
        raise click.UsageError(f"The user name {why}.")
    try:
        hashed = hash_password(_password())
    except ValueError as error:  # of which UnicodeDecodeError is one, and its text quotes the password
        why = "the password is not UTF-8" if isinstance(error, UnicodeError) else str(error)
        click.echo(f"Nothing was hashed: {why}.", err=True)
        raise SystemExit(1) from None
    name = None if user is None else normal(user)
    line = hashed if name is None else f"{name}:{hashed}"
    click.echo(json.dumps({"user": name, "hash": hashed}, ensure_ascii=False) if as_json else line)


def _password() -> str:
    """The password. Raises UnicodeDecodeError when it is not UTF-8."""
    if sys.stdin.isatty():
        # The prompt goes to stderr: stdout may be on its way into the file.
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt="Again", err=True)
        return password
    data = sys.stdin.buffer.read()
    return data.decode().removesuffix("\n").removesuffix("\r")
