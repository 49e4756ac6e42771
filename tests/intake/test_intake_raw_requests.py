"""The table of raw requests against the edge alone: sent whole, in parts and byte by byte."""

from __future__ import annotations

import pytest

from tests.support.downstream import Edge
from tests.support.raw_client import send_raw
from tests.support.raw_requests import ACCEPTED, RAW_REQUESTS, RawRequest

#: What the handler never hears of: the head could not be read.
_FRAMING = {400, 408, 414, 431, 501, 505}
#: Longer rows are not sent byte by byte: their point is a size, and sizes have rows of their own.
_BYTEWISE = 3000

each_row = pytest.mark.parametrize("row", RAW_REQUESTS, ids=lambda row: row.id.replace(" ", "_"))
each_short_row = pytest.mark.parametrize(
    "row",
    [row for row in RAW_REQUESTS if not row.indivisible and sum(len(one or b"") for one in row.segments) <= _BYTEWISE],
    ids=lambda row: row.id.replace(" ", "_"),
)


def test_the_table_names_each_row_once() -> None:
    assert len({row.id for row in RAW_REQUESTS}) == len(RAW_REQUESTS) >= 130


async def _check(edge: Edge, row: RawRequest, segments: tuple[bytes | None, ...]) -> None:
    transcript = await send_raw("127.0.0.1", edge.port, row, segments)
    further = () if row.closes else (ACCEPTED,)
    assert transcript.told == row.answers + further
    assert transcript.closed is row.closes
    assert len(edge.desk.leads) == row.leads + len(further), "leads that arrived"
    # The handler hears of each request once, and never of a head that cannot be read.
    assert len(edge.desk.requests) + len(edge.desk.refused) == sum(status != 100 for status, _ in transcript.told)
    assert all(reason.status in _FRAMING for reason, _ in edge.desk.refused)
    assert not edge.crashes
    answers = [answer for answer in transcript.answers if answer.status != 100]
    for answer in answers[:-1] if row.closes else answers:
        assert answer.headers.get("connection", "keep-alive") == "keep-alive"
    if row.closes and answers and not row.shut:
        assert answers[-1].headers["connection"] == "close"


@each_row
async def test_a_raw_request_is_answered_as_the_table_says(edge: Edge, row: RawRequest) -> None:
    await _check(edge, row, row.segments)


@each_row
async def test_a_raw_request_in_one_segment_is_answered_the_same(edge: Edge, row: RawRequest) -> None:
    await _check(edge, row, row.whole)


@each_short_row
async def test_a_raw_request_byte_by_byte_is_answered_the_same(edge: Edge, row: RawRequest) -> None:
    await _check(edge, row, row.bytewise)
