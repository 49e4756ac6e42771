"""Signing in: what a header says, who is let in, what is remembered and for how long, and what a flood is told."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import unicodedata
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.datapost.reasons import Reason
from gateway.intake.credentials import (
    BUSY,
    MALFORMED,
    MISSING,
    RESULTS,
    UNKNOWN_USER,
    WRONG_PASSWORD,
    Authenticator,
    Credential,
    Denied,
    Verifier,
    decode_basic,
)
from gateway.intake.htpasswd import SignIn, Users, compile_users
from gateway.intake.passwords import Cost, StoredHash, unfit
from gateway.settings.problems import loose_report
from tests.intake_auth.conftest import MakeUsers, basic, quick_hash

ONE, TWO, THREE = quick_hash("one"), quick_hash("two"), quick_hash("three")


# --- the header ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "pair"),
    [
        pytest.param("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ("Aladdin", "open sesame"), id="RFC 7617 section 2"),
        pytest.param("Basic dGVzdDoxMjPCow==", ("test", "123£"), id="RFC 7617 section 2.1, UTF-8"),
        pytest.param(basic("test", "123£", charset="latin-1"), ("test", "123£"), id="the same in latin-1"),
        pytest.param(basic("a", "b", scheme="basic"), ("a", "b"), id="scheme in lower case"),
        pytest.param(basic("a", "b", scheme="BASIC"), ("a", "b"), id="scheme in upper case"),
        pytest.param("Basic   " + basic("a", "b")[6:], ("a", "b"), id="more than one space"),
        pytest.param(basic("a", "b:c:"), ("a", "b:c:"), id="the first colon splits"),
        pytest.param(basic("Zoe\u0308", "e\u0301"), ("Zo\u00eb", "\u00e9"), id="NFC"),
        pytest.param(basic("a", "Ã©"), ("a", "Ã©"), id="UTF-8 that would be latin-1 as well"),
        pytest.param(basic("a" * 256, "b" * 256), ("a" * 256, "b" * 256), id="256 bytes each"),
        pytest.param("", None, id="nothing"),
        pytest.param("Basic", None, id="no credential"),
        pytest.param("Basic ", None, id="empty credential"),
        pytest.param("Bearer " + basic("a", "b")[6:], None, id="another scheme"),
        pytest.param(basic("a", "b")[6:], None, id="no scheme"),
        pytest.param("Basic\t" + basic("a", "b")[6:], None, id="tab for a space"),
        pytest.param("Basic eDp5!!", None, id="not base64"),
        pytest.param("Basic eDp5\n", None, id="line end"),
        pytest.param("Basic e Dp5", None, id="space inside"),
        pytest.param("Basic eDp5=eDp5", None, id="padding inside"),
        pytest.param("Basic eDp5eA", None, id="no padding"),
        pytest.param("Basic eDp5eB==", None, id="bits beyond the last byte"),
        pytest.param("Basic eDp5===", None, id="too much padding"),
        pytest.param("Basic _-__", None, id="the other alphabet"),
        pytest.param("Basic eDp5, Basic eDp5", None, id="two of them"),
        pytest.param("Basic \udcc3\udca9", None, id="raw bytes, as the parser gives them"),
        pytest.param("Basic " + b64encode(b"nocolon").decode(), None, id="no colon"),
        pytest.param(basic("", "b"), None, id="no user"),
        pytest.param(basic("a", ""), None, id="no password"),
        pytest.param(basic("a" * 257, "b"), None, id="user of 257 bytes"),
        pytest.param(basic("a", "b" * 257), None, id="password of 257 bytes"),
        pytest.param(basic("a\x00", "b"), None, id="NUL in the user"),
        pytest.param(basic("a", "b\n"), None, id="line end in the password"),
        pytest.param(basic("a", "b\x7f"), None, id="DEL in the password"),
        pytest.param(basic("a", b"\xff\x85"), None, id="C1 in latin-1"),
    ],
)
def test_a_header_is_read_strictly(header: str, pair: tuple[str, str] | None) -> None:
    assert decode_basic(header) == pair


@settings(deadline=None)
@given(st.text())
def test_any_header_is_a_clean_pair_or_none(header: str) -> None:
    for text in (header, f"Basic {header}"):
        if (pair := decode_basic(text)) is not None:
            assert [unfit(part) for part in pair] == ["", ""]


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40))
def test_what_is_decoded_is_what_was_sent(user: bytes, password: bytes) -> None:
    pair = decode_basic(basic(user.replace(b":", b""), password))
    if pair is None:
        return
    sent = user.replace(b":", b"") + b":" + password
    try:
        text = sent.decode()
    except UnicodeDecodeError:
        text = sent.decode("latin-1")
    assert ":".join(pair) == unicodedata.normalize("NFC", text)


# --- who is let in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(basic("acme", "one"), Credential("acme", 1), id="present secret"),
        pytest.param(basic("acme", "two"), Credential("acme", 2), id="next secret"),
        pytest.param(basic("beta", "three"), Credential("beta", 1), id="another user"),
        pytest.param(basic("beta", "one"), WRONG_PASSWORD, id="the password of another user"),
        pytest.param(basic("acme", "One"), WRONG_PASSWORD, id="wrong password"),
        pytest.param(basic("Acme", "one"), UNKNOWN_USER, id="names are case-sensitive"),
        pytest.param(basic("nobody", "one"), UNKNOWN_USER, id="unknown user"),
        pytest.param("Bearer x", MALFORMED, id="another scheme"),
        pytest.param(None, MISSING, id="no header"),
    ],
)
async def test_a_credential_is_told_from_the_rest(
    users: MakeUsers, verifier: Verifier, header: str | None, expected: Credential | Denied
) -> None:
    authenticator = Authenticator(users(f"acme:{ONE}", f"beta:{THREE}", f"acme:{TWO}"), verifier)
    for _ in range(3):  # hashed, remembered by credential, remembered by header
        assert await authenticator.check(header) == expected


async def test_whoever_is_denied_is_unauthorized_and_nothing_else(users: MakeUsers) -> None:
    assert {one.reason for one in (MISSING, MALFORMED, UNKNOWN_USER, WRONG_PASSWORD)} == {Reason.UNAUTHORIZED}
    assert BUSY.reason is Reason.OVERLOADED
    assert len(set(RESULTS)) == len(RESULTS) == 6


async def test_latin1_and_utf8_sign_in_with_the_same_password(users: MakeUsers, verifier: Verifier) -> None:
    authenticator = Authenticator(users(f"acme:{quick_hash('123£')}"), verifier)
    for charset in ("utf-8", "latin-1"):
        assert await authenticator.check(basic("acme", "123£", charset=charset)) == Credential("acme", 1)


async def test_a_password_beyond_what_bcrypt_reads_is_wrong_and_not_an_error(
    users: MakeUsers, verifier: Verifier
) -> None:
    stored = bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(10)).decode()
    authenticator = Authenticator(users(f"acme:{stored}"), verifier)
    assert await authenticator.check(basic("acme", "a" * 72)) == Credential("acme", 1)
    assert await authenticator.check(basic("acme", "a" * 73)) == WRONG_PASSWORD


async def test_without_users_nobody_is_let_in(tmp_path: Path, verifier: Verifier) -> None:
    authenticator = Authenticator(compile_users(tmp_path / "none", loose_report()), verifier)
    assert await authenticator.check(basic("acme", "one")) == UNKNOWN_USER


def test_no_credential_keeps_a_password() -> None:
    assert set(Credential.__slots__) == {"user", "line"}


# --- what is remembered ----------------------------------------------------------------------------


@dataclass
class Clock:
    """Time that tests set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_good_credential_is_hashed_once_and_then_known_without_waiting(
    users: MakeUsers, verifier: Verifier
) -> None:
    authenticator = Authenticator(users(f"acme:{ONE}"), verifier)
    header = basic("acme", "one")
    assert authenticator.known(header) is None
    for _ in range(5):
        assert await authenticator.check(header) == Credential("acme", 1)
    assert authenticator.known(header) == Credential("acme", 1)
    assert verifier.hashed == 1


