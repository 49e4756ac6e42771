"""Whole submissions through a running gateway: what the partner is told, what reaches the legacy, what is recorded."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.canaries import EMAIL
from tests.support.client import Answer, basic, read_answer, request
from tests.support.running import LEAD, OK, PATH, USER, Running, running
from tests.support.upstreams import ScriptedUpstream, answering


def http(body: str, status: str = "200 OK", *headers: str) -> bytes:
    """A legacy answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers]
    return "\r\n".join((*lines, "", body)).encode()


async def test_a_valid_lead_goes_through_and_comes_back_as_printed_in_the_contract(tmp_path: Path) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url) as gateway:
        answer = await gateway.post()
        expected = (
            '{"dataPostResponse": {"valid": true, "uniqueid": "98", "sale_amount": "10.00", "customerid": "177", '
            f'"email": "{EMAIL}", "note": "Lead submitted successfully"}}}}'
        )
        assert answer.body.decode() == expected
        line = await gateway.line(answer.headers["x-request-id"])
        assert (line["reason"], line["delivery"], line["outcome"], line["rule"]) == (
            "accepted",
            "answered",
            "accepted",
            "ok",
        )
        assert await gateway.metric("gateway_submissions_total", program="test", partner=USER, reason="accepted") == 1
        assert (
            await gateway.metric("gateway_delivery_total", program="test", delivery="answered", outcome="accepted") == 1
        )


async def test_that_an_id_was_mapped_stands_in_the_log_line(tmp_path: Path) -> None:
    async with (
        ScriptedUpstream(answering(http("OK|9/8|10.00|177")), answering(OK)) as legacy,
        running(tmp_path, legacy.url) as gateway,
    ):
        mapped, plain = await gateway.post(), await gateway.post()
        assert (await gateway.line(mapped.headers["x-request-id"]))["mapped"] is True
        assert "mapped" not in await gateway.line(plain.headers["x-request-id"])
        assert await gateway.metric("gateway_mapped_ids_total", program="test") == 1


async def test_the_very_bytes_go_upstream_and_no_credential_does(tmp_path: Path) -> None:
    body = "state=CA&email=jane%2Ekanarienvogel%40example.com&x=%7e+%7E&&y"
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url) as gateway:
        await gateway.post(body, headers={"Cookie": "a=kanarienvogel", "X-Custom": "1", "X_Forwarded_For": "9.9.9.9"})
        [arrival] = legacy.arrivals
        assert arrival.body == body.encode()
        headers = dict(arrival.headers)
        assert "authorization" not in headers
        assert "cookie" not in headers
        assert "x_forwarded_for" not in headers
        assert headers["x-custom"] == "1"
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert headers["via"] == "1.1 gateway"


async def test_upstream_credentials_are_those_of_the_gateway(tmp_path: Path) -> None:
    program = {"upstream": {"auth": {"user": "gw", "password": "legacy-kanarienvogel"}}}
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url, program=program) as gateway:
        await gateway.post()
        assert dict(legacy.arrivals[0].headers)["authorization"] == basic("gw", "legacy-kanarienvogel")


@pytest.mark.parametrize(
    ("legacy_answer", "reason", "delivery", "outcome"),
    [
        pytest.param(http("NO: too young"), "legacy_rejected", "answered", "rejected", id="rejected"),
        pytest.param(http("DUP"), "legacy_duplicate", "answered", "rejected", id="duplicate"),
        pytest.param(http("ERR 7"), "legacy_error", "answered", "error", id="error"),
        pytest.param(http("Hello"), "unrecognized_answer", "answered", "unknown", id="no rule matches"),
        pytest.param(http("OK|98|ten|177"), "unrecognized_answer", "answered", "unknown", id="unreadable amount"),
        pytest.param(
            http("OK|98|10.00|177", "500 Oops"), "unrecognized_answer", "answered", "unknown", id="accepted from a 500"
        ),
        pytest.param(b"garbage\r\n\r\n", "outcome_unknown", "sent", "unknown", id="not HTTP"),
        pytest.param(http("OK|98|10.00|177")[:-3], "outcome_unknown", "sent", "unknown", id="cut short"),
    ],
)
async def test_what_the_legacy_answers_decides_reason_delivery_and_outcome(
    tmp_path: Path, legacy_answer: bytes, reason: str, delivery: str, outcome: str
) -> None:
    async with ScriptedUpstream(answering(legacy_answer)) as legacy, running(tmp_path, legacy.url) as gateway:
        answer = await gateway.post()
        assert answer.reason == reason
        assert answer.members["valid"] is False
        line = await gateway.line(answer.headers["x-request-id"])
        assert (line["reason"], line["delivery"], line["outcome"]) == (reason, delivery, outcome)
        assert await gateway.metric("gateway_delivery_total", program="test", delivery=delivery, outcome=outcome) == 1
        assert legacy.requests == 1


