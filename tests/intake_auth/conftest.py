"""Users whose passwords are cheap to verify, so that tests wait for behaviour and not for hashing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from argon2.low_level import Type, hash_secret

from gateway.intake.credentials import Verifier
from gateway.intake.htpasswd import Users, compile_users
from gateway.settings.problems import loose_report

MakeUsers = Callable[..., Users]


def quick_hash(password: str, *, passes: int = 1, salt: bytes = b"salt" * 4) -> str:
    """An argon2id hash that costs microseconds; `check` warns of it, and takes it."""
    return hash_secret(password.encode(), salt, passes, 8, 1, 32, Type.ID).decode()


def basic(user: str | bytes, password: str | bytes, *, scheme: str = "Basic", charset: str = "utf-8") -> str:
    """The value of an Authorization header."""
    parts = [part if isinstance(part, bytes) else part.encode(charset) for part in (user, password)]
    return f"{scheme} {b64encode(b':'.join(parts)).decode()}"


@pytest.fixture
def users(tmp_path: Path) -> MakeUsers:
    """Writes an htpasswd file of these lines (private) and gives the users in it, which must be without error."""

    def make(*lines: str) -> Users:
        path = tmp_path / "partners.htpasswd"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        path.chmod(0o600)
        report = loose_report()
        found = compile_users(path, report)
        assert not report.failed, [str(problem) for problem in report.problems]
        return found

    return make


@pytest.fixture
async def verifier() -> AsyncIterator[Verifier]:
    """The process's verifier, as `serve` makes it."""
    made = Verifier()
    yield made
    made.close()
