from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from gateway.cli import gateway
from tests.support.contract import validate_answer

VALUE = "CANARYc41e"
PROGRAM: dict[str, Any] = {
    "program": "loans",
    "path": "/leads/loans",
    "auth": "none",
    "lead": {
        "fields": {
            "email": {"type": "email", "required": True, "aliases": ["mail"]},
            "state": {"type": "us_state", "required": True},
            "loan": {"type": "integer", "min": 1000},
        }
    },
    "upstream": {"url": "http://legacy.example.com/lead.pl?key=hunter2", "auth": {"user": "gw", "password": "hunter3"}},
    "answers": [{"when": {"text": "^OK"}, "verdict": "accepted", "name": "ok"}],
}
GOOD = "email=jane@example.com&state=CA"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def write(name: str, **changes: Any) -> None:
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**PROGRAM, **changes}, sort_keys=False))

    write("loans")
    top = {"id_key": "0123456789abcdef0123456789abcdef", "limits": {"body": "1KiB"}, "programs": ["loans.yaml"]}
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(top))
    strict = {"unknown_fields": "reject", "accept": ["json"], "fields": {"a": {"type": "string"}}}
    write("strict", program="strict", path="/strict", lead=strict, answer={"format": "xml", "status_codes": "http"})
    (tmp_path / "two.yaml").write_text(yaml.safe_dump({**top, "programs": ["loans.yaml", "strict.yaml"]}))
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Callable[..., Result]:
    def invoke(*arguments: str, config: str = "gateway.yaml", stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(gateway, ["try", "-c", str(folder / config), *arguments], input=stdin)

    return invoke


def test_a_valid_lead_is_told_to_be_taken_and_where_it_would_go(run):
    done = run(GOOD + "&click_id=7&loan=")
    assert done.exit_code == 0, done.output
    assert done.output == (
        "loans: application/x-www-form-urlencoded, 48 bytes, 4 fields\n"
        "  email     fine\n"
        "  state     fine\n"
        "  click_id  unknown\n"
        "  loan      empty\n"
        "taken; would be forwarded: POST http://legacy.example.com/lead.pl?…, 48 bytes as received, "
        "with credentials that are not shown\n"
        "the answer depends on the legacy endpoint's; `gateway explain` reads recorded ones\n"
    )


def test_every_fault_and_the_answer_are_told(run):
    done = run("mail=jane&loan=5")
    assert done.exit_code == 1
    assert done.output.splitlines()[:7] == [
        "loans: application/x-www-form-urlencoded, 16 bytes, 2 fields",
        "  mail  faulty (as email)",
        "  loan  faulty",
        "faults:",
        "  email: is not an e-mail address (format)",
        "  state: is missing (missing)",
        "  loan: is below 1000 (range)",
    ]
    assert done.output.splitlines()[7] == "not taken; the partner gets 200:"
    assert "email=format state=missing loan=range]" in done.output


@pytest.mark.parametrize(
    ("arguments", "encoding"),
    [
        pytest.param([GOOD], "form", id="form"),
        pytest.param(['{"email": "jane@example.com", "state": "CA"}'], "json", id="JSON"),
        pytest.param(["<l><email>jane@example.com</email><state>CA</state></l>"], "xml", id="XML"),
        pytest.param(["--type", "form", GOOD], "form", id="said to be a form"),
        pytest.param(
            ["--type", "xml", "<l><email>j@example.com</email><state>CA</state></l>"], "xml", id="said to be XML"
        ),
        pytest.param(
            ["--type", "application/lead+json; charset=utf-8", '{"email": "j@example.com", "state": "CA"}'],
            "json",
            id="a whole content type",
        ),
    ],
)
def test_the_encoding_is_said_or_guessed(run, arguments, encoding):
    done = run("--json", *arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert (told["encoding"], told["taken"], told["reason"], told["answer"]) == (encoding, True, None, None)
    assert told["names"] == [{"name": name, "field": name, "state": "fine"} for name in ("email", "state")]
    assert told["forward"]["url"] == "http://legacy.example.com/lead.pl?…"
    assert told["forward"]["credentials"] is True


def test_a_lead_is_read_from_a_file_or_from_standard_input(run, folder):
    (folder / "lead.json").write_bytes(b'\n {"email": "jane@example.com", "state": "Jos\xe9"}')
    from_file = run("--json", "--type", "application/json; charset=latin1", str(folder / "lead.json"))
    assert json.loads(from_file.output)["faults"] == [
        {"field": "state", "kind": "format", "text": "is not a two-letter US state"}
    ]
    from_stdin = run("--json", "-", stdin=GOOD.encode())
    assert json.loads(from_stdin.output)["taken"] is True


def test_what_cannot_be_read_is_told_with_its_answer(run):
    done = run("email=%zz")
    assert done.exit_code == 1
    assert "cannot be read: a percent sign begins no escape\n" in done.output
    assert "not taken; the partner gets 200:\n" in done.output
    told = json.loads(run("--json", "--type", "text/plain", "a=1").output)
    assert (told["reason"], told["status"], told["forward"]) == ("unsupported_media_type", 415, None)
    too_large = json.loads(run("--json", "a=" + "x" * 2000).output)
    assert (too_large["reason"], too_large["status"]) == ("too_large", 413)


def test_the_answer_is_the_programs_own(run):
    done = run("--json", "--program", "strict", '{"a": ["x"], "b": 1, "c": []}', config="two.yaml")
    told = json.loads(done.output)
    assert told["names"] == [
        {"name": "a", "field": "a", "state": "faulty"},
        {"name": "b", "field": None, "state": "refused"},
        {"name": "c", "field": None, "state": "empty"},
    ]
    assert told["unknown"] == 1
    assert told["answer"].startswith('<?xml version="1.0" encoding="UTF-8"?><dataPostResponse><valid>false</valid>')
    assert run("--json", "--program", "strict", "<a/>", config="two.yaml").exit_code == 1


def test_every_answer_conforms(run):
    for arguments in (["a=1"], ["email=%zz"], ["--type", "text/plain", "a=1"]):
        answer = json.loads(run("--json", *arguments).output)["answer"]
        assert validate_answer(answer.encode(), "application/json; charset=utf-8")["valid"] is False


@pytest.mark.parametrize(
    ("arguments", "config", "told"),
    [
        pytest.param(["nothing-here"], "gateway.yaml", "LEAD is no file, and no lead", id="no file"),
        pytest.param(["x" * 5000], "gateway.yaml", "LEAD is no file, and no lead", id="too long for a file"),
        pytest.param(["a=1"], "two.yaml", "say which with --program: loans, strict.", id="no program said"),
        pytest.param(
            ["--program", "x", "a=1"], "two.yaml", "There is no program x; there are: loans, strict.", id="wrong one"
        ),
        pytest.param(
            ["--program", "x", "a=1"], "gateway.yaml", "There is no program x; there are: loans.", id="of one"
        ),
        pytest.param(["a=1"], "none.yaml", "The configuration is wrong; no lead was tried.", id="no configuration"),
        pytest.param([], "gateway.yaml", "Missing argument 'LEAD'", id="no lead"),
    ],
)
def test_wrong_use_is_exit_code_2(run, arguments, config, told):
    done = run(*arguments, config=config)
    assert done.exit_code == 2
    assert told in done.output


def test_an_error_in_the_configuration_is_told_with_its_place(run, folder):
    changed = {**PROGRAM, "lead": {"fields": {"a": {"type": "integer", "min": 2, "max": 1}}}}
    (folder / "loans.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
    done = run("a=1")
    assert done.exit_code == 2
    assert re.search(r"loans\.yaml:\d+:\d+: lead\.fields\.a\.min: is above max \(1\); at most 1\n", done.output)


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_neither_values_nor_upstream_credentials_are_printed(run, more):
    bodies = [f"email={VALUE}&state={VALUE}&x={VALUE}", f"{GOOD}&x={VALUE}", f'{{"email": ["{VALUE}"]}}', f"<a>{VALUE}"]
    printed = "".join(run(*more, body).output for body in bodies)
    assert VALUE not in printed
    assert "hunter" not in printed
    assert "jane" not in printed


def test_names_that_strangers_chose_cannot_drive_a_terminal(run):
    done = run(GOOD + "&%0Dgone=1&=2&%E2%80%AEx=1")
    assert '"\\rgone"' in done.output
    assert '""' in done.output
    assert "\u202e" not in done.output
    assert "\r" not in done.output