async def test_a_rejection_tells_the_partner_why_and_repeats_no_value(tmp_path: Path) -> None:
    text = f"NO: {EMAIL} is on our list"
    async with ScriptedUpstream(answering(http(text))) as legacy, running(tmp_path, legacy.url) as gateway:
        answer = await gateway.post()
        assert answer.note.startswith("(email) is on our list")


async def test_an_upstream_that_is_not_there_leaves_the_lead_unsent(tmp_path: Path) -> None:
    async with running(tmp_path, "http://127.0.0.1:1/") as gateway:
        answer = await gateway.post()
        assert (answer.reason, answer.status) == ("upstream_unreachable", 503)
        line = await gateway.line(answer.headers["x-request-id"])
        assert (line["delivery"], line["outcome"]) == ("not_sent", "")


async def test_all_faults_are_told_at_once_in_field_order_and_nothing_is_sent(tmp_path: Path) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url) as gateway:
        answer = await gateway.post({"email": "kanarienvogel", "loan_amount": "999", "dob": "1985-02-30"})
        assert answer.reason == "lead_invalid"
        assert "email=format state=missing loan_amount=range dob=format" in answer.note
        assert legacy.touched == 0
        assert (
            await gateway.metric("gateway_faults_total", program="test", field="state", fault="missing", mode="enforce")
            == 1
        )


async def test_a_partner_that_leaves_does_not_stop_a_lead_that_is_on_its_way(tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def slow(peer: Any) -> None:
        await peer.request()
        arrived.set()
        await release.wait()
        await peer.send(OK)

    async with ScriptedUpstream(slow) as legacy, running(tmp_path, legacy.url) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(request(PATH, LEAD, authorization=basic(USER, "pass-kanarienvogel-word")))
        await arrived.wait()
        writer.transport.abort()
        release.set()
        line = await settled(gateway)
        assert (line["reason"], line["outcome"]) == ("accepted", "accepted")


async def settled(gateway: Running) -> dict[str, Any]:
    """The first submission's log line, once it is there."""
    async with asyncio.timeout(10):
        while True:
            if lines := [line for line in gateway.log() if line["event"] == "submission"]:
                return lines[0]
            await asyncio.sleep(0)


async def test_pipelined_leads_are_answered_one_after_another(tmp_path: Path) -> None:
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url) as gateway:
        good = request(PATH, LEAD, authorization=basic(USER, "pass-kanarienvogel-word"))
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(good + good)
        answers: list[Answer] = [await read_answer(reader), await read_answer(reader)]
        writer.close()
        assert [answer.reason for answer in answers] == ["accepted", "accepted"]
        assert legacy.requests == 2