async def test_a_wrong_credential_is_hashed_each_time(users: MakeUsers, verifier: Verifier) -> None:
    authenticator = Authenticator(users(f"acme:{ONE}"), verifier)
    for _ in range(3):
        assert await authenticator.check(basic("acme", "no")) == WRONG_PASSWORD
        assert await authenticator.check(basic("nobody", "one")) == UNKNOWN_USER
        assert authenticator.known(basic("acme", "no")) is None
    assert verifier.hashed == 6


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def timed(clock: Clock) -> AsyncIterator[Verifier]:
    """A verifier on the test's clock."""
    made = Verifier(clock=clock)
    yield made
    made.close()


async def test_what_is_not_used_is_forgotten_after_300_seconds(users: MakeUsers, clock: Clock, timed: Verifier) -> None:
    authenticator = Authenticator(users(f"acme:{ONE}"), timed)
    header = basic("acme", "one")
    for _ in range(2):
        await authenticator.check(header)
    clock.now += 199.0
    assert authenticator.known(header) == Credential("acme", 1)
    assert timed.hashed == 1
    clock.now += 102.0
    assert authenticator.known(header) is None
    assert await authenticator.check(header) == Credential("acme", 1)
    assert timed.hashed == 2


async def test_what_is_in_use_is_verified_anew_in_its_last_third_once_and_without_waiting(
    clock: Clock, timed: Verifier, gate: Gate
) -> None:
    authenticator = Authenticator(gated(gate), timed)
    header = basic("acme", "one")
    gate.opened.set()
    for _ in range(2):
        await authenticator.check(header)
    gate.opened.clear()
    clock.now += 201.0
    for _ in range(5):
        assert authenticator.known(header) == Credential("acme", 1)
    assert (timed.hashed, timed.waiting) == (2, 1)
    gate.opened.set()
    await until_waiting(timed, 0)
    await asyncio.sleep(0)
    clock.now += 199.0
    assert authenticator.known(header) == Credential("acme", 1), "for 300 seconds from the second time on"
    assert timed.hashed == 2


