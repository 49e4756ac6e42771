"""Nothing lost, nothing twice: what the journal makes of resends, duplicates and unknown outcomes, on both stores."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.serve.compose import compose
from gateway.settings.load import load
from tests.support.canaries import EMAIL
from tests.support.client import Answer
from tests.support.running import LEAD, OK, running
from tests.support.upstreams import ScriptedUpstream, answering


def http(body: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


REPLAY = {"lead": {"replay": {"window": "10m", "ignore": ["click_id"]}, "unknown_hold": "30d"}}
SAME_EMAIL = {"name": "same_email", "key": ["email"], "window": "30d"}
DUPLICATES = {"lead": {"duplicates": [SAME_EMAIL]}}


class Held:
    """An upstream script that answers when told to."""

    def __init__(self, answer: bytes = OK) -> None:
        self.arrived, self.release, self.answer = asyncio.Event(), asyncio.Event(), answer

    async def __call__(self, peer: Any) -> None:
        await peer.request()
        self.arrived.set()
        await self.release.wait()
        await peer.send(self.answer)


async def test_a_resend_is_answered_as_the_first_was_and_arrives_once(tmp_path: Path, store: dict[str, Any]) -> None:
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        running(tmp_path, legacy.url, program=REPLAY, top=store) as gateway,
    ):
        first = await gateway.post()
        # Another order, another click: the same lead all the same.
        again = await gateway.post({**dict(reversed(LEAD.items())), "click_id": "2"})
        assert again.body == first.body
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
        assert legacy.requests == 1


async def test_a_resend_in_another_format_is_given_the_same_members(tmp_path: Path, store: dict[str, Any]) -> None:
    program = {**REPLAY, "answer": {"format": "negotiate"}}
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        running(tmp_path, legacy.url, program=program, top=store) as gateway,
    ):
        first = await gateway.post()
        again = await gateway.post(headers={"Accept": "application/xml"})
        assert again.headers["content-type"].startswith("application/xml")
        assert {name: str(value).lower() for name, value in again.members.items()} == {
            name: str(value).lower() for name, value in first.members.items()
        }


@pytest.mark.parametrize(
    ("legacy_answer", "reason", "arrivals"),
    [
        pytest.param(http("NO: too young"), "legacy_rejected", 1, id="a rejection replays"),
        pytest.param(http("DUP"), "legacy_duplicate", 1, id="a duplicate replays"),
        pytest.param(http("what"), "unrecognized_answer", 1, id="an unknown outcome replays"),
        pytest.param(http("ERR 1"), "legacy_error", 2, id="an error does not replay"),
    ],
)
async def test_what_replays_and_what_does_not(
    tmp_path: Path, store: dict[str, Any], legacy_answer: bytes, reason: str, arrivals: int
) -> None:
    async with (
        ScriptedUpstream(answering(legacy_answer)) as legacy,
        running(tmp_path, legacy.url, program=REPLAY, top=store) as gateway,
    ):
        answers = [await gateway.post(), await gateway.post()]
        assert [answer.reason for answer in answers] == [reason, reason]
        assert legacy.requests == arrivals


async def test_a_refused_lead_never_replays(tmp_path: Path, store: dict[str, Any]) -> None:
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        running(tmp_path, legacy.url, program=REPLAY, top=store) as gateway,
    ):
        assert (await gateway.post({"email": "x", "state": "CA"})).reason == "lead_invalid"
        assert (await gateway.post()).reason == "accepted"
        assert legacy.requests == 1


async def test_a_copy_waits_for_the_first_and_is_answered_like_it(tmp_path: Path, store: dict[str, Any]) -> None:
    held = Held()
    async with ScriptedUpstream(held) as legacy, running(tmp_path, legacy.url, program=REPLAY, top=store) as gateway:
        copies = [asyncio.create_task(gateway.post()) for _ in range(20)]
        await held.arrived.wait()
        held.release.set()
        answers: list[Answer] = await asyncio.gather(*copies)
        assert len({answer.body for answer in answers}) == 1
        assert legacy.requests == 1


async def test_a_copy_that_cannot_wait_any_longer_is_told_in_progress(tmp_path: Path, store: dict[str, Any]) -> None:
    held = Held()
    program = {
        **REPLAY,
        "deadline": "600ms",
        "upstream": {"timeouts": {"connect": "100ms", "first_byte": "400ms", "total": "450ms"}},
    }
    async with ScriptedUpstream(held) as legacy, running(tmp_path, legacy.url, program=program, top=store) as gateway:
        slow = gateway.server.lanes["/leads/test"]
        first = asyncio.create_task(gateway.post())
        await held.arrived.wait()
        second = await gateway.post()
        assert second.reason in ("in_progress", "outcome_unknown")  # whose time is over first, both are in flight
        assert (await first).reason == "outcome_unknown"
        assert slow.upstream.in_flight == 0
        assert legacy.requests == 1


async def test_an_idempotency_key_makes_a_submission_the_same_and_is_not_for_another_lead(
    tmp_path: Path, store: dict[str, Any]
) -> None:
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        running(tmp_path, legacy.url, program=REPLAY, top=store) as gateway,
    ):
        key = {"Idempotency-Key": "abc-1"}
        first = await gateway.post(headers=key)
        assert (await gateway.post(headers=key)).body == first.body
        other = await gateway.post({**LEAD, "loan_amount": "6000"}, headers=key)
        assert other.reason == "idempotency_conflict"
        assert legacy.requests == 1


async def test_a_second_lead_with_the_same_key_is_a_duplicate_whatever_its_spelling(
    tmp_path: Path, store: dict[str, Any]
) -> None:
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        running(tmp_path, legacy.url, program=DUPLICATES, top=store) as gateway,
    ):
        assert (await gateway.post()).reason == "accepted"
        second = await gateway.post({**LEAD, "email": EMAIL.upper(), "loan_amount": "7000"})
        assert second.reason == "duplicate"
        assert legacy.requests == 1


@pytest.mark.parametrize(
    ("legacy_answer", "second"),
    [
        pytest.param(http("NO: no"), "legacy_rejected", id="a rejection gives the claim back"),
        pytest.param(http("ERR"), "duplicate", id="an error holds it"),
        pytest.param(http("?"), "outcome_unknown", id="an unknown outcome holds it and says so"),
    ],
)
async def test_what_becomes_of_a_claim(
    tmp_path: Path, store: dict[str, Any], legacy_answer: bytes, second: str
) -> None:
    async with (
        ScriptedUpstream(answering(legacy_answer)) as legacy,
        running(tmp_path, legacy.url, program=DUPLICATES, top=store) as gateway,
    ):
        first = await gateway.post()
        again = await gateway.post({**LEAD, "loan_amount": "7000"})
        assert again.reason == second
        if second == "outcome_unknown":
            assert first.headers["x-request-id"] in again.note, "the first reference is what to ask about"


async def test_a_lead_that_was_not_sent_reserves_nothing(tmp_path: Path, store: dict[str, Any]) -> None:
    async with running(tmp_path, "http://127.0.0.1:1/", program=DUPLICATES, top=store) as gateway:
        assert (await gateway.post()).reason == "upstream_unreachable"
        assert (await gateway.post()).reason == "upstream_unreachable"


async def test_an_unknown_outcome_holds_the_whole_lead_without_any_rule(tmp_path: Path, store: dict[str, Any]) -> None:
    program = {"lead": {"unknown_hold": "30d"}}
    async with (
        ScriptedUpstream(answering(then="fin")) as legacy,
        running(tmp_path, legacy.url, program=program, top=store) as gateway,
    ):
        first, again = await gateway.post(), await gateway.post()
        assert (first.reason, again.reason) == ("outcome_unknown", "outcome_unknown")
        assert first.headers["x-request-id"] in again.note
        assert legacy.requests == 1
        assert (await gateway.post({**LEAD, "loan_amount": "9000"})).reason == "outcome_unknown"
        assert legacy.requests == 2


async def test_a_late_answer_settles_an_unknown_outcome(tmp_path: Path, store: dict[str, Any]) -> None:
    held = Held()
    program = {
        **REPLAY,
        "upstream": {"timeouts": {"connect": "1s", "first_byte": "100ms", "total": "1s"}, "late_answer": "10s"},
    }
    async with ScriptedUpstream(held) as legacy, running(tmp_path, legacy.url, program=program, top=store) as gateway:
        assert (await gateway.post()).reason == "outcome_unknown"
        held.release.set()
        async with asyncio.timeout(10):
            while (again := await gateway.post()).reason != "accepted":
                assert again.reason == "outcome_unknown"
        assert again.members["uniqueid"] == "98"
        assert legacy.requests == 1


async def test_what_is_known_survives_a_restart(tmp_path: Path, store: dict[str, Any]) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy:
        async with running(tmp_path, legacy.url, program=REPLAY, top=store) as gateway:
            first = await gateway.post()
        async with running(tmp_path, legacy.url, program=REPLAY, top=store) as gateway:
            assert (await gateway.post()).body == first.body
        assert legacy.requests == 1


async def test_nothing_of_a_lead_stands_in_the_journals_files(tmp_path: Path) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url, program=DUPLICATES) as gateway:
        await gateway.post()
        files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
        assert any(path.name.startswith("journal") for path in files)
        for path in files:
            assert b"kanarienvogel" not in path.read_bytes().lower(), path.name


async def test_named_fields_make_a_lead_the_same_by_whatever_alias_they_came(tmp_path: Path) -> None:
    program = {"lead": {"replay": {"window": "10m", "fields": ["email"]}}}
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url, program=program) as gateway:
        first = await gateway.post()
        same = {"email_address": EMAIL, "state": "NY"}
        assert (await gateway.post(same)).body == first.body
        assert legacy.requests == 1
        other = {"email_address": "somebody-else@example.com", "state": "NY"}
        assert (await gateway.post(other)).reason == "accepted"
        assert legacy.requests == 2


@pytest.mark.parametrize("name", ["journal", "index"])
async def test_a_journal_whose_key_is_gone_is_not_begun_anew(tmp_path: Path, name: str) -> None:
    async with running(tmp_path, "http://127.0.0.1:1/"):
        pass
    (tmp_path / "state" / "keys" / name).unlink()
    loaded = load(tmp_path / "gateway.yaml")
    assert compose(loaded, create=True) is None
    assert any("a key that is gone" in problem.wrong for problem in loaded.findings())
    assert not (tmp_path / "state" / "keys" / name).exists()
