"""An edge on a free port with a handler that does what the pipeline does, as far as the edge can tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.datapost import DEFAULT_CONTRACT, Format, content_type, render
from gateway.datapost.reasons import Reason
from gateway.datapost.values import DataPostResponse
from gateway.intake import Intake, Reply, Request, Unreadable
from gateway.settings.models import Limits
from tests.support.client import basic
from tests.support.raw_requests import PASSWORD, PATH, USER

REFERENCE = "01JD0000000000000000000000"
_CREDENTIAL = basic(USER, PASSWORD)


def told(reason: Reason, text: str = "") -> Reply:
    """The reply that tells a reason."""
    answer = DEFAULT_CONTRACT.refuse(reason, REFERENCE, text=text)
    if reason is Reason.ACCEPTED:
        answer = DataPostResponse(valid=True, uniqueid="98", note=reason.sentence)
    headers = (("WWW-Authenticate", 'Basic realm="leads", charset="UTF-8"'),) if reason is Reason.UNAUTHORIZED else ()
    return Reply(
        reason.status,
        headers,
        render(answer, Format.JSON),
        close=reason is Reason.NOT_FOUND,
        content_type=content_type(Format.JSON),
    )


@dataclass
class Desk:
    """A handler in the published order: route, method, credential, body. `leads` is what got through."""

    leads: list[bytes] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    refused: list[tuple[Reason, str]] = field(default_factory=list)
    unread: list[Unreadable] = field(default_factory=list)
    #: Awaited with each request before it is looked at.
    before: Callable[[Request], Awaitable[object]] | None = None

    async def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        if self.before is not None:
            await self.before(request)
        if request.path != PATH:
            return told(Reason.NOT_FOUND)
        if request.method != "POST":
            return told(Reason.METHOD_NOT_ALLOWED)
        if request.headers.get("Authorization") != _CREDENTIAL:
            return told(Reason.UNAUTHORIZED)
        body = await request.body()
        if isinstance(body, Unreadable):
            self.unread.append(body)
            return told(body.reason, body.text)
        if not body:
            return told(Reason.LEAD_INVALID)
        self.leads.append(body)
        return told(Reason.ACCEPTED)

    def refuse(self, reason: Reason, peer: str, received: float, detail: str) -> Reply:
        self.refused.append((reason, detail))
        return told(reason, detail)


@dataclass
class Edge:
    """A listening edge."""

    intake: Intake
    desk: Any
    port: int
    crashes: list[Exception]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of a client's."""
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def open_edge(desk: Any = None, **limits: Any) -> AsyncIterator[Edge]:
    """`async with open_edge(header_time="100ms") as edge`: limits as they are written in a file.

    At its end nothing may be left: no connection, no handler, no complaint of the event loop.
    """
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    crashes: list[Exception] = []
    desk = Desk() if desk is None else desk
    intake = Intake(Limits(**limits), desk, crashed=crashes.append)
    server = await loop.create_server(intake.factory, "127.0.0.1", 0)
    try:
        yield Edge(intake, desk, server.sockets[0].getsockname()[1], crashes)
    finally:
        server.close()
        await intake.abort()
        assert await intake.drained(5.0), "a connection or a handler is left"
        assert (intake.connections, intake.busy) == (0, 0)
        assert not intake._per_address, "addresses pile up"
        await server.wait_closed()
        assert not complaints, complaints
