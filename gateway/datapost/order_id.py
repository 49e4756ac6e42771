"""The uniqueid member: which legacy IDs are shown as they are, and what stands for the others.

An ID is shown when it fits: at most 64 characters that need no escape in JSON or XML, and matching the
program's `order_id_pattern`. Any other one is mapped, never cut: the first 26 base32 characters (RFC 4648
section 6, 130 bits) of HMAC-SHA256 over program, NUL and legacy ID.

A pattern must take what the gateway makes itself. RE2 cannot be asked whether one language lies within
another, so the proof is made of two halves. At compile time every character of the alphabet is tried at
every position, with some thousand whole IDs besides; that finds a pattern which forbids a character, a
length, a first digit or a share of the IDs worth speaking of. What it cannot find (a pattern that refuses
some rare ID) is caught when it happens: an ID that we made is matched again before it goes out, and where it
fails the outcome is unknown. So no ID that breaks the pattern is ever sent.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from hmac import digest
from typing import NamedTuple

from gateway.settings.models import UniqueIdSettings
from gateway.settings.patterns import compile_pattern
from gateway.settings.problems import Report

MOST = 64
MAPPED = 26
#: RFC 4648 section 6.
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
#: Crockford's, of which ULIDs are made: 26 characters, the first of them at most 7 (48 + 80 bits in 130).
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SAMPLES = 1500

#: Whether a text would need an escape in JSON or XML.
needs_escape = re.compile(r'[<>&"\\]').search


class Shown(NamedTuple):
    """What the uniqueid member says, and whether that stands for a legacy ID that did not fit."""

    text: str
    mapped: bool


#: (the legacy's ID, the reference) -> what is shown; None: there is nothing to show, the outcome is unknown.
ShowId = Callable[[str | None, str], Shown | None]
Matches = Callable[[str], bool]


def compile_order_id(settings: UniqueIdSettings, *, program: str, id_key: bytes | None, report: Report) -> ShowId:
    """Compile the block; reports a pattern that is none or that refuses what the gateway makes itself."""
    at_pattern = report.at("order_id_pattern")
    matches = compile_pattern(settings.order_id_pattern, at_pattern)
    use_reference = settings.when_missing == "reference"
    if matches is None:
        return _nothing
    if use_reference:
        _prove(matches, mapping=id_key is not None, report=at_pattern)
    if id_key is None:
        at_pattern.warn(
            "without id_key a legacy ID that does not match is treated as missing", "id_key in the gateway's file"
        )
    prefix = program.encode() + b"\0"

    def show(legacy: str | None, reference: str) -> Shown | None:
        mapped = False
        shown = reference if use_reference else None
        if legacy:
            if fits(legacy, matches):
                return Shown(legacy, False)
            if id_key is not None:
                shown, mapped = keyed(id_key, prefix + legacy.encode("utf-8", "surrogatepass")), True
        if shown is None or not matches(shown):
            return None
        return Shown(shown, mapped)

    return show


def fits(legacy: str, matches: Matches) -> bool:
    """Whether a legacy ID can be shown as it is."""
    # Letters and digits need neither look.
    if not legacy.isalnum() and (not legacy.isprintable() or needs_escape(legacy)):
        return False
    return len(legacy) <= MOST and matches(legacy)


def keyed(key: bytes, message: bytes) -> str:
    """26 characters that stand for `message` and, without the key, do not tell it."""
    return b32encode(digest(key, message, "sha256"))[:MAPPED].decode("ascii")


def _nothing(legacy: str | None, reference: str) -> Shown | None:
    """What a block that could not be compiled shows."""
    return None


def _prove(matches: Matches, *, mapping: bool, report: Report) -> None:
    made = [("a reference", references())]
    if mapping:
        made.append(("a mapped ID", mapped_ids()))
    for what, ids in made:
        refused = next((one for one in ids if not matches(one)), None)
        if refused is not None:
            report.error(
                f"refuses {what} such as {refused}",
                "a pattern that takes 26 characters of A-Z and 0-9 in any order, or when_missing: unknown",
            )


@cache
def references() -> tuple[str, ...]:
    """ULIDs for the proof: each character at each position, then whole ones, always the same."""
    return tuple(_samples(CROCKFORD, first=CROCKFORD[:8]))


@cache
def mapped_ids() -> tuple[str, ...]:
    """Mapped IDs for the proof, likewise."""
    return tuple(_samples(BASE32, first=BASE32))


def _samples(alphabet: str, *, first: str) -> Iterator[str]:
    for letter in alphabet:
        yield (letter if letter in first else first[0]) + letter * (MAPPED - 1)
    bodies = [_spread(alphabet, first, number) for number in range(_SAMPLES)]
    yield from bodies
    for position in range(MAPPED):
        for letter in first if position == 0 else alphabet:
            body = bodies[position]
            yield body[:position] + letter + body[position + 1 :]


def _spread(alphabet: str, first: str, number: int) -> str:
    octets = sha256(number.to_bytes(4, "big")).digest()
    return first[octets[0] % len(first)] + "".join(alphabet[octet % 32] for octet in octets[1:MAPPED])
