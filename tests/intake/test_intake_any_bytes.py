"""Whatever comes in, in whatever pieces: well-formed answers, one for each request, and bodies to the byte."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from itertools import pairwise

import uvloop
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.contract import validate_answer
from tests.support.downstream import Desk, open_edge
from tests.support.raw_client import Transcript, read_to_end
from tests.support.raw_requests import END, RAW_REQUESTS, chunked, post

_ROWS = [
    b"".join(segment or b"" for segment in row.segments) for row in RAW_REQUESTS if not row.bodiless and row.segments
]
_SHORT_ROWS = [row for row in _ROWS if len(row) < 1000]


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """A row of the table with a few bytes changed, lost, doubled or added."""
    wire = bytearray(draw(st.sampled_from(_SHORT_ROWS)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(wire)))
        match draw(st.sampled_from(["change", "lose", "double", "add"])):
            case "change" if at < len(wire):
                wire[at] = draw(st.integers(0, 255))
            case "lose":
                del wire[at : at + draw(st.integers(1, 20))]
            case "double":
                wire[at:at] = wire[at : at + draw(st.integers(1, 40))]
            case _:
                wire[at:at] = draw(st.sampled_from([b"\r\n", b"\n", b"\0", b" ", b"0", b":", b"\xff", b"HEAD "]))
    return bytes(wire)


_streams = st.lists(st.one_of(_mutated(), st.sampled_from(_SHORT_ROWS), st.binary(max_size=60)), min_size=1, max_size=4)
_cuts = st.lists(st.integers(0, 3000), max_size=12)


def _pieces(wire: bytes, cuts: Sequence[int]) -> list[bytes]:
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < len(wire)}), len(wire)]
    return [wire[start:stop] for start, stop in pairwise(bounds)]


async def _send(writer: asyncio.StreamWriter, pieces: list[bytes]) -> None:
    for piece in pieces:
        writer.write(piece)
        for _ in range(3):
            await asyncio.sleep(0)
    writer.write_eof()


async def _check_any(wire: bytes, cuts: Sequence[int]) -> None:
    async with open_edge() as edge, asyncio.timeout(20):
        reader, writer = await edge.connect()
        sending = asyncio.create_task(_send(writer, _pieces(wire, cuts)), name="client")
        received = await reader.read()
        await sending
        writer.close()
        _check_answers(received, edge.desk, wire)
        assert not edge.crashes


def _check_answers(received: bytes, desk: Desk, wire: bytes) -> None:
    """Walk through all that came back: an answer for each request, and for at most one thing that was none."""
    bodiless = [request.method == "HEAD" for request in desk.requests] + [b"HEAD " in wire] * len(desk.refused)
    assert len(desk.refused) <= 1
    while bodiless:
        head, end, received = received.partition(b"\r\n\r\n")
        assert end, "no answer"
        first, *lines = head.decode("ascii").split("\r\n")
        if first == "HTTP/1.1 100 Continue":
            continue
        assert re.fullmatch(r"HTTP/1\.1 [2-5][0-9][0-9] [A-Za-z -]+", first)
        fields = dict(line.split(": ", 1) for line in lines)
        length = int(fields["Content-Length"])
        without = bodiless.pop(0)
        # Whether what could not be read was a HEAD is ours to say only where nothing follows it.
        body = b"" if without and not (desk.refused and not bodiless and received) else received[:length]
        if body:
            validate_answer(body, fields["Content-Type"])
        received = received[len(body) :]
        assert fields.get("Connection") == "close" or bodiless or not received
        assert fields.get("Connection") != "close" or not bodiless
    assert received == b"", "more than was asked for"


@settings(max_examples=300, deadline=None)
@given(_streams, _cuts)
@example([b"\r\n" * 5000 + post()], [])
@example([post(), b"\r", post(), b"\n\r\n", post()], [300])
def test_any_bytes_cut_anywhere_get_well_formed_answers_one_for_each_request(
    streams: list[bytes], cuts: list[int]
) -> None:
    uvloop.run(_check_any(b"".join(streams), cuts))


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body, and a request that carries it, with a length or in chunks."""
    body = draw(st.binary(min_size=1, max_size=600))
    if draw(st.booleans()):
        return body, post(body=body)
    bounds = [0, *sorted(draw(st.sets(st.integers(1, len(body)), max_size=8)) | {len(body)})]
    extension = draw(st.sampled_from([b"", b";a", b';a="b;c"']))
    chunks = [body[start:stop] for start, stop in pairwise(bounds)]
    wire = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks if chunk)
    trailer = draw(st.sampled_from([END, b"000\r\nX-Sum: 1\r\n\r\n"]))
    return body, chunked(wire + trailer)


async def _check_bodies(wires: bytes, cuts: Sequence[int], bodies: list[bytes]) -> None:
    async with open_edge() as edge, asyncio.timeout(20):
        reader, writer = await edge.connect()
        sending = asyncio.create_task(_send(writer, _pieces(wires, cuts)), name="client")
        transcript = Transcript()
        await read_to_end(reader, transcript)
        await sending
        writer.close()
        assert [reason for _, reason in transcript.told] == ["accepted"] * len(bodies)
        assert edge.desk.leads == bodies


@settings(max_examples=200, deadline=None)
@given(st.lists(_bodies(), min_size=1, max_size=4), _cuts)
def test_a_body_arrives_to_the_byte_however_it_was_framed_and_cut(
    sent: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    uvloop.run(_check_bodies(b"".join(wire for _, wire in sent), cuts, [body for body, _ in sent]))
