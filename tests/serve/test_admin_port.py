"""The admin port: what a deep look costs whoever asks, and what strangers learn of the software."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from gateway.observe.metrics import Metrics
from gateway.serve.admin import Admin


@dataclass
class Scene:
    """An admin port before one dependence that answers when told to, on a clock that tests set."""

    now: float = 1000.0
    looks: int = 0
    state: str = ""
    broken: bool = False
    release: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def look(self) -> Mapping[str, str]:
        self.looks += 1
        await self.release.wait()
        if self.broken:
            raise RuntimeError("a bug")
        return {"upstream of test": self.state}

    async def send(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer

    async def deep(self) -> str:
        answer = await self.send(b"GET /readyz?deep HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return answer.partition(b"\r\n\r\n")[2].decode()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    pages = Admin(Metrics(partners=0), authenticator=None, ready=lambda: "", deep=made.look, clock=lambda: made.now)
    runner = pages.runner()
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def test_many_who_ask_at_once_cost_one_deep_look(scene: Scene) -> None:
    asking = [asyncio.create_task(scene.deep()) for _ in range(20)]
    async with asyncio.timeout(5):
        while not scene.looks:
            await asyncio.sleep(0)
    scene.release.set()
    assert set(await asyncio.gather(*asking)) == {"ready\nupstream of test: ok\n"}
    assert scene.looks == 1


async def test_a_deep_look_is_told_for_two_seconds_and_then_taken_anew(scene: Scene) -> None:
    scene.release.set()
    assert await scene.deep() == "ready\nupstream of test: ok\n"
    scene.state = "connect_refused"
    scene.now += 1.9
    assert await scene.deep() == "ready\nupstream of test: ok\n"
    scene.now += 0.1
    assert await scene.deep() == "ready\nupstream of test: connect_refused\n"
    assert scene.looks == 2


async def test_a_look_that_failed_is_not_kept(scene: Scene) -> None:
    scene.release.set()
    scene.broken = True
    assert await scene.deep() == "internal server error\n"
    scene.broken = False
    assert await scene.deep() == "ready\nupstream of test: ok\n"


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200, b"ok\n", id="a page"),
        pytest.param(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, None, id="no page"),
        pytest.param(b"POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405, None, id="no method"),
        pytest.param(b"secret\r\n\r\n", 400, b"bad request\n", id="no request"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nsecret header\r\n\r\n", 400, b"bad request\n", id="no header"),
    ],
)
async def test_no_answer_names_the_software_or_quotes_what_came(
    scene: Scene, data: bytes, status: int, text: bytes | None
) -> None:
    head, _, body = (await scene.send(data)).partition(b"\r\n\r\n")
    assert int(head.split(b" ")[1]) == status
    assert b"\r\nserver: gateway" in head.lower()
    assert b"aiohttp" not in head.lower() + body.lower()
    assert b"secret" not in body
    assert text is None or body == text
