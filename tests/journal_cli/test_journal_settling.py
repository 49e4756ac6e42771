"""`settle` and `export`, as an operator runs them, on either store."""

from __future__ import annotations

import csv
import io
import json

import pytest

from gateway.cli.journal.export import ACCEPTED_COLUMNS, LATE_COLUMNS
from gateway.datapost.reasons import Outcome, Reason
from gateway.journal.values import Met
from tests.journal_cli.conftest import LEAD, Shop

OTHER = {**LEAD, "email": "john@example.com", "click_id": "Xk3-2"}
WHY = ("--why", "asked the call centre")


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# --- settle ----------------------------------------------------------------------------------------


def test_settled_as_accepted_it_is_answered_so_to_whoever_asks_again(shop: Shop) -> None:
    reference = shop.take(Reason.OUTCOME_UNKNOWN)
    assert shop.meets(LEAD) is Met.REPLAY  # of outcome_unknown
    result = shop.run("settle", reference, "--accepted", "--uniqueid", "98", "--sale-amount", "10.00", *WHY)
    assert (result.exit_code, result.stdout) == (0, f"{reference} is accepted, uniqueid 98.\n")
    assert shop.unknown() == 0
    record = shop.record(reference)
    assert (record.outcome, record.reason, record.first_reason) == (
        Outcome.ACCEPTED,
        Reason.ACCEPTED,
        Reason.OUTCOME_UNKNOWN,
    )
    assert record.by_hand
    content = json.loads(shop.run("show", "--body", "--json", reference).stdout)["content"]
    assert content["members"] == {
        "valid": True,
        "uniqueid": "98",
        "sale_amount": "10.00",
        "customerid": "",
        "email": "jane@example.com",
        "note": "Lead submitted successfully",
    }
    assert content["legacy_id"] == "98"


def test_who_settled_and_why_stands_in_the_journal(shop: Shop) -> None:
    reference = shop.take(Reason.OUTCOME_UNKNOWN)
    shop.run("settle", reference, "--rejected", *WHY)
    (audited,) = shop.record(reference).audit
    assert (audited.action, audited.who, audited.why) == ("settle", "jane", "asked the call centre")
    shown = shop.run("show", reference).stdout
    assert "by jane: asked the call centre" in shown
    assert "told first  outcome_unknown" in shown
    assert "by hand" in shown


