"""`erase`, `rotate`, `reindex`, `backup`, `restore`, `verify` and `migrate`, as an operator runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.datapost.reasons import Outcome, Reason
from gateway.journal.engine import WrongIndexKey
from gateway.journal.values import Met
from tests.journal_cli.conftest import INDEX_KEY, KEY, LEAD, Shop

OTHER = {**LEAD, "email": "john@example.com", "phone": "(415) 555-2672"}
WHY = ("--why", "request 17")
NEW_KEY = "22" * 32


# --- erase -----------------------------------------------------------------------------------------


def test_a_person_is_erased_and_others_are_not(shop: Shop) -> None:
    rejected = shop.take(Reason.LEGACY_REJECTED, {**LEAD, "email": " Jane@Example.com "}, partner="bolt")
    hers = shop.take(Reason.ACCEPTED)
    his = shop.take(Reason.ACCEPTED, OTHER)
    result = shop.run("erase", "--field", "email=JANE@example.com", *WHY)
    assert (result.exit_code, result.stdout) == (0, "2 submissions erased.\n")
    assert shop.record(rejected).erased
    record = shop.record(hers)
    assert record.erased
    assert record.outcome is Outcome.ACCEPTED
    assert (record.audit[0].action, record.audit[0].who, record.audit[0].why) == ("erase", "jane", "request 17")
    assert not shop.record(his).erased
    assert shop.run("search", "--field", "email=jane@example.com").exit_code == 1
    body = shop.run("show", "--body", hers)
    assert (body.exit_code, "was erased" in body.stderr) == (1, True)


def test_what_is_erased_is_still_recognised_until_its_window_ends(shop: Shop) -> None:
    shop.take(Reason.ACCEPTED)
    shop.run("erase", "--field", "email=jane@example.com", *WHY)
    assert shop.meets({**LEAD, "phone": "(415) 555-0000"}) is Met.DUPLICATE


def test_one_submission_is_erased_by_its_reference(shop: Shop) -> None:
    reference = shop.take(Reason.ACCEPTED)
    other = shop.take(Reason.ACCEPTED, OTHER)
    assert shop.run("erase", "--reference", f"ref={reference}", *WHY).stdout == "1 submission erased.\n"
    assert shop.record(reference).erased
    assert not shop.record(other).erased


def test_a_person_is_erased_in_every_spelling_that_programs_give_a_value(shop: Shop) -> None:
    shop.add_program("uk", lead={"fields": {"email": {"type": "email"}, "phone": {"type": "phone", "region": "GB"}}})
    shop.take(Reason.ACCEPTED, {"email": "b@example.com", "phone": "020 7946 0958"}, program="uk")
    assert shop.run("erase", "--field", "phone=020 7946 0958", *WHY).stdout == "1 submission erased.\n"


def test_erasing_twice_or_nobody_is_exit_code_1(shop: Shop) -> None:
    reference = shop.take(Reason.ACCEPTED)
    shop.run("erase", "--reference", reference, *WHY)
    for arguments in (("--reference", reference), ("--field", "email=nobody@example.com")):
        result = shop.run("erase", *arguments, *WHY)
        assert (result.exit_code, result.stderr) == (1, "Nothing was found to erase.\n")
    assert len(shop.record(reference).audit) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        WHY,
        ("--field", "email=jane@example.com", "--reference", "0" * 26, *WHY),
        ("--field", "email=jane@example.com"),
        ("--field", "email=jane@example.com", "--why", " "),
        ("--field", "click_id=Xk3-1", *WHY),
    ],
    ids=["nothing", "both", "no why", "empty why", "not indexed"],
)
def test_wrong_use_of_erase_erases_nothing(file_shop: Shop, arguments: tuple[str, ...]) -> None:
    reference = file_shop.take(Reason.ACCEPTED)
    assert file_shop.run("erase", *arguments).exit_code == 2
    assert not file_shop.record(reference).erased


def test_erase_by_field_with_another_index_key_is_refused(shop: Shop) -> None:
    reference = shop.take(Reason.ACCEPTED)
    shop.set("journal", index_key="quite another index key")
    assert shop.run("erase", "--field", "email=jane@example.com", *WHY).exit_code == 1
    shop.set("journal", index_key=INDEX_KEY)
    assert not shop.record(reference).erased


# --- rotate ----------------------------------------------------------------------------------------


def test_after_rotation_the_old_key_is_not_needed_any_more(shop: Shop) -> None:
    references = [shop.take(Reason.ACCEPTED), shop.take(Reason.OUTCOME_UNKNOWN, OTHER)]
    shop.set("journal", key=f"{NEW_KEY}\n{KEY}")
    result = shop.run("rotate")
    assert result.exit_code == 0
    assert result.stdout.startswith("2 record keys wrapped anew; all new ones are by key ")
    shop.set("journal", key=NEW_KEY)
    for reference in references:
        assert shop.run("show", "--body", reference).exit_code == 0
    assert shop.run("rotate").stdout.startswith("0 record keys")


def test_rotation_says_which_key_is_missing_and_does_the_rest(shop: Shop) -> None:
    lost = shop.take(Reason.ACCEPTED)
    shop.set("journal", key=f"{NEW_KEY}")
    kept = shop.take(Reason.ACCEPTED, OTHER)
    shop.set("journal", key=f"{'33' * 32}\n{NEW_KEY}")
    result = shop.run("rotate")
    assert result.exit_code == 1
    assert result.stdout.startswith("1 record key ")
    (key,) = [one for one in (shop.record(lost).sealed,) if one is not None]
    assert key.key is not None
    assert f"by key {key.key.key_id}, which the ring does not have" in result.stderr
    assert shop.run("show", "--body", kept).exit_code == 0


# --- reindex ---------------------------------------------------------------------------------------


def test_after_reindexing_leads_are_recognised_by_the_new_index_key(shop: Shop, tmp_path: Path) -> None:
    reference = shop.take(Reason.ACCEPTED)
    same_person = {**LEAD, "phone": "(415) 555-0000"}
    old = tmp_path / "old"
    old.write_text(INDEX_KEY + "\n")
    shop.set("journal", index_key="quite another index key")
    result = shop.run("reindex", "--from", old)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "1 lead hashed anew.\n", "")
    assert shop.meets(LEAD) is Met.REPLAY
    assert shop.meets(same_person) is Met.DUPLICATE
    assert json.loads(shop.run("search", "--json", "--field", "email=jane@example.com").stdout)["reference"] == (
        reference
    )


def test_the_old_key_is_asked_for_and_checked(shop: Shop, tmp_path: Path) -> None:
    shop.take(Reason.ACCEPTED)
    shop.set("journal", index_key="quite another index key")
    without = shop.run("reindex")
    assert (without.exit_code, "give that one with --from" in without.stderr) == (1, True)
    wrong = shop.run("reindex", "--from", "-", stdin="an index key of nobody's\n")
    assert (wrong.exit_code, "give that one with --from" in wrong.stderr) == (1, True)
    short = shop.run("reindex", "--from", "-", stdin="short\n")
    assert (short.exit_code, "holds no index key" in short.stderr) == (2, True)
    assert shop.run("reindex", "--from", tmp_path / "nowhere").exit_code == 2
    shop.set("journal", index_key=INDEX_KEY)
    assert shop.meets(LEAD) is Met.REPLAY


def test_a_field_added_to_the_index_is_found_after_reindexing(shop: Shop) -> None:
    reference = shop.take(Reason.ACCEPTED, {**LEAD, "click_id": "Xk3-9"})
    lead = {"fields": {"email": {"type": "email"}, "phone": {"type": "phone"}, "click_id": {"type": "string"}}}
    shop.edit_program(lead=lead)
    shop.set("journal", index=["email", "click_id"])
    assert shop.run("search", "--field", "click_id=Xk3-9").exit_code == 1
    assert shop.run("reindex").stdout == "1 lead hashed anew.\n"
    assert reference in shop.run("search", "--field", "click_id=Xk3-9").stdout
    assert shop.meets({**LEAD, "click_id": "Xk3-9"}) is Met.REPLAY


def test_what_is_not_kept_cannot_be_hashed_and_is_told(shop: Shop) -> None:
    reference = shop.take(Reason.ACCEPTED)
    shop.take(Reason.ACCEPTED, OTHER)
    shop.run("erase", "--reference", reference, *WHY)
    shop.set("journal", index_key="quite another index key")
    result = shop.run("reindex", "--from", "-", stdin=INDEX_KEY)
    assert result.exit_code == 0
    assert result.stdout == "1 lead hashed anew.\n"
    assert result.stderr == "1 could not be: nothing is kept of what they said.\n"


def test_a_lead_that_cannot_be_read_is_named_and_left_out_on_demand_alone(shop: Shop) -> None:
    reference = shop.take(Reason.ACCEPTED)
    shop.set("journal", index_key="quite another index key", key=NEW_KEY)
    result = shop.run("reindex", "--from", "-", stdin=INDEX_KEY)
    assert result.exit_code == 1
    assert f"not hashed: {reference}: needs the journal key" in result.stderr
    assert "no gateway starts before it is" in result.stderr
    with pytest.raises(WrongIndexKey):
        shop.meets(LEAD)
    assert shop.run("reindex", "--skip", "--from", "-", stdin=INDEX_KEY).stdout == "0 leads hashed anew.\n"
    assert shop.meets(LEAD) is Met.NOTHING


def test_reindexing_that_was_cut_off_is_done_again_and_no_gateway_starts_before(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = [shop.take(Reason.ACCEPTED, {**LEAD, "email": f"{name}@example.com"}) for name in ("a", "b", "c")]
    shop.set("journal", index_key="quite another index key")

    class Cut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr("gateway.cli.journal.reindex._AT_ONCE", 1)
        patched.setattr("gateway.cli.journal.progress.Progress.__call__", lambda self, done: done > 2 and cut())
        with pytest.raises(Cut):
            shop.run("reindex", "--from", "-", stdin=INDEX_KEY)
    for key in ("quite another index key", INDEX_KEY):
        shop.set("journal", index_key=key)
        with pytest.raises(WrongIndexKey):
            shop.meets(LEAD)
    shop.set("journal", index_key="quite another index key")
    assert shop.run("reindex", "--from", "-", stdin=INDEX_KEY).stdout == "3 leads hashed anew.\n"
    for name in ("a", "b", "c"):
        assert shop.meets({**LEAD, "email": f"{name}@example.com", "phone": ""}) is Met.DUPLICATE
    assert len(references) == 3


# --- backup, restore, verify -----------------------------------------------------------------------


def test_a_journal_comes_back_from_its_backup(file_shop: Shop) -> None:
    reference = file_shop.take(Reason.ACCEPTED)
    backup = file_shop.folder / "backup"
    result = file_shop.run("backup", backup)
    assert (result.exit_code, result.stdout) == (0, f"1 submission and 1 record key copied to {backup}.\n")
    assert sorted(file.name for file in backup.iterdir()) == ["journal.sqlite3", "keys.sqlite3"]
    assert file_shop.run("verify", backup).stdout == "1 submission checked, 3 sealed texts opened: all is well.\n"
    (file_shop.folder / "state").rename(file_shop.folder / "lost")
    result = file_shop.run("restore", backup)
    assert result.exit_code == 0
    assert result.stdout.endswith("Start the gateway once with: gateway serve --after-restore\n")
    assert file_shop.run("show", "--body", reference).exit_code == 0
    assert file_shop.run("verify").stdout == "1 submission checked, 3 sealed texts opened: all is well.\n"


def test_what_was_erased_after_the_backup_is_so_with_the_newest_keys(file_shop: Shop) -> None:
    reference = file_shop.take(Reason.ACCEPTED)
    old, new = file_shop.folder / "old", file_shop.folder / "new"
    file_shop.run("backup", old)
    file_shop.run("erase", "--reference", reference, *WHY)
    file_shop.run("backup", new)
    (file_shop.folder / "state").rename(file_shop.folder / "lost")
    result = file_shop.run("restore", old, "--keys", new / "keys.sqlite3")
    assert "Of 1 the key is gone" in result.stdout
    assert file_shop.record(reference).erased


def test_restore_never_takes_the_place_of_a_journal(file_shop: Shop) -> None:
    reference = file_shop.take(Reason.ACCEPTED)
    file_shop.run("backup", file_shop.folder / "backup")
    result = file_shop.run("restore", file_shop.folder / "backup")
    assert (result.exit_code, result.stderr.startswith("Nothing was done: there is a journal in ")) == (1, True)
    assert file_shop.record(reference).outcome is Outcome.ACCEPTED


def test_verify_opens_all_that_is_sealed(shop: Shop) -> None:
    shop.take(Reason.ACCEPTED)
    shop.take(Reason.LEAD_INVALID, {"email": "x"})
    assert shop.run("verify").stdout == "2 submissions checked, 3 sealed texts opened: all is well.\n"
    shop.set("journal", key=NEW_KEY)
    result = shop.run("verify")
    assert result.exit_code == 1
    assert result.stdout.endswith("something is wrong.\n")
    assert "which is not in the ring" in result.stderr


def test_a_journal_in_postgresql_is_backed_up_by_its_own_tools(postgres_url: str, file_shop: Shop) -> None:
    file_shop.set("journal", url=postgres_url)
    for arguments in (("backup", file_shop.folder / "x"), ("restore", file_shop.folder / "x")):
        result = file_shop.run(*arguments)
        assert (result.exit_code, "docs/journal.md" in result.stderr) == (2, True)


# --- migrate ---------------------------------------------------------------------------------------


def test_migrate_brings_a_database_to_this_version_and_says_so(postgres_url: str, file_shop: Shop) -> None:
    file_shop.set("journal", url=postgres_url)
    first = file_shop.run("migrate")
    assert first.exit_code == 0
    assert first.stdout.startswith("The journal's schema was brought from version 0 to ")
    assert " already." in file_shop.run("migrate").stdout
    file_shop.take(Reason.ACCEPTED)


def test_migrate_of_a_file_has_nothing_to_do(file_shop: Shop) -> None:
    assert file_shop.run("migrate").stdout == (
        "The journal is a file; it is brought up to date when the gateway starts.\n"
    )
