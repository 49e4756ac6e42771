"""`gateway hash-password`: what it prints, where it reads, what it refuses."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import gateway
from gateway.intake.htpasswd import compile_users
from gateway.intake.passwords import StoredHash, encoded, parse_hash
from gateway.settings.problems import loose_report

COMMAND = [sys.executable, "-m", "gateway", "hash-password"]


def run(data: bytes, *arguments: str) -> Result:
    return CliRunner().invoke(gateway, ["hash-password", *arguments], input=data)


def stored(text: str) -> StoredHash:
    found = parse_hash(text)
    assert isinstance(found, StoredHash)
    return found


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=["no line end", "LF", "CRLF"])
def test_a_piped_password_becomes_a_line_that_the_file_takes(tmp_path: Path, end: bytes) -> None:
    done = run("zoë's secret: 1".encode() + end, "acme")
    assert (done.exit_code, done.stderr) == (0, "")
    path = tmp_path / "partners.htpasswd"
    path.write_text(done.stdout)
    path.chmod(0o600)
    report = loose_report()
    users = compile_users(path, report)
    assert report.problems == []
    assert users.names == ("acme",)
    assert users.sign_in("acme").hashes[0].matches(encoded("zoë's secret: 1"))


def test_it_runs_as_a_program_in_a_pipe() -> None:
    done = subprocess.run([*COMMAND, "acme"], input=b"s3cret", capture_output=True, check=True)
    assert done.stdout.startswith(b"acme:$argon2id$")
    assert done.stderr == b""


def test_without_a_user_the_hash_alone_is_printed() -> None:
    done = run(b"s3cret")
    assert stored(done.stdout.removesuffix("\n")).matches(b"s3cret")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "Nothing was hashed: the password is empty.\n", id="nothing"),
        pytest.param(b"\n", "Nothing was hashed: the password is empty.\n", id="an empty line"),
        pytest.param(b"one\ntwo\n", "Nothing was hashed: the password has control characters.\n", id="two lines"),
        pytest.param(b"a" * 257, "Nothing was hashed: the password is longer than 256 bytes.\n", id="too long"),
        pytest.param(b"caf\xe9-secret", "Nothing was hashed: the password is not UTF-8.\n", id="not UTF-8"),
    ],
)
def test_what_cannot_be_a_password_ends_with_1_and_is_not_repeated(data: bytes, said: str) -> None:
    done = run(data, "acme")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.parametrize("user", ["", "a:b", " a", "a\x01", "#a", "a" * 257], ids=repr)
def test_what_cannot_be_a_user_is_wrong_use(user: str) -> None:
    done = run(b"s3cret", "--", user)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "The user name" in done.stderr


def test_a_password_as_an_argument_is_wrong_use() -> None:
    assert run(b"", "acme", "s3cret").exit_code == 2


def on_a_terminal(*typed: bytes) -> tuple[int, str, str]:
    """Run it with a terminal for stdin and stderr; exit code, stdout, and what the terminal showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(COMMAND, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    for answer, prompt in zip(typed, [b"Password: ", b"Again: "] * 2, strict=False):
        while not shown.endswith(prompt):
            shown += os.read(ours, 1024)
        os.write(ours, answer + b"\n")
    assert process.stdout is not None
    printed = process.stdout.read().decode()
    code = process.wait()
    process.stdout.close()
    os.close(ours)
    return code, printed, shown.decode()


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown() -> None:
    code, printed, shown = on_a_terminal(b"s3cret", b"s3cret")
    assert code == 0
    assert stored(printed.removesuffix("\n")).matches(b"s3cret")
    assert "s3cret" not in shown