async def test_a_flood_does_not_keep_a_credential_that_is_in_use_from_being_renewed(
    clock: Clock, timed: Verifier, gate: Gate, users: MakeUsers
) -> None:
    known = Authenticator(users(f"beta:{TWO}"), timed)
    for _ in range(2):
        await known.check(basic("beta", "two"))
    stuck = Authenticator(gated(gate), timed)
    flood = [asyncio.create_task(stuck.check(basic("acme", f"no{one}"), f"192.0.2.{one}")) for one in range(34)]
    await until_waiting(timed, 34)
    clock.now += 250.0
    assert known.known(basic("beta", "two")) == Credential("beta", 1)
    gate.opened.set()
    await asyncio.gather(*flood)
    # There was no room the first time; its next use tries again.
    assert known.known(basic("beta", "two")) == Credential("beta", 1)
    await until_waiting(timed, 0)
    await asyncio.sleep(0)
    clock.now += 199.0
    assert known.known(basic("beta", "two")) == Credential("beta", 1)


async def test_a_secret_that_was_taken_away_is_not_renewed(users: MakeUsers, clock: Clock, timed: Verifier) -> None:
    old = Authenticator(users(f"acme:{ONE}"), timed)
    for _ in range(2):
        await old.check(basic("acme", "one"))
    clock.now += 201.0
    rotated = Authenticator(users(f"acme:{TWO}"), timed)
    assert rotated.known(basic("acme", "one")) is None
    assert await rotated.check(basic("acme", "one")) == WRONG_PASSWORD
    assert rotated.known(basic("acme", "one")) is None


