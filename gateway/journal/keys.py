"""Keyed hashes: how the journal recognises a value, a lead or a partner's key without keeping any of them.

HMAC-SHA256 under `index_key` (phone numbers can be enumerated, so a plain hash would hide nothing), cut to 128 bits.
Each use has a key of its own, derived from index_key, the use and the normaliser's version: a hash of one use says
nothing about another, and hashes of another version never match by accident. What is hashed is framed by lengths, so
no two different lists of texts are hashed alike.

Decides what counts as the same: `normaliser` for the values of a typed field, `fingerprinter` for a whole lead. A
change of either is a new VERSION, and that, like a new index_key, needs `gateway journal reindex`; `Hashes.name` is
kept in the store so that neither goes unnoticed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from decimal import Decimal
from hmac import digest
from operator import itemgetter
from typing import Literal

from gateway.journal.values import Claim

#: Of `normaliser`, of the framing and of what a fingerprint is made of.
VERSION = 1
HASH_BYTES = 16

Pair = tuple[str, str]
Scope = Literal["program", "partner"]

_first = itemgetter(0)


def normaliser(kind: str) -> Callable[[object], str]:
    """For a field type's word: from a typed value (str, int, Decimal, date) to the text that is hashed.

    Two spellings that people take for the same are one text: addresses in any case (a mailbox that tells JANE from
    jane is not one that leads come from), text in any case, width and spacing. Words of an `enum` stay as they are.
    Empty text: there is nothing to hash.
    """
    return _BY_KIND.get(kind, _by_type)


def _by_type(value: object) -> str:
    if isinstance(value, str):
        return _folded(value)
    if isinstance(value, Decimal):
        # 10, 10.0 and 1E+1 are one number, -0 is 0.
        return format(value.normalize() + 0, "f") if value else "0"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _folded(text: str) -> str:
    if text.isascii():
        return " ".join(text.lower().split())
    # Folding may undo a normal form, so that is made last (Unicode section 3.13, D146).
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def _lowered(value: object) -> str:
    return unicodedata.normalize("NFC", str(value).strip().lower())


def _squeezed(value: object) -> str:
    return _folded(str(value)).replace(" ", "").replace("-", "")


_BY_KIND: dict[str, Callable[[object], str]] = {
    "email": _lowered,
    "phone": str,
    "enum": str,
    "postal_code": _squeezed,
}


class Hashes:
    """All keyed hashes under one index key."""

    __slots__ = ("_claim", "_fingerprint", "_idempotency", "_index", "name")

    def __init__(self, index_key: bytes, version: int = VERSION) -> None:
        """index_key: at least 16 bytes; ValueError otherwise."""
        if len(index_key) < 16:
            raise ValueError("index_key is shorter than 16 bytes")
        self._claim = _derived(index_key, version, "claim")
        self._fingerprint = _derived(index_key, version, "fingerprint")
        self._idempotency = _derived(index_key, version, "idempotency")
        self._index = _derived(index_key, version, "index")
        #: Version and a check value of the key: `1:3f9a0c12`. No secret.
        self.name = f"{version}:{_derived(index_key, version, 'name').hex()[:8]}"

    def index(self, field: str, text: str) -> bytes:
        """For search and erasure: one field's normalised text, whatever the program."""
        return _hash(self._index, _framed(field) + _framed(text))

    def idempotency(self, program: str, partner: str, key: str) -> bytes:
        """Of an Idempotency-Key, which a partner chose for one program."""
        return _hash(self._idempotency, _framed(program) + _framed(partner) + _framed(key))

    def fingerprinter(
        self, program: str, *, fields: Collection[str] | None = None, ignore: Collection[str] = ()
    ) -> Callable[[str, Iterable[Pair]], bytes]:
        """(partner, a lead's pairs) -> the hash of the lead as a whole.

        fields: names that count, None for all; ignore: names that do not. Text is trimmed, and what is empty then is
        absent, as it is for the fields' rules. The order of names does not matter; that of one name's values does.
        """
        key, ignored = self._fingerprint, frozenset(ignore)
        counted = None if fields is None else frozenset(fields)

        framed_program = _framed(program)

        def fingerprint(partner: str, pairs: Iterable[Pair]) -> bytes:
            if counted is not None:
                pairs = [pair for pair in pairs if pair[0] in counted]
            framed = [
                f"{len(name)}:{name}{len(trimmed)}:{trimmed}"
                for name, text in sorted(pairs, key=_first)
                if (trimmed := text.strip()) and name not in ignored
            ]
            return _hash(key, f"{framed_program}{_framed(partner)}{''.join(framed)}")

        return fingerprint

    def claimer(
        self, program: str, rule: str, fields: Sequence[str], *, window_ms: int, scope: Scope = "program"
    ) -> Callable[[str, Iterable[Pair]], Claim | None]:
        """(partner, (field, normalised text) pairs) -> the rule's claim; None when one of its fields has no text.

        fields: the rule's key, in the order in which it is configured; a repetition is configured the same way.
        """
        key, by_partner = self._claim, scope == "partner"
        head = "".join(map(_framed, (program, scope, rule)))

        def claim(partner: str, pairs: Iterable[Pair]) -> Claim | None:
            values = dict(pairs)
            framed = f"{head}{_framed(partner)}" if by_partner else head
            for name in fields:
                text = values.get(name)
                if not text:
                    return None
                framed += f"{len(name)}:{name}{len(text)}:{text}"
            return Claim(rule, _hash(key, framed), window_ms)

        return claim


def _derived(index_key: bytes, version: int, use: str) -> bytes:
    return digest(index_key, f"data-post gateway journal {version} {use}".encode(), "sha256")


def _framed(text: str) -> str:
    return f"{len(text)}:{text}"


def _hash(key: bytes, framed: str) -> bytes:
    # A lone surrogate (JSON can smuggle one in) is hashed as it is: refusing leads is not decided here.
    return digest(key, framed.encode("utf-8", "surrogatepass"), "sha256")[:HASH_BYTES]
