"""Behind a trusted proxy: whose address and scheme it is, on the whole way of a submission."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.intake.credentials import BUSY, Denied
from tests.support.running import OK, PATH, running
from tests.support.upstreams import ScriptedUpstream, answering

CLAIMS = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


class Recorder:
    """Stands in for sign-in: knows nobody, and notes of which address it was asked."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def known(self, authorization: str | None) -> None:
        return None

    async def check(self, authorization: str | None, address: str) -> Denied:
        self.addresses.append(address)
        return BUSY


async def test_address_and_scheme_are_told_to_the_legacy_as_a_trusted_proxy_tells_them(tmp_path: Path) -> None:
    top = {"listen": {"address": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1"]}}
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url, top=top) as gateway:
        await gateway.post(headers=CLAIMS)
        headers = dict(legacy.arrivals[0].headers)
        assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("203.0.113.9", "https")


async def test_nobody_else_is_believed(tmp_path: Path) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url) as gateway:
        await gateway.post(headers=CLAIMS)
        headers = dict(legacy.arrivals[0].headers)
        assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "http")


async def test_sign_ins_are_counted_by_the_clients_address_and_not_by_the_proxys(tmp_path: Path) -> None:
    top = {"listen": {"address": "127.0.0.1:0", "trusted_proxies": ["127.0.0.1"]}}
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url, top=top) as gateway:
        recorder = Recorder()
        lane = gateway.server.lanes[PATH]
        gateway.server.lanes[PATH] = replace(lane, authenticator=recorder)  # type: ignore[arg-type]
        assert (await gateway.post(headers=CLAIMS)).reason == "overloaded"
        assert recorder.addresses == ["203.0.113.9"]