def test_with_sudo_the_audit_names_who_asked_for_it(file_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = file_shop.take(Reason.OUTCOME_UNKNOWN)
    monkeypatch.setattr("tests.journal_cli.conftest.OPERATOR", {"USER": "root", "LOGNAME": "root", "SUDO_USER": "ann"})
    file_shop.run("settle", reference, "--rejected", *WHY)
    assert file_shop.record(reference).audit[0].who == "ann (as root)"


def test_settled_as_rejected_it_gives_its_claims_back(shop: Shop) -> None:
    reference = shop.take(Reason.OUTCOME_UNKNOWN)
    same_person = {**LEAD, "phone": "(415) 555-0000"}
    assert shop.meets(same_person) is Met.UNKNOWN
    assert shop.run("settle", reference, "--rejected", *WHY).stdout == f"{reference} is rejected.\n"
    assert shop.meets(same_person) is Met.NOTHING


def test_without_an_id_the_reference_stands_in_where_the_program_says_so(shop: Shop) -> None:
    reference = shop.take(Reason.OUTCOME_UNKNOWN)
    assert shop.run("settle", reference, "--accepted", *WHY).stdout == (
        f"{reference} is accepted, uniqueid {reference}.\n"
    )


def test_without_an_id_nothing_is_settled_where_the_program_needs_one(shop: Shop) -> None:
    shop.edit_program(answer={"uniqueid": {"when_missing": "unknown"}})
    reference = shop.take(Reason.OUTCOME_UNKNOWN)
    result = shop.run("settle", reference, "--accepted", *WHY)
    assert result.exit_code == 2
    assert "give it with --uniqueid" in result.stderr
    assert shop.unknown() == 1


def test_an_amount_that_cannot_be_read_settles_nothing(file_shop: Shop) -> None:
    reference = file_shop.take(Reason.OUTCOME_UNKNOWN)
    result = file_shop.run("settle", reference, "--accepted", "--sale-amount", "ten", *WHY)
    assert result.exit_code == 2
    assert "is no amount" in result.stderr
    assert file_shop.unknown() == 1


@pytest.mark.parametrize("reason", [Reason.ACCEPTED, Reason.LEGACY_REJECTED, Reason.LEGACY_ERROR, None])
def test_what_is_known_or_still_running_is_not_settled_by_hand(shop: Shop, reason: Reason | None) -> None:
    reference = shop.take(reason)
    before = None if reason is None else shop.record(reference)
    result = shop.run("settle", reference, "--rejected", *WHY)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"The outcome of {reference} is not unknown" in result.stderr
    if before is not None:
        assert shop.record(reference) == before


def test_settled_once_it_stays_settled(shop: Shop) -> None:
    reference = shop.take(Reason.OUTCOME_UNKNOWN)
    shop.run("settle", reference, "--accepted", *WHY)
    again = shop.run("settle", reference, "--rejected", *WHY)
    assert again.exit_code == 1
    assert "it is accepted since 20" in again.stderr
    assert shop.record(reference).outcome is Outcome.ACCEPTED


def test_an_erased_one_can_be_settled_and_nothing_is_kept_of_it_again(shop: Shop) -> None:
    reference = shop.take(Reason.OUTCOME_UNKNOWN)
    shop.run("erase", "--reference", reference, *WHY)
    assert shop.run("settle", reference, "--accepted", "--uniqueid", "98", *WHY).exit_code == 0
    record = shop.record(reference)
    assert record.outcome is Outcome.ACCEPTED
    assert record.sealed is None or not (record.sealed.members or record.sealed.body)


def test_a_lead_of_a_program_that_is_gone_can_be_settled(file_shop: Shop) -> None:
    file_shop.add_program("home")
    reference = file_shop.take(Reason.OUTCOME_UNKNOWN, program="home")
    (file_shop.folder / "home.yaml").unlink()
    top = file_shop.config.read_text().replace("- home.yaml\n", "")
    file_shop.config.write_text(top)
    assert file_shop.run("settle", reference, "--accepted", "--uniqueid", "98", *WHY).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        WHY,
        ("--accepted",),
        ("--rejected", "--uniqueid", "98", *WHY),
        ("--rejected", "--why", "  "),
    ],
    ids=["no verdict", "no reason why", "an ID of a rejected one", "an empty why"],
)
def test_settle_wants_a_verdict_and_a_why(file_shop: Shop, arguments: tuple[str, ...]) -> None:
    reference = file_shop.take(Reason.OUTCOME_UNKNOWN)
    assert file_shop.run("settle", reference, *arguments).exit_code == 2
    assert file_shop.unknown() == 1


# --- export --late ---------------------------------------------------------------------------------


def test_late_conversions_come_with_the_platforms_columns(shop: Shop) -> None:
    by_answer = shop.take(Reason.OUTCOME_UNKNOWN, at="2026-03-01T10:00:00-05:00")
    by_hand = shop.take(Reason.OUTCOME_UNKNOWN, OTHER, at="2026-03-02T10:00:00-05:00")
    shop.take(Reason.ACCEPTED, {**OTHER, "email": "ann@example.com"})
    shop.arrive_late(by_answer)
    shop.run("settle", by_hand, "--accepted", "--uniqueid", "99", *WHY)
    result = shop.run("export", "--late", "--campaign-id", "123", "--action-tracker-id", "456")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == ",".join(LATE_COLUMNS)
    newest, oldest = table(result.stdout)
    assert oldest == {
        "CampaignId": "123",
        "ActionTrackerId": "456",
        "EventDate": "2026-03-01T15:00:00Z",
        "OrderId": "98",
        "ClickId": "Xk3-1",
        "CustomerId": "177",
        "CurrencyCode": "USD",
        "Amount": "12.50",
    }
    assert (newest["OrderId"], newest["ClickId"], newest["Amount"], newest["CurrencyCode"]) == ("99", "Xk3-2", "", "")
    assert "example.com" not in result.output


def test_since_and_until_are_about_when_it_turned_out_to_be_accepted(shop: Shop) -> None:
    reference = shop.take(Reason.OUTCOME_UNKNOWN, at="2026-03-01T10:00:00-05:00")
    shop.arrive_late(reference)
    assert len(table(shop.run("export", "--late", "--since", "1h").stdout)) == 1
    assert table(shop.run("export", "--late", "--until", "1h").stdout) == []


