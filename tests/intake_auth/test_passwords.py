"""Which password hashes are taken, and what matches them."""

from __future__ import annotations

import secrets
import unicodedata

import bcrypt
import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.intake.passwords import (
    Cost,
    StoredHash,
    decoy,
    encoded,
    has_control,
    hash_password,
    normal,
    parse_hash,
    unfit,
    weakness,
)

ARGON2ID = hash_password("s3cret")
BCRYPT = bcrypt.hashpw(b"s3cret", bcrypt.gensalt(10)).decode()
BCRYPT_TAIL = BCRYPT[7:]


def taken(text: str) -> StoredHash:
    found = parse_hash(text)
    assert isinstance(found, StoredHash), found
    return found


def test_a_new_hash_is_argon2id_with_19_mib_2_passes_and_1_lane() -> None:
    found = extract_parameters(ARGON2ID)
    assert ARGON2ID.startswith("$argon2id$v=19$")
    assert (found.memory_cost, found.time_cost, found.parallelism) == (19 * 1024, 2, 1)
    assert (found.salt_len, found.hash_len) == (16, 32)


def test_the_same_password_is_hashed_with_another_salt_each_time() -> None:
    assert hash_password("s3cret") != ARGON2ID


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(ARGON2ID, id="argon2id of ours"),
        pytest.param(PasswordHasher().hash("s3cret"), id="argon2id of the library's defaults"),
        pytest.param(BCRYPT, id="bcrypt $2b$"),
        pytest.param("$2y" + BCRYPT[3:], id="bcrypt $2y$, as htpasswd -B writes it"),
        pytest.param("$2a" + BCRYPT[3:], id="bcrypt $2a$"),
    ],
)
def test_a_taken_hash_matches_its_password_and_no_other(text: str) -> None:
    found = taken(text)
    assert found.matches(b"s3cret")
    assert not found.matches(b"S3cret")
    assert not found.matches(b"")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        pytest.param("$apr1$Zt9y2a3k$1PxO8Uq6F5QZcQxK3Ck4a0", "is Apache's MD5 (apr1)", id="apr1"),
        pytest.param("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "is unsalted SHA-1", id="SHA"),
        pytest.param("{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "is SHA-1", id="SSHA"),
        pytest.param("$1$salt$qJH7.N4xYta3aEG/dfqo/0", "is MD5-crypt", id="MD5-crypt"),
        pytest.param("$5$rounds=5000$abc$def", "is SHA-256-crypt", id="SHA-256-crypt"),
        pytest.param("$6$rounds=5000$abc$def", "is SHA-512-crypt", id="SHA-512-crypt"),
        pytest.param("$y$j9T$abc$def", "is yescrypt", id="yescrypt"),
        pytest.param("$2x" + BCRYPT[3:], "is bcrypt of a broken kind ($2x$)", id="$2x$"),
        pytest.param("$2$" + BCRYPT[4:], "is bcrypt of a broken kind ($2$)", id="$2$"),
        pytest.param("$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$" + "A" * 43, "is argon2i", id="argon2i"),
        pytest.param("$argon2d$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$" + "A" * 43, "is argon2d", id="argon2d"),
        pytest.param("rqXexS6ZhobKA", "is no hash that is known here (plain text, or crypt)", id="crypt"),
        pytest.param("letmein", "is no hash that is known here (plain text, or crypt)", id="plain"),
        pytest.param("", "is no hash that is known here (plain text, or crypt)", id="nothing"),
        pytest.param(f"$2b$04${BCRYPT_TAIL}", "is bcrypt with cost 4, which is too weak", id="bcrypt 4"),
        pytest.param(f"$2b$09${BCRYPT_TAIL}", "is bcrypt with cost 9, which is too weak", id="bcrypt 9"),
        pytest.param(f"$2b$15${BCRYPT_TAIL}", "is bcrypt with cost 15, which takes seconds", id="bcrypt 15"),
        pytest.param(BCRYPT[:-1], "is a damaged bcrypt hash", id="bcrypt cut short"),
        pytest.param(BCRYPT + "a", "is a damaged bcrypt hash", id="bcrypt with a tail"),
        pytest.param(BCRYPT[:28] + "z" + BCRYPT[29:], "is a damaged bcrypt hash", id="bcrypt with a bent salt"),
        pytest.param(BCRYPT + "\n", "is a damaged bcrypt hash", id="bcrypt with a line end"),
        pytest.param(ARGON2ID[:-30], "is a damaged argon2id hash, or of another version than 19", id="argon2id cut"),
        pytest.param(
            ARGON2ID.replace("v=19", "v=16"), "is a damaged argon2id hash, or of another version than 19", id="v=16"
        ),
        pytest.param(
            ARGON2ID[:-1] + "B", "is no argon2id hash: its salt or digest is damaged", id="argon2id with bent base64"
        ),
        pytest.param(
            ARGON2ID.replace("m=19456", "m=4000000"),
            "costs too much: a login would take seconds, or the memory that leads need",
            id="4 GB",
        ),
        pytest.param(
            ARGON2ID.replace("t=2", "t=200"),
            "costs too much: a login would take seconds, or the memory that leads need",
            id="200 passes",
        ),
        pytest.param(
            ARGON2ID.replace("m=19456,t=2,p=1", "m=8,t=1,p=2"),
            "is no argon2id hash: it has less than 8 KiB a lane",
            id="lanes without memory",
        ),
    ],
)
def test_another_hash_is_refused_with_its_name(text: str, wrong: str) -> None:
    assert parse_hash(text) == wrong


