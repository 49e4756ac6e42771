"""Sends a row of `raw_requests` and tells what came back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.client import Answer, read_answer
from tests.support.raw_requests import RawRequest, post

#: Turns of the event loop in which the other side, when it runs on the same loop, reads what was sent.
_TURNS = 4


@dataclass(slots=True)
class Transcript:
    """What came back: the answers, and whether the connection was ended behind them."""

    answers: list[Answer] = field(default_factory=list)
    closed: bool = False

    @property
    def told(self) -> tuple[tuple[int, str], ...]:
        """(status, slug) of each answer; no slug where there is no body to read it from."""
        return tuple((answer.status, answer.reason if answer.members else "") for answer in self.answers)


async def send_raw(
    host: str, port: int, row: RawRequest, segments: Sequence[bytes | None] | None = None, *, within: float = 20.0
) -> Transcript:
    """Send a row's segments (or others with the same bytes) and read its answers.

    A row whose connection is to stay open ends with a good lead: its answer is the transcript's last one, so that
    one more lead arrives than the row says.
    """
    transcript = Transcript()
    reader, writer = await asyncio.open_connection(host, port, limit=1024 * 1024)
    try:
        async with asyncio.timeout(within):
            for segment in row.segments if segments is None else segments:
                if segment is None:
                    transcript.answers.append(await read_answer(reader, bodiless=row.bodiless))
                else:
                    await _send(writer, segment)
            if row.shut:
                writer.write_eof()
            if not row.closes:
                while len(transcript.answers) < len(row.answers):
                    transcript.answers.append(await read_answer(reader, bodiless=row.bodiless))
                await _send(writer, post())
                transcript.answers.append(await read_answer(reader))
                return transcript
            await read_to_end(reader, transcript, bodiless=row.bodiless)
    finally:
        writer.close()
    return transcript


async def _send(writer: asyncio.StreamWriter, segment: bytes) -> None:
    """Write one segment. What the other side does not want any more may be lost."""
    if writer.is_closing():
        return
    writer.write(segment)
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def read_to_end(reader: asyncio.StreamReader, transcript: Transcript, *, bodiless: bool = False) -> None:
    """Add all answers up to the end of the connection, which must not be in the middle of one."""
    while not transcript.closed:
        try:
            transcript.answers.append(await read_answer(reader, bodiless=bodiless))
        except asyncio.IncompleteReadError as end:
            transcript.closed, rest = True, end.partial
            if rest:
                raise AssertionError("half an answer") from end
