"""`--json` of the commands that say little: what a program reads is one document, and says what people are told."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway import __version__
from gateway.cli import gateway
from gateway.intake.passwords import StoredHash, parse_hash


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    result = CliRunner().invoke(gateway, [str(one) for one in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def document(result: Result) -> dict[str, Any]:
    assert result.stderr == ""
    read: dict[str, Any] = json.loads(result.stdout)
    return read


def stored(text: str) -> StoredHash:
    found = parse_hash(text)
    assert isinstance(found, StoredHash)
    return found


def test_version() -> None:
    assert document(run("version", "--json")) == {"version": __version__}


def test_init_says_what_it_wrote_and_the_password(tmp_path: Path) -> None:
    said = document(run("init", "--json", tmp_path / "new"))
    assert set(said) == {"folder", "files", "user", "password"}
    folder = Path(said["folder"])
    assert folder == tmp_path / "new"
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(said["files"]) == written
    user, _, hashed = (folder / "partners.htpasswd").read_text().strip().partition(":")
    assert user == said["user"]
    assert stored(hashed).matches(said["password"].encode())


def test_init_that_writes_nothing_prints_nothing_that_a_program_would_read(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").touch()
    result = run("init", "--json", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Nothing was written" in result.stderr


@pytest.mark.parametrize(("user", "name"), [((), None), (("zoë",), "zoë")], ids=["without a user", "with one"])
def test_hash_password(user: tuple[str, ...], name: str | None) -> None:
    said = document(run("hash-password", "--json", *user, stdin=b"s3cret\n"))
    assert set(said) == {"user", "hash"}
    assert said["user"] == name
    assert stored(said["hash"]).matches(b"s3cret")


def test_hash_password_that_hashes_nothing_prints_nothing_that_a_program_would_read() -> None:
    result = run("hash-password", "--json", stdin=b"")
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", id="alive"),
        pytest.param(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "answered 503", id="not alive"),
    ],
)
def test_healthcheck(answer: bytes, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        result = run("healthcheck", "--json", "--url", f"http://127.0.0.1:{port}")
        thread.join()
    assert result.exit_code == (1 if why else 0)
    assert document(result) == {"host": "127.0.0.1", "port": port, "path": "/healthz", "alive": not why, "why": why}