async def test_a_late_answer_is_logged_with_what_it_says(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def late(peer: Any) -> None:
        await peer.request()
        await release.wait()
        await peer.send(OK)

    program = {"upstream": {"timeouts": {"connect": "1s", "first_byte": "100ms", "total": "1s"}, "late_answer": "10s"}}
    async with ScriptedUpstream(late) as legacy, running(tmp_path, legacy.url, program=program) as gateway:
        answer = await gateway.post()
        assert answer.reason == "outcome_unknown"
        release.set()
        async with asyncio.timeout(10):
            while not (lines := [line for line in gateway.log() if line["event"] == "late_answer"]):
                await asyncio.sleep(0)
        assert lines[0]["reference"] == answer.headers["x-request-id"]
        assert (lines[0]["verdict"], lines[0]["rule"]) == ("accepted", "ok")


async def test_a_late_answer_that_is_given_up_is_logged_and_counted_and_its_outcome_stays_unknown(
    tmp_path: Path,
) -> None:
    timeouts = {"connect": "1s", "first_byte": "100ms", "total": "1s"}
    program = {"lead": {"unknown_hold": "1d"}, "upstream": {"timeouts": timeouts, "late_answer": "100ms"}}
    async with (
        ScriptedUpstream(answering(b"")) as legacy,
        running(tmp_path, legacy.url, program=program) as gateway,
    ):
        reference = (await gateway.post()).headers["x-request-id"]
        async with asyncio.timeout(10):
            while await gateway.metric("gateway_late_answers_total", program="test", verdict="given_up") != 1:
                pass
        [line] = [line for line in gateway.log() if line["event"] == "late_answer"]
        assert (line["reference"], line["verdict"], line["rule"], line["partner"]) == (reference, "given_up", "", USER)
        assert line["after_us"] > 150_000
        again = await gateway.post()
        assert (again.reason, reference in again.note) == ("outcome_unknown", True)
        assert legacy.requests == 1


async def test_a_stop_tells_which_late_answers_it_gave_up(tmp_path: Path) -> None:
    timeouts = {"connect": "1s", "first_byte": "100ms", "total": "1s"}
    program = {"upstream": {"timeouts": timeouts, "late_answer": "60s"}}
    async with ScriptedUpstream(answering(b"")) as legacy:
        async with running(tmp_path, legacy.url, program=program) as gateway:
            reference = (await gateway.post()).headers["x-request-id"]
        lines = [json.loads(line) for line in gateway.stream.getvalue().splitlines()]
    late = [(line["reference"], line["verdict"]) for line in lines if line["event"] == "late_answer"]
    assert late == [(reference, "given_up")]


async def test_the_same_lead_in_three_encodings_is_taken(tmp_path: Path) -> None:
    xml = f"<lead><email>{EMAIL}</email><state>CA</state></lead>"
    json_ = f'{{"email": "{EMAIL}", "state": "CA"}}'
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url) as gateway:
        for content_type, body in (
            ("application/xml", xml),
            ("application/json", json_),
            ("application/x-www-form-urlencoded", f"email={EMAIL}&state=CA"),
        ):
            answer = await gateway.post(body, content_type=content_type)
            assert answer.reason == "accepted"
        assert [arrival.body.decode() for arrival in legacy.arrivals][:2] == [xml, json_]


async def test_xml_is_answered_when_the_accept_header_asks_for_it(tmp_path: Path) -> None:
    program = {"answer": {"format": "negotiate"}}
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url, program=program) as gateway:
        answer = await gateway.post(headers={"Accept": "application/xml"})
        assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?><dataPostResponse><valid>true</valid>')


async def test_networks_are_those_of_the_client_behind_a_trusted_proxy(tmp_path: Path) -> None:
    program = {"networks": ["198.51.100.0/24"]}
    top = {"listen": {"address": "127.0.0.1:0", "trusted_proxies": ["127.0.0.0/8"]}}
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        running(tmp_path, legacy.url, program=program, top=top) as gateway,
    ):
        assert (await gateway.post()).reason == "forbidden"
        inside = await gateway.post(headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
        assert inside.reason == "accepted"
        spoofed = await gateway.post(headers={"X-Forwarded-For": "198.51.100.7, 203.0.113.9"})
        assert spoofed.reason == "forbidden"
        assert dict(legacy.arrivals[0].headers)["x-forwarded-for"] == "198.51.100.7"


async def test_auth_none_takes_leads_from_anybody(tmp_path: Path) -> None:
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        running(tmp_path, legacy.url, program={"auth": "none"}) as gateway,
    ):
        assert (await gateway.send(request(PATH, LEAD))).reason == "accepted"


async def test_a_bug_is_answered_internal_and_its_text_stays_inside(tmp_path: Path) -> None:
    from dataclasses import replace

    def broken(lead: object, today: object) -> Any:
        raise RuntimeError("kanarienvogel")

    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url) as gateway:
        gateway.server.lanes[PATH] = replace(gateway.server.lanes[PATH], check=broken)  # type: ignore[arg-type]
        answer = await gateway.post()
        assert answer.reason == "internal"
        assert legacy.touched == 0
        assert any(line.get("exception") == "RuntimeError" for line in gateway.log())


async def test_health_and_readiness_tell_of_the_process_and_deep_of_the_upstream(tmp_path: Path) -> None:
    async with running(tmp_path, "http://127.0.0.1:1/") as gateway:
        assert await gateway.admin("/healthz") == (200, "ok\n")
        assert await gateway.admin("/readyz") == (200, "ready\n")
        status, text = await gateway.admin("/readyz?deep")
        assert status == 503
        assert "upstream of test: " in text


async def test_silence_after_the_lead_is_outcome_unknown(tmp_path: Path) -> None:
    async with ScriptedUpstream(answering(then="fin")) as legacy, running(tmp_path, legacy.url) as gateway:
        answer = await gateway.post()
        assert answer.reason == "outcome_unknown"
        assert legacy.requests == 1