async def test_a_reload_with_the_same_secrets_hashes_nothing_again(users: MakeUsers, verifier: Verifier) -> None:
    await Authenticator(users(f"acme:{ONE}"), verifier).check(basic("acme", "one"))
    reloaded = Authenticator(users(f"new:{TWO}", f"acme:{ONE}"), verifier)
    assert reloaded.known(basic("acme", "one")) is None
    assert await reloaded.check(basic("acme", "one")) == Credential("acme", 1)
    assert verifier.hashed == 1


async def test_a_secret_that_was_taken_away_is_wrong_at_once(users: MakeUsers, verifier: Verifier) -> None:
    old = Authenticator(users(f"acme:{ONE}", f"acme:{TWO}"), verifier)
    for password in ("one", "two"):
        for _ in range(3):
            assert isinstance(await old.check(basic("acme", password)), Credential)
    rotated = Authenticator(users(f"acme:{TWO}"), verifier)
    assert rotated.known(basic("acme", "one")) is None
    assert await rotated.check(basic("acme", "one")) == WRONG_PASSWORD
    assert await rotated.check(basic("acme", "two")) == Credential("acme", 1)


async def test_the_same_password_hashed_anew_is_verified_anew(users: MakeUsers, verifier: Verifier) -> None:
    await Authenticator(users(f"acme:{ONE}"), verifier).check(basic("acme", "one"))
    again = quick_hash("one", salt=b"pepper" * 3)
    assert await Authenticator(users(f"acme:{again}"), verifier).check(basic("acme", "one")) == Credential("acme", 1)
    assert verifier.hashed == 2


async def test_one_users_credential_is_not_anothers_though_hash_and_password_are_equal(
    users: MakeUsers, verifier: Verifier
) -> None:
    authenticator = Authenticator(users(f"acme:{ONE}", f"beta:{ONE}"), verifier)
    assert await authenticator.check(basic("acme", "one")) == Credential("acme", 1)
    assert await authenticator.check(basic("beta", "one")) == Credential("beta", 1)
    assert verifier.hashed == 2


async def test_two_programs_with_one_file_hash_a_credential_once(users: MakeUsers, verifier: Verifier) -> None:
    both = [Authenticator(users(f"acme:{ONE}"), verifier) for _ in range(2)]
    assert [await one.check(basic("acme", "one")) for one in both] == [Credential("acme", 1)] * 2
    assert verifier.hashed == 1


async def test_bytes_beyond_ascii_are_looked_up_without_an_error(users: MakeUsers, verifier: Verifier) -> None:
    authenticator = Authenticator(users(f"acme:{ONE}"), verifier)
    for header in ("Basic \udce9", "Basic é", "Basic \ud800"):
        assert authenticator.known(header) is None
        assert await authenticator.check(header) == MALFORMED


# --- many at once ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gate(StoredHash):
    """A stored hash whose verification waits until the test opens it: the work on the threads, held still."""

    entered: threading.Event = field(default_factory=threading.Event, compare=False)
    opened: threading.Event = field(default_factory=threading.Event, compare=False)

    def matches(self, password: bytes) -> bool:
        self.entered.set()
        self.opened.wait(10)
        return password == b"one"


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    made = Gate("gate", Cost("argon2id", (8, 1, 1)))
    yield made
    made.opened.set()


def gated(gate: Gate) -> Users:
    known = SignIn((gate,), (1,), known=True)
    return Users(("acme",), {"acme": known}, SignIn((gate,), (0,), known=False))


async def until_waiting(verifier: Verifier, number: int) -> None:
    while verifier.waiting != number:
        await asyncio.sleep(0)