def test_what_cannot_be_uploaded_is_listed_with_why(shop: Shop) -> None:
    cases = {
        "the lead has no click_id": {"email": "a@example.com"},
        "click_id holds no click ID": {"email": "b@example.com", "click_id": "x" * 65},
        "was erased": {"email": "c@example.com", "click_id": "Xk3-3"},
    }
    why = {}
    for words, lead in cases.items():
        reference = shop.take(Reason.OUTCOME_UNKNOWN, lead)
        shop.arrive_late(reference)
        why[reference] = words
        if words == "was erased":
            shop.run("erase", "--reference", reference, *WHY)
    good = shop.take(Reason.OUTCOME_UNKNOWN)
    shop.arrive_late(good, "97")
    result = shop.run("export", "--late")
    assert result.exit_code == 1
    assert [row["OrderId"] for row in table(result.stdout)] == ["97"]
    assert sorted(result.stderr.splitlines()) == sorted(
        f"not uploadable: {reference}: {words}" for reference, words in why.items()
    )


def test_without_attribution_nothing_is_uploadable(shop: Shop) -> None:
    shop.edit_program(attribution=None)
    reference = shop.take(Reason.OUTCOME_UNKNOWN)
    shop.arrive_late(reference)
    result = shop.run("export", "--late")
    assert result.exit_code == 1
    assert table(result.stdout) == []
    assert "its program auto does not say `attribution: {click_id: FIELD}`" in result.stderr


# --- export --accepted -----------------------------------------------------------------------------


def test_accepted_leads_are_listed_by_when_they_came(shop: Shop) -> None:
    first = shop.take(Reason.ACCEPTED, at="2026-03-01T23:30:00-05:00")
    late = shop.take(Reason.OUTCOME_UNKNOWN, OTHER, at="2026-03-01T10:00:00-05:00")
    shop.arrive_late(late, "99")
    shop.take(Reason.LEGACY_REJECTED, {"email": "x@example.com"}, at="2026-03-01T11:00:00-05:00")
    shop.take(Reason.ACCEPTED, {"email": "y@example.com"}, at="2026-03-02T10:00:00-05:00", legacy_id="100")
    day = ("--since", "2026-03-01", "--until", "2026-03-02")
    result = shop.run("export", "--accepted", *day)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == ",".join(ACCEPTED_COLUMNS)
    rows = table(result.stdout)
    assert [(row["Reference"], row["LegacyId"], row["Amount"]) for row in rows] == [
        (first, "98", "10.00"),
        (late, "99", "12.50"),
    ]
    assert rows[0]["AcceptedLate"] == ""
    assert rows[1]["AcceptedLate"].startswith("20")
    assert shop.run("export", "--accepted", "--ids", *day).stdout == "98\n99\n"


def test_an_id_that_was_mapped_is_listed_as_the_legacy_knows_it(shop: Shop) -> None:
    shop.take(Reason.ACCEPTED, legacy_id="No. 98, Jane's")
    (row,) = table(shop.run("export", "--accepted").stdout)
    assert row["LegacyId"] == "No. 98, Jane's"
    assert len(row["OrderId"]) == 26
    assert shop.run("export", "--accepted", "--ids").stdout == "No. 98, Jane's\n"


def test_an_accepted_lead_that_was_erased_is_counted_and_told(shop: Shop) -> None:
    reference = shop.take(Reason.ACCEPTED)
    shop.run("erase", "--reference", reference, *WHY)
    result = shop.run("export", "--accepted")
    (row,) = table(result.stdout)
    assert (row["Reference"], row["LegacyId"], row["Amount"]) == (reference, "", "")
    assert (result.exit_code, result.stderr) == (1, f"not complete: {reference}: was erased\n")
    assert shop.run("export", "--accepted", "--ids").stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [(), ("--late", "--ids"), ("--accepted", "--campaign-id", "1"), ("--late", "--program", "none")],
    ids=["neither", "ids of late ones", "platform's IDs of all", "no program"],
)
def test_wrong_use_of_export(file_shop: Shop, arguments: tuple[str, ...]) -> None:
    file_shop.take(Reason.ACCEPTED)
    assert file_shop.run("export", *arguments).exit_code == 2


def test_the_platforms_ids_are_of_one_program(file_shop: Shop) -> None:
    file_shop.add_program("home")
    file_shop.take(Reason.ACCEPTED)
    assert file_shop.run("export", "--late", "--campaign-id", "1").exit_code == 2
    assert file_shop.run("export", "--late", "--campaign-id", "1", "--program", "auto").exit_code == 0
