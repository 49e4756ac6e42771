"""Stopping a real process: what is in flight is finished, what cannot be is told so, the exit code says which."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.canaries import CANARY
from tests.support.client import basic, read_answer, request
from tests.support.process import Serving, serving
from tests.support.running import LEAD, OK, PATH, USER, write_configuration
from tests.support.upstreams import ScriptedUpstream, answering

SUBMISSION = request(PATH, LEAD, authorization=basic(USER, "pass-kanarienvogel-word"))


INVALID = request(PATH, {"state": CANARY, CANARY: CANARY}, authorization=basic(USER, "pass-kanarienvogel-word"))


class Held:
    """An upstream script that answers when told to."""

    def __init__(self) -> None:
        self.arrived, self.release = asyncio.Event(), asyncio.Event()

    async def __call__(self, peer: Any) -> None:
        await peer.request()
        self.arrived.set()
        await self.release.wait()
        await peer.send(OK)


async def not_ready(gateway: Serving) -> None:
    """Wait until the gateway has begun to stop: its listener is closed."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            except OSError:
                return
            writer.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_the_lead_in_flight_finish_and_exits_0(tmp_path: Path, number: int) -> None:
    held = Held()
    async with (
        ScriptedUpstream(held) as legacy,
        serving(write_configuration(tmp_path, legacy.url), tmp_path / "log") as gateway,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(SUBMISSION)
        await held.arrived.wait()
        gateway.process.send_signal(number)
        await not_ready(gateway)
        held.release.set()
        assert (await read_answer(reader)).reason == "accepted"
        assert await reader.read() == b""
        writer.close()
        assert await asyncio.wait_for(gateway.process.wait(), 20) == 0


async def test_what_cannot_finish_in_time_is_answered_all_the_same_and_the_exit_code_says_so(tmp_path: Path) -> None:
    held = Held()
    top = {"drain": {"wait": "0s", "finish": "100ms"}}
    async with (
        ScriptedUpstream(held) as legacy,
        serving(write_configuration(tmp_path, legacy.url, top=top), tmp_path / "log") as gateway,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(SUBMISSION)
        slow_reader, slow_writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        slow_writer.write(SUBMISSION[:-5])
        await held.arrived.wait()
        gateway.process.send_signal(signal.SIGTERM)
        assert (await read_answer(reader)).reason == "outcome_unknown"
        assert (await read_answer(slow_reader)).reason == "draining"
        writer.close()
        slow_writer.close()
        assert await asyncio.wait_for(gateway.process.wait(), 20) == 1
        assert legacy.requests == 1


async def test_nothing_of_a_lead_is_printed_by_a_real_process(tmp_path: Path) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy:
        async with serving(write_configuration(tmp_path, legacy.url), tmp_path / "log") as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            for data in (SUBMISSION, INVALID):
                writer.write(data)
                await read_answer(reader)
            writer.close()
            other, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(b"POST /leads/test HTTP/1.1\r\nHost: x\r\nAuthorization: kanarienvogel\x00\r\n\r\n")
            assert (await read_answer(other)).reason == "malformed"
            writer.close()
            assert await gateway.end() == 0
        printed = (tmp_path / "log").read_text() + (tmp_path / "log.out").read_text()
        assert CANARY not in printed.lower()
        events = [json.loads(line)["event"] for line in (tmp_path / "log.out").read_text().splitlines()]
        assert events.count("submission") == 3


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    from tests.support.process import command

    async with ScriptedUpstream(answering(OK)) as legacy:
        top = {"listen": f"127.0.0.1:{legacy.port}"}
        code, out, said = await command("serve", "-c", str(write_configuration(tmp_path, legacy.url, top=top)))
        assert (code, out) == (1, "")
        assert said == f"cannot listen on 127.0.0.1:{legacy.port}: Address already in use\n"
