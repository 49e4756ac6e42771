"""`unknown`, `show` and `search`, as an operator runs them, on either store."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from click.testing import Result

from gateway.datapost.reasons import Reason
from tests.journal_cli.conftest import LEAD, Shop

VALUES = ("jane@example.com", "555-2671", "555 2671", "4155552671", "Xk3-1")
OTHER = {**LEAD, "email": "john@example.com", "phone": "(415) 555-2672"}


def told(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def references(result: Result) -> list[object]:
    return [one["reference"] for one in told(result)]


def test_unknown_lists_what_nobody_knows_and_nothing_else(shop: Shop) -> None:
    unknown = shop.take(Reason.OUTCOME_UNKNOWN)
    shop.take(Reason.ACCEPTED, OTHER)
    result = shop.run("unknown")
    head, line = result.stdout.splitlines()
    assert head.split() == ["RECEIVED", "REFERENCE", "PROGRAM", "PARTNER", "OUTCOME", "REASON"]
    assert line.split()[1:] == [unknown, "auto", "acme", "unknown", "outcome_unknown", "(first_byte_timeout)"]
    assert result.exit_code == 0
    assert references(shop.run("unknown", "--json")) == [unknown]


def test_unknown_of_a_journal_that_knows_all_says_so(shop: Shop) -> None:
    shop.take(Reason.ACCEPTED)
    assert shop.run("unknown").stdout == "No outcome is unknown.\n"
    assert shop.run("unknown", "--json").stdout == ""


def test_show_tells_what_became_of_a_lead_without_a_value_of_it(shop: Shop) -> None:
    reference = shop.take(Reason.ACCEPTED, at="2026-03-01T10:00:00-05:00")
    result = shop.run("show", reference)
    assert result.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines()[1:])
    assert lines["received"] == "2026-03-01T15:00:00Z"
    assert (lines["delivery"], lines["outcome"], lines["reason"]) == ("answered", "accepted", "accepted")
    assert lines["kept"].startswith("body, answer, members, key ")
    for words in (result.output, shop.run("show", "--json", reference).output):
        assert not any(value in words for value in VALUES)


def test_show_body_opens_lead_and_answers(shop: Shop) -> None:
    reference = shop.take(Reason.ACCEPTED)
    result = shop.run("show", "--body", reference)
    assert "  email=jane%40example.com&phone=%28415%29+555-2671&click_id=Xk3-1\n" in result.stdout
    assert "  OK|98|10.00|177\n" in result.stdout
    assert "  uniqueid     98\n" in result.stdout
    (data,) = told(shop.run("show", "--body", "--json", reference))
    content = data["content"]
    assert content["members"]["email"] == "jane@example.com"
    assert content["legacy_id"] == "98"


@pytest.mark.parametrize(
    "written", ["{}", " {} ", "ref={}", "[outcome_unknown ref={}]"], ids=["plain", "spaces", "ref", "from a note"]
)
def test_a_reference_is_taken_as_partners_copy_it(file_shop: Shop, written: str) -> None:
    reference = file_shop.take(Reason.OUTCOME_UNKNOWN)
    for text in (written.format(reference), written.format(reference.lower())):
        assert file_shop.run("show", text).stdout.startswith(reference)


def test_show_of_a_reference_that_is_none_here_is_exit_code_1(shop: Shop) -> None:
    shop.take(Reason.ACCEPTED)
    result = shop.run("show", "0" * 26)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is no submission 00000000000000000000000000" in result.stderr


def test_what_is_no_reference_is_wrong_use(file_shop: Shop) -> None:
    assert file_shop.run("show", "jane@example.com").exit_code == 2


def test_show_body_without_the_key_says_which_one(shop: Shop) -> None:
    reference = shop.take(Reason.ACCEPTED)
    shop.set("journal", key="22" * 32)
    result = shop.run("show", "--body", reference)
    assert result.exit_code == 1
    assert "needs the journal key" in result.stderr
    assert shop.run("show", reference).exit_code == 0


def test_show_body_of_a_refused_lead_says_that_nothing_is_kept(shop: Shop) -> None:
    reference = shop.take(Reason.LEAD_INVALID, {"email": "jane"})
    result = shop.run("show", "--body", reference)
    assert result.exit_code == 1
    assert "  faults      email=format\n" in result.stdout
    assert f"{reference} has nothing kept of what it said" in result.stderr


def test_a_legacy_answer_cannot_move_the_operators_cursor(file_shop: Shop) -> None:
    reference = file_shop.take(Reason.ACCEPTED, legacy_id="9\x1b[2J8")
    assert "\x1b" not in file_shop.run("show", "--body", reference).stdout


def test_search_finds_by_each_condition(shop: Shop) -> None:
    shop.add_program("home")
    first = shop.take(Reason.ACCEPTED, at="2026-03-01T10:00:00+00:00")
    second = shop.take(Reason.LEGACY_REJECTED, OTHER, partner="bolt", at="2026-03-02T10:00:00+00:00")
    third = shop.take(Reason.LEAD_INVALID, {"email": "jane"}, program="home", at="2026-03-03T10:00:00+00:00")
    table = {
        (): [third, second, first],
        ("--program", "home"): [third],
        ("--partner", "bolt"): [second],
        ("--reason", "accepted"): [first],
        ("--outcome", "rejected"): [second],
        ("--outcome", "none"): [third],
        ("--since", "2026-03-02"): [third, second],
        ("--until", "2026-03-02"): [first],
        ("--since", "2026-03-02T10:00:00Z", "--until", "2026-03-02T10:00:01Z"): [second],
        ("--field", "email=jane@example.com"): [first],
        ("--field", "email= JANE@EXAMPLE.COM "): [first],
        ("--field", "phone=+1 415 555 2672"): [second],
        ("--field", "email=jane@example.com", "--field", "phone=4155552671"): [first],
        ("--limit", "2"): [third, second],
        ("--partner", "acme", "--outcome", "accepted"): [first],
    }
    for arguments, found in table.items():
        result = shop.run("search", "--json", *arguments)
        assert (references(result), result.exit_code) == (found, 0), arguments
    nothing = shop.run("search", "--field", "email=jane@example.com", "--field", "phone=4155552672")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (1, "", "Nothing was found.\n")


def test_search_finds_leads_that_are_being_worked_on(shop: Shop) -> None:
    reference = shop.take(None)
    assert told(shop.run("search", "--json", "--outcome", "open"))[0]["reference"] == reference
    assert told(shop.run("search", "--json", "--outcome", "open"))[0]["outcome"] == "open"


def test_a_refused_lead_shows_its_faults_and_no_value(shop: Shop) -> None:
    shop.take(Reason.LEAD_INVALID, {"email": "jane"})
    (data,) = told(shop.run("search", "--json"))
    assert data["faults"] == ["email=format"]
    assert data["outcome"] == "none"


def test_a_day_without_an_offset_is_the_programs_day(file_shop: Shop) -> None:
    late_evening = file_shop.take(Reason.ACCEPTED, at="2026-03-01T23:30:00-05:00")
    assert references(file_shop.run("search", "--json", "--since", "2026-03-01", "--until", "2026-03-02")) == [
        late_evening
    ]
    assert file_shop.run("search", "--since", "2026-03-02").exit_code == 1
    file_shop.add_program("home", timezone="UTC")
    assert references(file_shop.run("search", "--json", "--since", "2026-03-02")) == [late_evening]
    assert file_shop.run("search", "--program", "auto", "--since", "2026-03-02").exit_code == 1


def test_one_value_is_found_in_every_spelling_that_programs_give_it(shop: Shop) -> None:
    fields = {"email": {"type": "email"}, "phone": {"type": "phone", "region": "GB"}}
    shop.add_program("uk", lead={"fields": fields})
    british = shop.take(Reason.ACCEPTED, {"email": "b@example.com", "phone": "020 7946 0958"}, program="uk")
    assert references(shop.run("search", "--json", "--field", "phone=020 7946 0958")) == [british]
    assert references(shop.run("search", "--json", "--field", "phone=+442079460958")) == [british]
    assert shop.run("search", "--program", "auto", "--field", "phone=020 7946 0958").exit_code == 2


def test_a_value_can_be_given_where_no_history_keeps_it(file_shop: Shop) -> None:
    reference = file_shop.take(Reason.ACCEPTED)
    result = file_shop.run("search", "--json", "--field", "email", stdin="jane@example.com\n")
    assert reference in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--field", "state=CA"), "state is not in journal.index; there are: email, phone."),
        (("--field", "email=jane"), "none that email takes in any program"),
        (("--since", "yesterday"), "is no time"),
        (("--reason", "accepteds"), "is none of accepted,"),
        (("--program", "none", "--field", "email=jane@example.com"), "There is no program none"),
    ],
    ids=["not indexed", "no value of the type", "no time", "no reason", "no program"],
)
def test_wrong_conditions_are_wrong_use(file_shop: Shop, arguments: tuple[str, ...], words: str) -> None:
    file_shop.take(Reason.ACCEPTED)
    result = file_shop.run("search", *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


def test_search_by_field_with_another_index_key_is_refused_and_not_empty(shop: Shop) -> None:
    shop.take(Reason.ACCEPTED)
    shop.set("journal", index_key="quite another index key")
    result = shop.run("search", "--field", "email=jane@example.com")
    assert result.exit_code == 1
    assert "written with another index_key" in result.stderr


def test_without_a_journal_no_command_makes_one(file_shop: Shop) -> None:
    for command in (
        ("unknown",),
        ("search",),
        ("export", "--accepted"),
        ("rotate",),
        ("reindex",),
        ("erase", "--reference", "0" * 26, "--why", "x"),
        ("verify",),
        ("backup", file_shop.folder / "backup"),
    ):
        result = file_shop.run(*command)
        assert result.exit_code == 1, command
        assert "here is no journal in" in result.stderr
    assert not (file_shop.folder / "state").exists()


def test_a_wrong_configuration_is_told_in_full_and_exit_code_2(file_shop: Shop) -> None:
    file_shop.set("limits", fields="x")
    result = file_shop.run("unknown")
    assert result.exit_code == 2
    assert "limits.fields" in result.stderr
    assert "the journal was not opened" in result.stderr


def test_a_database_that_cannot_be_had_is_a_line_and_no_traceback(file_shop: Shop) -> None:
    file_shop.set("journal", url="postgresql://nobody:hidden@127.0.0.1:1/none")
    result = file_shop.run("unknown")
    assert (result.exit_code, result.output) == (1, "The journal cannot be had: PostgreSQL cannot be reached\n")


def test_a_journal_of_another_user_is_a_line_and_no_traceback(file_shop: Shop) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    file_shop.take(Reason.ACCEPTED)
    state = file_shop.folder / "state"
    state.chmod(0)
    try:
        result = file_shop.run("unknown")
    finally:
        state.chmod(0o700)
    assert result.exit_code == 1
    assert "may not be read by this user" in result.stderr
