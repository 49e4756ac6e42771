"""The published order of checks, one test for each neighbouring pair: a request that fails both is told the earlier.

framing, route, method, credential, network, body, decode, fields, circuit, upstream. (What later versions add between
them is added here with them.)
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.client import basic, request
from tests.support.running import LEAD, OK, PATH, USER, running
from tests.support.upstreams import ScriptedUpstream, answering, message

GOOD = basic(USER, "pass-kanarienvogel-word")
WRONG = basic(USER, "wrong")
OUTSIDE = {"networks": ["192.0.2.0/24"]}
TOO_LARGE = "email=" + "x" * 70_000
BAD_FRAMING = {"Transfer-Encoding": "gzip"}

CASES = [
    # (first and second of the pair, request, program settings, who wins)
    pytest.param(request("/none", LEAD, headers=BAD_FRAMING), {}, "malformed", id="framing before route"),
    pytest.param(request("/none", method="GET"), {}, "not_found", id="route before method"),
    pytest.param(request(PATH, method="GET"), {}, "method_not_allowed", id="method before credential"),
    pytest.param(request(PATH, LEAD, authorization=WRONG), OUTSIDE, "unauthorized", id="credential before network"),
    pytest.param(request(PATH, TOO_LARGE, authorization=GOOD), OUTSIDE, "forbidden", id="network before body"),
    pytest.param(
        request(PATH, TOO_LARGE, authorization=GOOD, content_type="text/plain"),
        {},
        "too_large",
        id="body before decode",
    ),
    pytest.param(request(PATH, "email=%zz", authorization=GOOD), {}, "malformed", id="decode before fields"),
    pytest.param(request(PATH, "email=x", authorization=GOOD), {}, "lead_invalid", id="fields before upstream"),
]


@pytest.mark.parametrize(("data", "program", "reason"), CASES)
async def test_the_earlier_check_answers(tmp_path: Path, data: bytes, program: dict[str, object], reason: str) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url, program=program) as gateway:
        assert (await gateway.send(data)).reason == reason
        assert legacy.touched == 0


async def test_an_upstream_without_a_free_slot_is_asked_only_after_the_fields(tmp_path: Path) -> None:
    program = {"upstream": {"max_in_flight": 1}}
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url, program=program) as gateway:
        gateway.server.lanes[PATH].upstream.in_flight = 1  # the one slot is taken
        assert (await gateway.post({"email": "x"})).reason == "lead_invalid"
        assert (await gateway.post()).reason == "overloaded"
        gateway.server.lanes[PATH].upstream.in_flight = 0
        assert legacy.touched == 0


async def test_the_circuit_is_asked_after_the_fields_and_before_a_slot(tmp_path: Path) -> None:
    program = {"upstream": {"max_in_flight": 1, "circuit": {"failures": 1}}}
    error = message(b"ERR")
    async with ScriptedUpstream(answering(error)) as legacy, running(tmp_path, legacy.url, program=program) as gateway:
        assert (await gateway.post()).reason == "legacy_error"
        gateway.server.lanes[PATH].upstream.in_flight = 1  # the one slot is taken
        assert (await gateway.post({"email": "x"})).reason == "lead_invalid"
        assert (await gateway.post()).reason == "circuit_open"
        gateway.server.lanes[PATH].upstream.in_flight = 0
        assert legacy.touched == 1
