"""`gateway explain`: recorded answers in their three forms, what is printed, and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from gateway.cli.explain import _raw, command
from gateway.datapost import compile_contract
from gateway.datapost.values import Reading, Verdict
from gateway.serve import compose as composing
from gateway.settings import load as loading
from gateway.settings.models import AnswerSettings
from gateway.settings.problems import loose_report
from tests.support.blocks import compile_file

BLOCK = r"""
answers:
  unwrap: {json: inner}
  rules:
    - {when: {status: 503}, verdict: error, name: down, release: true}
  verdict: {json: s, map: {ok: accepted, no: rejected}}
  uniqueid: [{json: none}, {json: id}]
  sale_amount: {json: price}
  note: {json: n}
"""
RAW = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"s": "ok", "id": 98}'


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A composition of two programs; the reading of configurations has tests of its own."""
    file = tmp_path / "program.yaml"
    file.write_text(BLOCK, encoding="utf-8")
    answers = compile_file(file).answers
    contract = compile_contract(AnswerSettings(), program="auto", id_key=b"k" * 32, report=loose_report())
    programs = {name: SimpleNamespace(answers=answers, contract=contract) for name in ("auto", "home")}
    only = {"auto": programs["auto"]}
    broken = SimpleNamespace(findings=lambda: ["x.yaml:1:1: wrong"])
    monkeypatch.setattr(loading, "load", lambda path: broken if path.name == "broken.yaml" else path)
    monkeypatch.setattr(
        composing,
        "compose",
        lambda loaded: (
            None if loaded is broken else SimpleNamespace(programs=only if loaded.name == "one.yaml" else programs)
        ),
    )
    return tmp_path / "two.yaml"


def run(config: Path, *arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, ["-c", str(config), *arguments], input=stdin)


def test_a_recorded_http_answer_is_explained(config: Path) -> None:
    result = run(config, "--program", "auto", "-", stdin=RAW.encode())
    assert result.output.splitlines() == [
        "-: status 200, json",
        "  unwrap       json: inner: nothing to unwrap   (answers.unwrap)",
        "  verdict      accepted   by verdict",
        "  uniqueid     98   json: id   (answers.uniqueid[1])",
        "  not down     answers.rules[0].when.status: does not hold",
        "  reason       accepted",
        "the partner gets 200:",
        '  {"dataPostResponse": {"valid": true, "uniqueid": "98", "sale_amount": "", "customerid": "", "email": "", '
        '"note": "Lead submitted successfully"}}',
    ]
    assert result.exit_code == 0


