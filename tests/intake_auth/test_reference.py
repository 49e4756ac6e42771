"""References: well-formed ULIDs, never given twice."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.intake.reference import LENGTH, RANDOM_BYTES, References, new_reference

ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def number(text: str) -> int:
    """A text in Crockford's base 32 as a number."""
    value = 0
    for character in text:
        value = value * 32 + ALPHABET.index(character)
    return value


@settings(deadline=None)
@given(st.integers(0, 2**48 - 1), st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_a_reference_is_a_ulid_of_its_moment_and_randomness(now_ms: int, randomness: bytes) -> None:
    reference = new_reference(now_ms, randomness)
    assert ULID.fullmatch(reference)
    assert number(reference[:10]) == now_ms
    assert [ALPHABET.index(character) for character in reference[10:]] == [byte & 31 for byte in randomness]


@pytest.mark.parametrize(
    ("now_ms", "randomness", "reference"),
    [
        pytest.param(0, bytes(16), "0" * 26, id="the first"),
        pytest.param(2**48 - 1, b"\xff" * 16, "7" + "Z" * 25, id="the last"),
        pytest.param(1469918176385, bytes(range(16)), "01ARYZ6S41" + ALPHABET[:16], id="the specification's time"),
    ],
)
def test_known_references(now_ms: int, randomness: bytes, reference: str) -> None:
    assert new_reference(now_ms, randomness) == reference


@pytest.mark.parametrize(("now_ms", "size"), [(-1, 16), (2**48, 16), (0, 15), (0, 17)])
def test_what_does_not_fit_is_refused(now_ms: int, size: int) -> None:
    with pytest.raises(ValueError, match="48 bits"):
        new_reference(now_ms, bytes(size))


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**48 - 1), min_size=2, max_size=2))
def test_references_sort_by_time(moments: list[int]) -> None:
    first, second = sorted(moments)
    assert first == second or new_reference(first, b"\xff" * 16) < new_reference(second, bytes(16))


def test_no_reference_is_given_twice() -> None:
    references = References()
    given_ones = {references.new() for _ in range(100_000)}
    assert len(given_ones) == 100_000
    assert {len(one) for one in given_ones} == {LENGTH}


def test_a_reference_tells_when_it_was_given() -> None:
    before = time.time_ns() // 1_000_000
    reference = References().new()
    assert before <= number(reference[:10]) <= time.time_ns() // 1_000_000


def test_time_is_looked_at_for_each_reference() -> None:
    moments = iter([5, 5, 6])
    references = References(lambda: next(moments), lambda size: bytes(size))
    assert [number(references.new()[:10]) for _ in range(3)] == [5, 5, 6]


def test_every_character_of_the_random_part_is_as_likely() -> None:
    counts = dict.fromkeys(ALPHABET, 0)
    for byte in range(256):
        for character in new_reference(0, bytes([byte]) * 16)[10:]:
            counts[character] += 1
    assert set(counts.values()) == {256 * 16 // 32}
