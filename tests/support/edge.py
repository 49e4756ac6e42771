"""The gateway's own upstream edge for tests, checked for leaks when it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from gateway.settings.models import UpstreamSettings
from gateway.settings.problems import loose_report
from gateway.upstream import Exchange, Forward, OnLate, Upstream, compile_upstream

FORWARD = Forward(
    raw_headers=((b"Host", b"gw.example"), (b"Content-Type", b"application/x-www-form-urlencoded")),
    reference="01JD0000000000000000000000",
    client="192.0.2.7",
    host="gw.example",
)
LEAD = b"email=jane%40example.com&loan_amount=5000"


@asynccontextmanager
async def open_edge(url: str, **settings: Any) -> AsyncIterator[Upstream]:
    """`async with open_edge(url, keep_alive="2s", …) as upstream`: settings as they are written in a file.

    `lookup` stands in for the resolver.
    At the end no connection, slot or task may be left, and nothing may have been said to the loop's handler.
    """
    report = loose_report()
    lookup = settings.pop("lookup", None)
    times = {"connect": "2s", "first_byte": "5s", "total": "5s"} | settings.pop("timeouts", {})
    plan = compile_upstream(UpstreamSettings(url=url, timeouts=times, **settings), report)
    assert not report.failed, report.problems
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    upstream = Upstream(plan, lookup=lookup)
    try:
        yield upstream
    finally:
        await upstream.close()
        assert upstream.in_flight == 0, "a slot was not given back"
        assert upstream.connections == 0, "a connection is left"
        assert upstream.late_answers == 0, "a late answer is still waited for"
        left = [task for task in asyncio.all_tasks() - before if not task.get_name().startswith("scripted")]
        assert not left, left
        assert not complaints, complaints


def post(
    upstream: Upstream,
    body: bytes = LEAD,
    *,
    forward: Forward = FORWARD,
    within: float = 10.0,
    on_late: OnLate | None = None,
) -> Awaitable[Exchange]:
    """One lead, to be answered within so many seconds."""
    deadline = asyncio.get_running_loop().time() + within
    return upstream.exchange(forward, body, deadline=deadline, on_late=on_late)
