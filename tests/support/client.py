"""A small HTTP client on a raw socket for tests: what it sends and reads are exact bytes.

Every answer it reads is validated against the shipped JSON Schema or XSD.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.support.contract import validate_answer

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, and what it says."""

    status: int
    headers: dict[str, str]  # lower-case names
    body: bytes
    members: dict[str, object] = field(default_factory=dict)

    @property
    def note(self) -> str:
        return str(self.members["note"])

    @property
    def reason(self) -> str:
        """The slug in the note's machine part; an accepted answer has none."""
        if self.members["valid"] is True:
            return "accepted"
        return self.note.rpartition("[")[2].split(" ")[0].rstrip("]")


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def request(
    path: str,
    body: bytes | str | dict[str, str] = b"",
    *,
    method: str = "POST",
    authorization: str | None = None,
    content_type: str | None = FORM,
    headers: dict[str, str] | None = None,
) -> bytes:
    """The bytes of one request with a Content-Length."""
    if isinstance(body, dict):
        body = urlencode(body)
    data = body.encode() if isinstance(body, str) else body
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway.test", f"Content-Length: {len(data)}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    if authorization is not None:
        lines.append(f"Authorization: {authorization}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + data


async def read_answer(reader: asyncio.StreamReader, *, bodiless: bool = False) -> Answer:
    """The next answer on a connection. Raises asyncio.IncompleteReadError when there is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split(" ")[1])
    if bodiless or status < 200:
        return Answer(status, headers, b"")
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(status, headers, body, validate_answer(body, headers["content-type"]))


async def exchange(port: int, data: bytes, *, bodiless: bool = False) -> Answer:
    """Send bytes on a connection of their own and read one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(30):
            return await read_answer(reader, bodiless=bodiless)
    finally:
        writer.close()
