"""A whole gateway in the test's own loop, on free ports, made from configuration files as an engineer writes them.

At its end the log, the metrics and every refusal's note are searched for canaries.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.intake.passwords import hash_password
from gateway.observe.log import SubmissionLog
from gateway.serve.compose import Composition, compose
from gateway.serve.process import Server
from gateway.settings.load import load
from tests.support.canaries import CANARY, EMAIL, PASSWORD
from tests.support.client import Answer, basic, exchange, request

USER = "acme"
PATH = "/leads/test"
LEAD = {"email": EMAIL, "state": "CA", "loan_amount": "5000"}
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 15\r\nConnection: close\r\n\r\nOK|98|10.00|177"

_HASHES: dict[str, str] = {}  # hashing is slow on purpose; the same password is hashed once

PROGRAM: dict[str, Any] = {
    "program": "test",
    "path": PATH,
    "deadline": "5s",
    "auth": {"realm": "Test leads", "users": "partners.htpasswd"},
    # Most tests send the same lead again and again, and mean it.
    "lead": {
        "replay": {"window": "0s"},
        "unknown_hold": "0s",
        "fields": {
            "email": {"type": "email", "required": True, "aliases": ["email_address"]},
            "state": {"type": "us_state", "required": True},
            "loan_amount": {"type": "integer", "min": 1000, "max": 50000},
            "dob": {"type": "date", "min_age": 18},
        },
    },
    "upstream": {"url": "", "timeouts": {"connect": "1s", "first_byte": "2s", "total": "3s"}, "late_answer": "2s"},
    "answers": [
        {
            "when": {"text": r"^OK\|(?P<uniqueid>[^|]+)\|(?P<sale_amount>[^|]+)\|(?P<customerid>\d+)$"},
            "verdict": "accepted",
            "name": "ok",
        },
        {"when": {"text": "^NO: "}, "verdict": "rejected", "note": {"text": "^NO: (.*)"}, "name": "no"},
        {"when": {"text": "^DUP"}, "verdict": "duplicate", "name": "dup"},
        {"when": {"text": "^ERR"}, "verdict": "error", "name": "err"},
    ],
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """base with changes laid over it, block by block; a None takes a key away."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def write_configuration(
    folder: Path,
    upstream: str,
    *,
    program: Mapping[str, Any] | None = None,
    top: Mapping[str, Any] | None = None,
    password: str = PASSWORD,
) -> Path:
    """Configuration files of one program before `upstream`; returns the top file."""
    settings = merged(PROGRAM, program or {})
    settings["upstream"] = {**settings["upstream"], "url": upstream}
    (folder / "program.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    users = folder / "partners.htpasswd"
    users.touch(mode=0o600)
    if password not in _HASHES:
        _HASHES[password] = hash_password(password)
    users.write_text(f"{USER}:{_HASHES[password]}\n")
    start = {
        "listen": "127.0.0.1:0",
        "admin": "127.0.0.1:0",
        "drain": {"wait": "0s", "finish": "5s"},
        "id_key": "0123456789abcdef0123456789abcdef",
        "state_dir": "state",
        "programs": ["program.yaml"],
    }
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(merged(start, top or {}), sort_keys=False))
    return path


def composed(path: Path) -> Composition:
    """The composition of a configuration that is right."""
    loaded = load(path)
    composition = compose(loaded, create=True)
    assert composition is not None, [str(problem) for problem in loaded.problems]
    return composition


@dataclass
class Running:
    """A running gateway."""

    server: Server
    stream: io.BytesIO
    answers: list[Answer] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port

    async def send(self, data: bytes, *, bodiless: bool = False) -> Answer:
        """Send the bytes of one request and read its answer."""
        answer = await exchange(self.port, data, bodiless=bodiless)
        self.answers.append(answer)
        return answer

    async def post(
        self,
        body: bytes | str | dict[str, str] = LEAD,
        *,
        path: str = PATH,
        user: str = USER,
        password: str = PASSWORD,
        **more: Any,
    ) -> Answer:
        """Post one lead with good credentials, unless told otherwise."""
        return await self.send(request(path, body, **{"authorization": basic(user, password)} | more))

    def log(self) -> list[dict[str, Any]]:
        """The log lines so far."""
        self.server.log.flush()
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    async def line(self, reference: str) -> dict[str, Any]:
        """The log line of one submission."""
        [found] = [
            line for line in self.log() if line.get("reference") == reference and line.get("event") == "submission"
        ]
        return found

    async def admin(self, target: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and text of a page of the admin port."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.admin_port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        writer.write(f"GET {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{lines}\r\n".encode())
        head, _, text = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        return int(head.split(" ")[1]), text

    async def metric(self, name: str, **labels: str) -> float:
        """The value of one sample; 0.0 when it is not there."""
        _, text = await self.admin("/metrics")
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and wanted <= set(sample.partition("{")[2].rstrip("}").split(",")):
                return float(value)
        return 0.0

    async def search_for_canaries(self) -> None:
        """Fail when a lead's value or a password stands where it has no business."""
        assert CANARY not in self.stream.getvalue().decode().lower(), "a canary got into the log"
        assert CANARY not in (await self.admin("/metrics"))[1].lower(), "a canary got into the metrics"
        for answer in self.answers:
            shown = {name: value for name, value in answer.members.items() if name != "email"}
            assert CANARY not in repr((answer.headers, shown)).lower(), "a canary got into an answer"


@asynccontextmanager
async def running(
    folder: Path,
    upstream: str,
    *,
    program: Mapping[str, Any] | None = None,
    top: Mapping[str, Any] | None = None,
    password: str = PASSWORD,
) -> AsyncIterator[Running]:
    """A gateway before `upstream`, with `program` and `top` laid over the default configuration."""
    stream = io.BytesIO()
    composition = composed(write_configuration(folder, upstream, program=program, top=top, password=password))
    server = Server(composition, SubmissionLog(composition.settings.log.level, stream))
    await server.start()
    gateway = Running(server, stream)
    try:
        yield gateway
        server.log.flush()
        await gateway.search_for_canaries()
    finally:
        await server.close()
