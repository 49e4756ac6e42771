"""Encryption at rest: what opens, and everything that must not."""

from __future__ import annotations

import base64
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.datapost.values import DataPostResponse
from gateway.journal.operations import RecordKey
from gateway.journal.sealing import (
    BadKey,
    KeyMissing,
    KeyRing,
    SealBroken,
    Sealer,
    new_key,
    pack_members,
    parse_key,
    unpack_members,
)

REFERENCE = "01JDABCDEFGHJKMNPQRSTVWXYZ"
OLD, NEW = bytes(range(32)), bytes(range(1, 33))
SEALER = Sealer(KeyRing([OLD]))
TEXTS = st.text(st.characters(), max_size=30)


@given(st.binary(max_size=300), st.sampled_from(["body", "members", "answer"]))
def test_what_was_sealed_opens_again_from_the_kept_record_key(plain: bytes, column: str) -> None:
    cipher = SEALER.fresh(REFERENCE)
    sealed = cipher.seal(column, plain)
    assert SEALER.cipher(REFERENCE, cipher.key).open(column, sealed) == plain
    assert len(sealed) == len(plain) + 28


def test_neither_text_nor_data_key_stands_in_what_is_kept() -> None:
    cipher = SEALER.fresh(REFERENCE)
    assert b"jane" not in cipher.seal("body", b"email=jane@example.com") + cipher.key.wrapped
    assert len(cipher.key.wrapped) == 60


def test_nothing_is_sealed_alike_twice() -> None:
    cipher, other = SEALER.fresh(REFERENCE), SEALER.fresh(REFERENCE)
    sealed = {cipher.seal("body", b"x"), cipher.seal("body", b"x"), other.seal("body", b"x")}
    assert len(sealed) == 3
    assert cipher.key.wrapped != other.key.wrapped


@pytest.mark.parametrize("place", [0, 11, 12, 20, -1])
def test_a_changed_byte_does_not_open(place: int) -> None:
    cipher = SEALER.fresh(REFERENCE)
    sealed = bytearray(cipher.seal("body", b"twelve bytes"))
    sealed[place] ^= 1
    with pytest.raises(SealBroken):
        cipher.open("body", bytes(sealed))


@given(st.binary(max_size=60))
def test_foreign_bytes_do_not_open(junk: bytes) -> None:
    cipher = SEALER.fresh(REFERENCE)
    with pytest.raises(SealBroken):
        cipher.open("body", junk)
    with pytest.raises(SealBroken):
        SEALER.cipher(REFERENCE, RecordKey(SEALER.ring.current, junk))


def test_bytes_moved_to_another_column_row_or_record_key_do_not_open() -> None:
    cipher = SEALER.fresh(REFERENCE)
    sealed = cipher.seal("members", b"x")
    with pytest.raises(SealBroken):
        cipher.open("answer", sealed)
    with pytest.raises(SealBroken):
        SEALER.cipher(REFERENCE[:-1] + "0", cipher.key)
    with pytest.raises(SealBroken):
        SEALER.fresh(REFERENCE).open("members", sealed)


def test_what_breaks_says_neither_key_nor_text() -> None:
    cipher = SEALER.fresh(REFERENCE)
    with pytest.raises(SealBroken) as caught:
        cipher.open("body", b"jane@example.com jane@example.com")
    assert str(caught.value) == f"body of {REFERENCE} does not open"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_rotation_wraps_anew_and_leaves_what_was_sealed() -> None:
    cipher = SEALER.fresh(REFERENCE)
    sealed = cipher.seal("body", b"x")
    rotating = Sealer(KeyRing([NEW, OLD]))
    key = rotating.rewrapped(REFERENCE, cipher.key)
    assert key.key_id == rotating.ring.current != cipher.key.key_id
    assert rotating.rewrapped(REFERENCE, key) is key
    after = Sealer(KeyRing([NEW]))
    assert after.cipher(REFERENCE, key).open("body", sealed) == b"x"
    with pytest.raises(KeyMissing) as caught:
        after.cipher(REFERENCE, cipher.key)
    assert caught.value.key_id == cipher.key.key_id


def test_a_ring_seals_with_its_first_key_and_opens_with_all() -> None:
    ring = KeyRing([NEW, OLD])
    assert ring.ids == (KeyRing([NEW]).current, KeyRing([OLD]).current)
    assert Sealer(ring).fresh(REFERENCE).key.key_id == ring.ids[0]
    old = SEALER.fresh(REFERENCE)
    assert Sealer(ring).cipher(REFERENCE, old.key).open("body", old.seal("body", b"x")) == b"x"


def test_key_ids_are_stable_over_releases() -> None:
    """They stand in journals."""
    assert KeyRing([OLD]).current == "37e42ccd"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(OLD.hex(), id="hexadecimal"),
        pytest.param(OLD.hex().upper() + "\n", id="upper case, line end"),
        pytest.param(base64.b64encode(OLD).decode(), id="base64"),
        pytest.param(base64.b64encode(OLD).decode().rstrip("="), id="base64, not padded"),
        pytest.param(base64.urlsafe_b64encode(OLD).decode(), id="base64url"),
    ],
)
def test_keys_are_read_as_people_write_them(text: str) -> None:
    assert parse_key(text) == OLD


def test_a_new_key_is_read_and_new() -> None:
    one, other = parse_key(new_key()), parse_key(new_key())
    assert len(one) == 32
    assert one != other


@pytest.mark.parametrize(
    "text",
    [
        "",
        "correct horse battery staple",
        "00" * 31,
        "00" * 33,
        "gg" * 32,
        base64.b64encode(OLD[:31]).decode(),
        "é" * 44,
    ],
    ids=["empty", "passphrase", "31 bytes", "33 bytes", "no digits", "31 bytes in base64", "not ASCII"],
)
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(BadKey) as caught:
        parse_key(text)
    assert text == "" or text not in str(caught.value)


def test_a_ring_is_lines_of_keys_and_comments() -> None:
    ring = KeyRing.load(f"# since spring\n{NEW.hex()}\n\n  # before\n  {OLD.hex()}  \n")
    assert ring.ids == KeyRing([NEW, OLD]).ids
    assert KeyRing.load(NEW.hex(), OLD.hex()).ids == ring.ids


@pytest.mark.parametrize("texts", [(), ("",), ("# nothing\n\n",)], ids=["none", "empty", "comments"])
def test_a_ring_without_keys_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(BadKey):
        KeyRing.load(*texts)


@given(st.booleans(), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
def test_members_come_back_as_they_were(
    valid: bool, uniqueid: str, amount: str, customer: str, email: str, note: str, legacy: str
) -> None:
    members = DataPostResponse(
        valid=valid, uniqueid=uniqueid, sale_amount=amount, customerid=customer, email=email, note=note
    )
    assert unpack_members(pack_members(members, legacy)) == (members, legacy)


def test_members_with_text_that_is_not_unicode_come_back() -> None:
    members = DataPostResponse(valid=False, note="\ud800")
    assert unpack_members(pack_members(members)) == (members, "")


def test_sealing_one_record_is_cheap() -> None:
    """The journal's budget has 10 µs for it; a wrong construction (key setup a column, say) costs many times that."""
    body, members = os.urandom(1000), DataPostResponse(valid=True, note="Lead submitted successfully")

    def seal_one() -> None:
        cipher = SEALER.fresh(REFERENCE)
        cipher.seal("body", body)
        cipher.seal("members", pack_members(members, "98"))

    best = float("inf")
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(200):
            seal_one()
        best = min(best, (time.perf_counter() - started) / 200)
    assert best < 40e-6