async def test_fifty_first_logins_of_one_credential_at_once_are_hashed_once(
    users: MakeUsers, verifier: Verifier
) -> None:
    authenticator = Authenticator(users(f"acme:{ONE}"), verifier)
    found = await asyncio.gather(*(authenticator.check(basic("acme", "one")) for _ in range(50)))
    assert found == [Credential("acme", 1)] * 50
    assert verifier.hashed == 1
    assert verifier.waiting == 0


async def test_fifty_wrong_logins_of_one_credential_at_once_are_hashed_once(
    users: MakeUsers, verifier: Verifier
) -> None:
    authenticator = Authenticator(users(f"acme:{ONE}"), verifier)
    found = await asyncio.gather(*(authenticator.check(basic("acme", "no")) for _ in range(50)))
    assert found == [WRONG_PASSWORD] * 50
    assert verifier.hashed == 1


async def test_different_credentials_are_hashed_each(users: MakeUsers, verifier: Verifier) -> None:
    authenticator = Authenticator(users(f"acme:{ONE}"), verifier)
    found = await asyncio.gather(
        *(authenticator.check(basic("acme", f"no{number}"), f"192.0.2.{number}") for number in range(20))
    )
    assert found == [WRONG_PASSWORD] * 20
    assert verifier.hashed == 20


async def test_with_34_sign_ins_open_the_next_is_told_busy_and_the_known_ones_are_not_held_up(
    users: MakeUsers, verifier: Verifier, gate: Gate
) -> None:
    known = Authenticator(users(f"beta:{TWO}"), verifier)
    await known.check(basic("beta", "two"))
    stuck = Authenticator(gated(gate), verifier)
    open_ones = [
        asyncio.create_task(stuck.check(basic("acme", f"no{number}"), f"192.0.2.{number}")) for number in range(34)
    ]
    await until_waiting(verifier, 34)
    assert await stuck.check(basic("acme", "one")) == BUSY
    # One that is open already may still be waited for, and who is known does not wait at all.
    joined = asyncio.create_task(stuck.check(basic("acme", "no0")))
    assert await known.check(basic("beta", "two")) == Credential("beta", 1)
    gate.opened.set()
    assert await asyncio.gather(*open_ones, joined) == [WRONG_PASSWORD] * 35
    assert await stuck.check(basic("acme", "one")) == Credential("acme", 1)


@pytest.mark.parametrize(
    ("addresses", "other"),
    [
        pytest.param(["192.0.2.1"] * 4, "192.0.2.2", id="IPv4"),
        pytest.param([f"2001:db8:0:1::{number}" for number in range(1, 5)], "2001:db8:0:2::1", id="IPv6, by its /64"),
        pytest.param(["unknown"] * 4, "192.0.2.1", id="not known"),
    ],
)
async def test_a_client_address_has_four_verifications_open_and_no_more(
    verifier: Verifier, gate: Gate, addresses: list[str], other: str
) -> None:
    authenticator = Authenticator(gated(gate), verifier)
    open_ones = [
        asyncio.create_task(authenticator.check(basic("acme", f"no{number}"), address))
        for number, address in enumerate(addresses)
    ]
    await until_waiting(verifier, 4)
    assert await authenticator.check(basic("acme", "one"), addresses[-1]) == BUSY
    assert verifier.waiting == 4
    partner = asyncio.create_task(authenticator.check(basic("acme", "one"), other))
    await until_waiting(verifier, 5)
    gate.opened.set()
    assert await asyncio.gather(*open_ones, partner) == [WRONG_PASSWORD] * 4 + [Credential("acme", 1)]
    assert await authenticator.check(basic("acme", "again"), addresses[-1]) == WRONG_PASSWORD


