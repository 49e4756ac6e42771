"""Keyed hashes: what counts as the same, and that nothing else does."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.journal.keys import HASH_BYTES, VERSION, Hashes, normaliser

HASHES = Hashes(b"an index key of enough bytes")
LEAD = (("email", "jane@example.com"), ("phone", "+12025550143"), ("click_id", "c-1"))

TEXTS = st.text(st.characters(), max_size=12)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), max_size=8)


def fingerprint(pairs: object, partner: str = "acme", program: str = "auto", **settings: object) -> bytes:
    return HASHES.fingerprinter(program, **settings)(partner, pairs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        pytest.param("email", "Jane.Doe@example.com", "jane.doe@example.com", id="address, case"),
        pytest.param("email", "jose\u0301@example.com", "JOS\u00c9@example.com", id="address, composed"),
        pytest.param("string", " Jane   DOE\t", "jane doe", id="text, case and spacing"),
        pytest.param("string", "STRASSE", "straße", id="text, folded"),
        pytest.param("string", "Ｊａｎｅ", "jane", id="text, width"),
        pytest.param("postal_code", "K1A 0B1", "k1a0b1", id="postal code"),
        pytest.param("postal_code", "12345-6789", "123456789", id="postal code, hyphen"),
        pytest.param("decimal", Decimal("10.00"), Decimal("1E+1"), id="number, spelling"),
        pytest.param("decimal", Decimal("-0.0"), Decimal(0), id="number, zero"),
        pytest.param("integer", 7, "7", id="whole number"),
        pytest.param("date", date(2000, 2, 1), "2000-02-01", id="date"),
    ],
)
def test_spellings_that_people_take_for_the_same_are_one(kind: str, one: object, other: object) -> None:
    assert normaliser(kind)(one) == normaliser(kind)(other)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        pytest.param("email", "jane.doe@example.com", "janedoe@example.com", id="dots in an address"),
        pytest.param("email", "jane+1@example.com", "jane@example.com", id="tags in an address"),
        pytest.param("enum", "Yes", "yes", id="words of an enum"),
        pytest.param("decimal", Decimal("10.01"), Decimal("10"), id="numbers"),
        pytest.param("string", "jane doe", "janedoe", id="text with and without a space"),
    ],
)
def test_what_may_differ_stays_different(kind: str, one: object, other: object) -> None:
    assert normaliser(kind)(one) != normaliser(kind)(other)


@given(st.text(max_size=30), st.sampled_from(["email", "string", "postal_code", "phone", "enum"]))
def test_normal_text_is_normal_already(text: str, kind: str) -> None:
    once = normaliser(kind)(text)
    assert normaliser(kind)(once) == once


def test_a_text_of_spaces_has_nothing_to_hash() -> None:
    assert normaliser("string")(" \u3000\t") == ""


@given(PAIRS, st.randoms(use_true_random=False))
def test_a_fingerprint_does_not_see_the_order_of_names(pairs: list[tuple[str, str]], random) -> None:  # type: ignore[no-untyped-def]
    names = list(dict(pairs))
    random.shuffle(names)
    moved = [pair for name in names for pair in pairs if pair[0] == name]
    assert fingerprint(moved) == fingerprint(pairs)


def test_a_fingerprint_sees_the_order_of_one_names_values() -> None:
    assert fingerprint([("a", "1"), ("a", "2")]) != fingerprint([("a", "2"), ("a", "1")])


@given(PAIRS, PAIRS)
def test_other_leads_have_other_fingerprints(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    def plain(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return sorted(((name, text.strip()) for name, text in pairs if text.strip()), key=lambda pair: pair[0])

    assert (fingerprint(one) == fingerprint(other)) is (plain(one) == plain(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([("a", "b"), ("c", "d")], [("a", "b2:c1:d")], id="text that looks like a frame"),
        pytest.param([("ab", "c")], [("a", "bc")], id="moved between name and text"),
        pytest.param([("a", "1")], [("a", "1"), ("b", "1")], id="one more"),
    ],
)
def test_framing_keeps_neighbours_apart(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_spaces_around_and_empty_fields_do_not_count() -> None:
    assert fingerprint([("a", " 1 "), ("b", ""), ("c", " \t")]) == fingerprint([("a", "1")])


def test_ignored_names_do_not_count() -> None:
    other_click = (*LEAD[:2], ("click_id", "c-2"))
    assert fingerprint(LEAD) != fingerprint(other_click)
    assert fingerprint(LEAD, ignore=["click_id"]) == fingerprint(other_click, ignore=["click_id"])


def test_only_named_fields_count_when_some_are_named() -> None:
    only = {"fields": ["email", "click_id"], "ignore": ["click_id"]}
    assert fingerprint(LEAD, **only) == fingerprint([("email", "jane@example.com"), ("phone", "other")], **only)
    assert fingerprint(LEAD, **only) != fingerprint([("email", "john@example.com")], **only)


def test_partners_and_programs_do_not_share_fingerprints() -> None:
    assert len({fingerprint(LEAD), fingerprint(LEAD, partner="bolt"), fingerprint(LEAD, program="home")}) == 3
    assert fingerprint(LEAD, partner="ab", program="c") != fingerprint(LEAD, partner="b", program="ca")


def test_a_lone_surrogate_is_hashed_like_any_text() -> None:
    assert fingerprint([("a", "\ud800")]) != fingerprint([("a", "\ud801")])


@pytest.mark.parametrize(("scope", "shared"), [("program", True), ("partner", False)])
def test_a_claim_is_shared_within_its_scope(scope, shared: bool) -> None:  # type: ignore[no-untyped-def]
    claim = HASHES.claimer("auto", "same_email", ["email"], window_ms=5, scope=scope)
    one, other = claim("acme", LEAD), claim("bolt", LEAD)
    assert one is not None
    assert other is not None
    assert (one.key == other.key) is shared
    assert (one.rule, one.window_ms, len(one.key)) == ("same_email", 5, HASH_BYTES)


def test_rules_programs_and_scopes_do_not_share_claims() -> None:
    keys = {
        HASHES.claimer(program, rule, fields, window_ms=5, scope=scope)("", LEAD).key  # type: ignore[union-attr,arg-type]
        for program in ("auto", "home")
        for rule in ("one", "other")
        for fields in (["email"], ["email", "phone"], ["phone", "email"])
        for scope in ("program", "partner")
    }
    assert len(keys) == 24


@pytest.mark.parametrize("missing", [("phone", ""), ("other", "x")])
def test_a_rule_without_all_its_fields_claims_nothing(missing: tuple[str, str]) -> None:
    claim = HASHES.claimer("auto", "both", ["email", "phone"], window_ms=5)
    assert claim("acme", [("email", "jane@example.com"), missing]) is None


def test_an_idempotency_key_belongs_to_one_partner_of_one_program() -> None:
    asked = [("auto", "acme", "k"), ("auto", "bolt", "k"), ("home", "acme", "k"), ("auto", "acme", "k2")]
    assert len({HASHES.idempotency(*one) for one in asked}) == 4
    assert HASHES.idempotency("auto", "acme", "k") == HASHES.idempotency("auto", "acme", "k")


@given(st.binary(min_size=16, max_size=40), st.binary(min_size=16, max_size=40))
def test_another_key_or_version_makes_other_hashes_and_another_name(one: bytes, other: bytes) -> None:
    assume(one.ljust(64, b"\0") != other.ljust(64, b"\0"))  # HMAC pads short keys with zeros (RFC 2104 section 2)
    made = [Hashes(one), Hashes(other), Hashes(one, VERSION + 1)]
    assert len({hashes.index("email", "jane@example.com") for hashes in made}) == 3
    assert len({hashes.name for hashes in made}) == 3
    assert made[0].name.startswith(f"{VERSION}:")


def test_uses_do_not_share_hashes() -> None:
    assert HASHES.index("auto", "acme") not in (HASHES.idempotency("auto", "acme", ""), fingerprint([], "acme"))


def test_a_short_index_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Hashes(b"fifteen bytes..")


def test_hashes_are_stable_over_releases() -> None:
    """These stand in journals: a change needs a new VERSION and a reindex."""
    claim = HASHES.claimer("auto", "same_email", ["email"], window_ms=5)("acme", LEAD)
    assert claim is not None
    assert HASHES.name == "1:baf10516"
    assert HASHES.index("email", "jane@example.com").hex() == "78e71930e18e913ce90ea364ca0342ce"
    assert HASHES.idempotency("auto", "acme", "k").hex() == "e2f32affe475f9e058648a2e7eae9500"
    assert fingerprint(LEAD).hex() == "b9a7ff25051d789333eff997a26d90fb"
    assert claim.key.hex() == "deb95221c0e801f19bc1b68afb2d2056"
