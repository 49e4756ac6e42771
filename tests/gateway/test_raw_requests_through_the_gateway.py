"""The table of raw requests against a whole gateway: each is answered as it says, refused ones never go upstream.

One gateway takes them all, one after another, as a real one does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.raw_client import send_raw
from tests.support.raw_requests import ACCEPTED, PASSWORD, PATH, RAW_REQUESTS, RawRequest
from tests.support.running import OK, Running, running
from tests.support.upstreams import ScriptedUpstream, answering

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROGRAM = {
    "path": PATH,
    "lead": {"fields": {"state": {"required": False}}},
    "answer": {"status_codes": "http"},
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def legacy() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(answering(OK)) as upstream:
        yield upstream


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def gateway(legacy: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    async with running(folder, legacy.url, program=PROGRAM, password=PASSWORD) as one:
        yield one


@pytest.mark.parametrize("row", RAW_REQUESTS, ids=lambda row: row.id.replace(" ", "_"))
async def test_a_raw_request_is_answered_as_the_table_says(
    legacy: ScriptedUpstream, gateway: Running, row: RawRequest
) -> None:
    before = legacy.touched
    transcript = await send_raw("127.0.0.1", gateway.port, row)
    further = () if row.closes else (ACCEPTED,)
    assert transcript.told == row.answers + further
    assert transcript.closed is row.closes
    arrived = transcript.told.count(ACCEPTED)
    assert legacy.touched - before == arrived, "leads that arrived upstream"
    assert legacy.requests == legacy.touched