async def test_names_that_nobody_has_leave_half_of_the_queue_to_users(verifier: Verifier, gate: Gate) -> None:
    authenticator = Authenticator(gated(gate), verifier)

    def sign_in(user: str, number: int) -> asyncio.Task[Credential | Denied]:
        return asyncio.create_task(authenticator.check(basic(user, f"no{number}"), f"192.0.2.{number}"))

    strangers = [sign_in("nobody", number) for number in range(18)]
    await until_waiting(verifier, 18)
    assert await sign_in("nobody", 18) == BUSY
    partners = [sign_in("acme", number) for number in range(19, 35)]
    await until_waiting(verifier, 34)
    gate.opened.set()
    assert await asyncio.gather(*strangers, *partners) == [UNKNOWN_USER] * 18 + [WRONG_PASSWORD] * 16
    assert await sign_in("nobody", 40) == UNKNOWN_USER


async def test_a_partner_that_leaves_does_not_take_the_others_login_away(verifier: Verifier, gate: Gate) -> None:
    authenticator = Authenticator(gated(gate), verifier)
    first, second = (asyncio.create_task(authenticator.check(basic("acme", "one"))) for _ in range(2))
    await until_waiting(verifier, 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.opened.set()
    assert await second == Credential("acme", 1)
    assert verifier.hashed == 1


async def test_a_login_that_everybody_left_is_still_remembered(verifier: Verifier, gate: Gate) -> None:
    authenticator = Authenticator(gated(gate), verifier)
    only = asyncio.create_task(authenticator.check(basic("acme", "one")))
    await until_waiting(verifier, 1)
    only.cancel()
    gate.opened.set()
    await until_waiting(verifier, 0)
    assert await authenticator.check(basic("acme", "one")) == Credential("acme", 1)
    assert verifier.hashed == 1


async def test_closing_tells_who_is_waiting_for_a_thread_busy(gate: Gate) -> None:
    verifier = Verifier(threads=1)
    authenticator = Authenticator(gated(gate), verifier)
    running, queued = (asyncio.create_task(authenticator.check(basic("acme", word))) for word in ("one", "no"))
    await until_waiting(verifier, 2)
    assert await asyncio.to_thread(gate.entered.wait, 10), "the first one has its thread"
    verifier.close()
    assert await queued == BUSY
    gate.opened.set()
    assert await running == Credential("acme", 1)
    assert await authenticator.check(basic("acme", "other")) == BUSY


@dataclass(frozen=True)
class Broken(StoredHash):
    """A stored hash whose library fails, as it does when there is no memory left."""

    def matches(self, password: bytes) -> bool:
        raise MemoryError


async def test_a_failing_hash_is_nobodys_login_and_leaves_nothing_open(verifier: Verifier) -> None:
    broken = Broken("broken", Cost("argon2id", (8, 1, 1)))
    users = Users(("acme",), {"acme": SignIn((broken,), (1,), known=True)}, SignIn((broken,), (0,), known=False))
    authenticator = Authenticator(users, verifier)
    for _ in range(2):
        with pytest.raises(MemoryError):
            await authenticator.check(basic("acme", "one"))
        assert verifier.waiting == 0


async def test_the_event_loop_goes_on_while_a_password_is_hashed(verifier: Verifier, gate: Gate) -> None:
    login = asyncio.create_task(Authenticator(gated(gate), verifier).check(basic("acme", "one")))
    await until_waiting(verifier, 1)
    assert not login.done()
    gate.opened.set()
    assert await login == Credential("acme", 1)


@dataclass(frozen=True)
class Nosy(StoredHash):
    """A stored hash that looks at the thread it is verified on."""

    seen: list[int] = field(default_factory=list, compare=False)

    def matches(self, password: bytes) -> bool:
        self.seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux only")
async def test_hashing_runs_on_what_the_event_loop_leaves(verifier: Verifier) -> None:
    nosy = Nosy("nosy", Cost("argon2id", (8, 1, 1)))
    users = Users((), {}, SignIn((nosy,), (0,), known=False))
    assert await Authenticator(users, verifier).check(basic("acme", "one")) == UNKNOWN_USER
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert nosy.seen == [min(ours + 10, 19)]