@settings(deadline=None)
@given(st.text(max_size=200) | st.sampled_from([ARGON2ID, BCRYPT]).map(lambda text: text[: secrets.randbelow(60)]))
def test_reading_a_hash_never_fails_and_never_quotes_it(text: str) -> None:
    found = parse_hash(text)
    if isinstance(found, str):
        assert text not in found or len(text) < 12
    else:
        assert found.text not in repr(found)


def test_a_hash_does_not_print() -> None:
    assert BCRYPT_TAIL not in repr(taken(BCRYPT))
    assert ARGON2ID[30:] not in f"{taken(ARGON2ID)}"


@pytest.mark.parametrize(
    ("parameters", "weak"),
    [
        pytest.param((19456, 2, 1), False, id="19 MiB, 2"),
        pytest.param((47104, 1, 1), False, id="46 MiB, 1"),
        pytest.param((7168, 5, 1), False, id="7 MiB, 5"),
        pytest.param((19456, 1, 1), True, id="19 MiB, 1"),
        pytest.param((4096, 20, 1), True, id="4 MiB, 20"),
    ],
)
def test_argon2id_below_the_common_minimum_is_called_weak(parameters: tuple[int, ...], weak: bool) -> None:
    assert bool(weakness(Cost("argon2id", parameters))) is weak


@pytest.mark.parametrize("cost", [Cost("argon2id", (16, 1, 1)), Cost("bcrypt", (10,))], ids=lambda cost: cost.scheme)
def test_a_decoy_costs_what_it_stands_for_and_matches_nobody(cost: Cost) -> None:
    made = decoy(cost)
    assert taken(made.text).cost == cost
    assert not made.matches(b"s3cret")
    assert decoy(cost).text != made.text


def test_bcrypt_matches_no_password_beyond_its_72_bytes() -> None:
    found = taken(bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(10)).decode())
    assert found.matches(b"a" * 72)
    assert not found.matches(b"a" * 73)


def test_argon2id_matches_a_password_of_256_bytes() -> None:
    password = "a" * 256
    assert taken(hash_password(password)).matches(encoded(password))


def test_composed_and_decomposed_letters_are_one_password() -> None:
    decomposed = unicodedata.normalize("NFD", "Zoë-é")
    assert taken(hash_password(decomposed)).matches(encoded("Zoë-é"))
    assert encoded(decomposed) == "Zoë-é".encode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("a", "", id="one letter"),
        pytest.param("pässword 12€", "", id="beyond ASCII"),
        pytest.param("a" * 256, "", id="256 bytes"),
        pytest.param("", "is empty", id="empty"),
        pytest.param("a" * 257, "is longer than 256 bytes", id="257 bytes"),
        pytest.param("é" * 129, "is longer than 256 bytes", id="129 letters of two bytes"),
        pytest.param("a\x00b", "has control characters", id="NUL"),
        pytest.param("a\n", "has control characters", id="line end"),
        pytest.param("a\x7f", "has control characters", id="DEL"),
        pytest.param("a\x85", "has control characters", id="C1"),
        pytest.param("a\ud800", "is not Unicode", id="lone surrogate"),
    ],
)
def test_what_cannot_be_a_password_is_said(text: str, why: str) -> None:
    assert unfit(text) == why


@pytest.mark.parametrize("password", ["", "a\tb", "a" * 257])
def test_no_hash_is_made_of_what_cannot_be_a_password(password: str) -> None:
    with pytest.raises(ValueError, match=r"^the password (is|has) "):
        hash_password(password)


@settings(deadline=None)
@given(st.text())
def test_control_characters_are_exactly_the_category_cc(text: str) -> None:
    assert has_control(text) is any(unicodedata.category(character) == "Cc" for character in text)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_the_one_form_stays_the_same_when_taken_again(text: str) -> None:
    assert normal(normal(text)) == normal(text) == unicodedata.normalize("NFC", text)
