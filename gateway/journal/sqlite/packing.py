"""How claims and index hashes stand in their columns: lists of short byte strings, each behind its length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.journal.values import Claim

_TIME = 8  # bytes of a time in milliseconds


@dataclass(frozen=True, slots=True)
class HeldClaim:
    """A claim as its row keeps it. until_ms: the end of its window."""

    rule: str
    key: bytes
    until_ms: int


def pack_claims(claims: Iterable[Claim], now_ms: int) -> bytes:
    """Claims that are made now."""
    parts: list[bytes] = []
    for claim in claims:
        rule = claim.rule.encode()
        until = (now_ms + claim.window_ms).to_bytes(_TIME, "big")
        parts.append(b"%c%s%c%s%s" % (len(claim.key), claim.key, len(rule), rule, until))
    return b"".join(parts)


def repack_claims(claims: Iterable[HeldClaim]) -> bytes | None:
    """Claims that are left; None when none is."""
    return b"".join(pack_claims((Claim(held.rule, held.key, 0),), held.until_ms) for held in claims) or None


def unpack_claims(packed: bytes | None) -> list[HeldClaim]:
    """What was packed."""
    claims: list[HeldClaim] = []
    at = 0
    while packed and at < len(packed):
        key, at = _string(packed, at)
        rule, at = _string(packed, at)
        claims.append(HeldClaim(rule.decode(), key, int.from_bytes(packed[at : at + _TIME], "big")))
        at += _TIME
    return claims


def pack_hashes(hashes: Iterable[bytes]) -> bytes:
    """Index hashes in one string."""
    return b"".join([b"%c%s" % (len(one), one) for one in hashes])


def unpack_hashes(packed: bytes) -> set[bytes]:
    """What was packed."""
    hashes: set[bytes] = set()
    at = 0
    while at < len(packed):
        one, at = _string(packed, at)
        hashes.add(one)
    return hashes


def _string(packed: bytes, at: int) -> tuple[bytes, int]:
    end = at + 1 + packed[at]
    return packed[at + 1 : end], end


def short(key: bytes) -> int:
    """The number that `hashes` keeps for a key: its first eight bytes, signed."""
    return int.from_bytes(key[:8], "big", signed=True)