def test_every_form_of_recording_is_understood(config: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").write_text(RAW, encoding="utf-8")
    case = {"status": 503, "headers": {"A": "b"}, "body": '{"inner": "{\\"s\\": \\"no\\"}"}', "expected": {}}
    (tmp_path / "case.json").write_text(json.dumps(case), encoding="utf-8")
    (tmp_path / "body").write_text('{"s": "no", "n": "\\u001b[31mred"}', encoding="utf-8")
    files = [str(tmp_path / name) for name in ("raw", "case.json", "body")]
    result = run(config, "--program", "home", *files)
    assert result.exit_code == 0
    blocks = result.output.split("\n\n")
    assert "accepted   by verdict" in blocks[0]
    assert "error   by down, release" in blocks[1]
    assert "unwrap       json: inner   (answers.unwrap)" in blocks[1]
    assert "rejected   by verdict" in blocks[2]
    assert "\\x1b[31mred" in blocks[2]
    assert "\x1b" not in result.output


def test_status_and_headers_may_be_given_for_a_bare_body(config: Path) -> None:
    result = run(config, "--program", "auto", "--status", "503", "--header", "X-A: b", "-", stdin=RAW.encode())
    assert "status 503, text" in result.output
    assert "error   by down" in result.output


def test_json_output_holds_the_reading_and_its_sources(config: Path) -> None:
    (data,) = json.loads(run(config, "--program", "auto", "--json", "-", stdin=RAW.encode()).output)
    assert data == {
        "answer": "-",
        "status": 200,
        "surplus": False,
        "kind": "json",
        "verdict": "accepted",
        "rule": "verdict",
        "release": False,
        "limited": False,
        "unwraps": [{"where": "answers.unwrap", "source": "json: inner", "found": False}],
        "members": {"uniqueid": {"value": "98", "where": "answers.uniqueid[1]", "source": "json: id"}},
        "missed": [{"rule": "down", "where": "answers.rules[0].when.status", "why": "does not hold"}],
        "reason": "accepted",
        "as_said": True,
        "remarks": [],
        "partner": {
            "status": 200,
            "answer": '{"dataPostResponse": {"valid": true, "uniqueid": "98", "sale_amount": "", "customerid": "", '
            '"email": "", "note": "Lead submitted successfully"}}',
        },
    }


@pytest.mark.parametrize(
    ("body", "reason", "remarks", "told", "code"),
    [
        pytest.param(
            '{"s": "ok", "id": 98, "price": "10 or 12"}',
            "unrecognized_answer",
            ["amount unreadable"],
            '"valid": false',
            1,
            id="an amount that cannot be read",
        ),
        pytest.param(
            '{"s": "ok", "id": "9/8", "price": "10"}',
            "accepted",
            ["ID mapped"],
            '"sale_amount": "10.00"',
            0,
            id="an ID that does not fit",
        ),
        pytest.param(
            '{"s": "ok"}',
            "accepted",
            ["the reference stands for the ID"],
            '"uniqueid": "00000000000000000000000000"',
            0,
            id="no ID",
        ),
        pytest.param('{"s": "no", "price": "?", "n": "Too old"}', "legacy_rejected", [], "Too old [", 0, id="rejected"),
        pytest.param("what?", "unrecognized_answer", [], "do not send it again", 1, id="no rule"),
    ],
)
def test_the_reason_and_the_partners_answer_are_told_and_a_reason_that_no_rule_said_is_exit_code_1(
    config: Path, body: str, reason: str, remarks: list[str], told: str, code: int
) -> None:
    result = run(config, "--program", "auto", "-", stdin=body.encode())
    [line] = [line for line in result.output.splitlines() if line.startswith("  reason ")]
    assert line.split()[1] == reason
    assert all(remark in line for remark in remarks)
    assert ("not what a rule said" in line) == (code == 1)
    assert told in result.output.splitlines()[-1]
    assert result.exit_code == code
    as_json = run(config, "--program", "auto", "--json", "-", stdin=body.encode())
    [data] = json.loads(as_json.output)
    assert (data["reason"], data["remarks"], data["as_said"], as_json.exit_code) == (reason, remarks, code == 0, code)
    assert told in data["partner"]["answer"]


def test_an_id_that_cannot_be_shown_is_told() -> None:
    settings = AnswerSettings.model_validate({"uniqueid": {"when_missing": "unknown"}})
    contract = compile_contract(settings, program="auto", id_key=None, report=loose_report())
    reading = Reading(verdict=Verdict.ACCEPTED)
    assert contract.remarks(reading, "0" * 26) == ("no ID that can be shown",)


@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [
        ("what?", [], "none: no rule matched (unrecognized_answer)"),
        ("[" * 500, [], "none: a limit was hit (unrecognized_answer)"),
        ("x", ["--header", "Content-Encoding: gzip"], "none: not decompressed (unrecognized_answer)"),
    ],
)
def test_an_answer_that_is_not_recognised_makes_the_exit_code_1(
    config: Path, body: str, headers: list[str], why: str
) -> None:
    result = run(config, "--program", "auto", *headers, "-", stdin=body.encode())
    assert why in result.output
    assert result.exit_code == 1


def test_the_only_program_need_not_be_named(config: Path) -> None:
    assert run(config.with_name("one.yaml"), "-", stdin=RAW.encode()).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "text"),
    [
        (["-"], RAW, "There are several programs; say which with --program: auto, home."),
        (["--program", "car", "-"], RAW, "There is no program car; there are: auto, home."),
        (["--program", "auto", "/nowhere"], "", "ANSWER: /nowhere: No such file or directory."),
        (["--program", "auto", "a\0b"], "", "cannot be read."),
        (["--program", "auto", "-"], "HTTP/1.1 nonsense\r\n\r\n", "no status line"),
        (["--program", "auto", "--header", "nonsense", "-"], "", "--header is 'NAME: VALUE'."),
        (["--program", "auto"], "", "Missing argument"),
    ],
)
def test_wrong_use_is_told_with_exit_code_2(config: Path, arguments: list[str], stdin: str, text: str) -> None:
    result = run(config, *arguments, stdin=stdin.encode())
    assert text in result.output
    assert result.exit_code == 2


def test_a_wrong_configuration_is_told_with_exit_code_2(config: Path) -> None:
    result = run(config.with_name("broken.yaml"), "-", stdin=RAW.encode())
    assert result.output == "x.yaml:1:1: wrong\nThe configuration is wrong; no answer was read.\n"
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("recorded", "status", "body", "surplus"),
    [
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nx", 200, b"x", False),
        ("HTTP/2 204\n\n", 204, b"", False),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nabc", 200, b"ab", True),
        ("HTTP/1.1 200 OK\nContent-Length: 9\n\nabc", 200, b"abc", False),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 200, b"abc", False),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nabc", 200, b"abc", False),
        ("HTTP/1.1 200 OK", None, b"", False),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\nnonsense", 302, b"", False),
    ],
)
def test_a_raw_answer_is_taken_apart(recorded: str, status: int | None, body: bytes, surplus: bool) -> None:
    if status is None:
        with pytest.raises(Exception, match="no status line"):
            _raw(recorded.encode())
        return
    answer = _raw(recorded.encode())
    assert (answer.status, answer.body, answer.surplus) == (status, body, surplus)
