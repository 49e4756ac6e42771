"""Encryption at rest: what of a lead stands in the journal, stands there sealed.

AES-256-GCM throughout. Each record has a data key of its own, which seals its body, members and answer, and which is
kept wrapped by a key of the ring. Erasing a record key therefore erases the record wherever copies of it lie, and
rotation wraps record keys anew without touching what they sealed. Associated data are the reference and the column:
bytes moved to another row or column do not open. Nonces are random, 96 bits; a data key seals a handful of texts and
a ring key wraps far fewer than the 2^32 record keys for which NIST SP 800-38D section 8.3 allows random nonces
(at a hundred leads a second, more than a year; `rotate` starts anew).

Decides formats and keys; who keeps the bytes decides nothing about them.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable
from hashlib import sha256

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.datapost.values import DataPostResponse
from gateway.journal.operations import RecordKey

KEY_BYTES = 32
_NONCE = 12
_DIGITS = 43  # of 32 bytes in base64, without padding
_hexadecimal = re.compile(r"[0-9A-Fa-f]{64}").fullmatch
_base64 = re.compile(r"[0-9A-Za-z+/_-]{43}=?").fullmatch


class BadKey(ValueError):
    """A text of the key ring is no key. Never holds the text."""


class KeyMissing(Exception):
    """The ring has no key of this id. `key_id` says which: it stands in the row, and is no secret."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the key ring has no key {key_id}")
        self.key_id = key_id


class SealBroken(Exception):
    """Sealed bytes do not open: changed, cut, of another row or column, or sealed by another key."""


def parse_key(text: str) -> bytes:
    """32 bytes from 64 hexadecimal digits or from base64 (either alphabet, padded or not). Raises BadKey."""
    text = text.strip()
    if _hexadecimal(text):
        return bytes.fromhex(text)
    if _base64(text):
        return base64.urlsafe_b64decode(text[:_DIGITS].replace("+", "-").replace("/", "_") + "=")
    raise BadKey(f"is no key: {KEY_BYTES} bytes as 64 hexadecimal digits or in base64")


def new_key() -> str:
    """A fresh key as `parse_key` reads it."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode("ascii")


class KeyRing:
    """Keys by id. The first seals what is new, all open. The id is derived from the key, so it cannot be confused."""

    __slots__ = ("_aeads", "current")

    def __init__(self, keys: Iterable[bytes]) -> None:
        """keys: 32 bytes each, at least one."""
        self._aeads = {_key_id(key): AESGCM(key) for key in reversed(list(keys))}
        if not self._aeads:
            raise BadKey("holds no key; one is needed")
        self.current = next(reversed(self._aeads))

    @classmethod
    def load(cls, *texts: str) -> KeyRing:
        """From texts of one key a line; empty lines and those that begin with # do not count. Raises BadKey."""
        lines = [line for text in texts for line in text.splitlines()]
        return cls(parse_key(line) for line in lines if line.strip() and not line.lstrip().startswith("#"))

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, the current one first."""
        return tuple(reversed(self._aeads))

    def aead(self, key_id: str) -> AESGCM:
        """The key of this id. Raises KeyMissing."""
        try:
            return self._aeads[key_id]
        except KeyError:
            raise KeyMissing(key_id) from None


class Cipher:
    """One record's data key, open: seals and opens this record's columns."""

    __slots__ = ("_aead", "_reference", "key")

    def __init__(self, reference: str, key: RecordKey, aead: AESGCM) -> None:
        self._reference = reference
        self._aead = aead
        self.key = key

    def seal(self, column: str, plain: bytes) -> bytes:
        """Nonce, cipher text and tag: 28 bytes more than plain."""
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, plain, f"{self._reference}/{column}".encode())

    def open(self, column: str, sealed: bytes) -> bytes:
        """What was sealed. Raises SealBroken."""
        return _opened(self._aead, self._reference, column, sealed)


class Sealer:
    """Makes and opens records' ciphers under one ring."""

    __slots__ = ("_aead", "ring")

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self._aead = ring.aead(ring.current)

    def fresh(self, reference: str) -> Cipher:
        """A cipher with a new data key, wrapped by the ring's current key."""
        randomness = os.urandom(KEY_BYTES + _NONCE)
        data_key, nonce = randomness[:KEY_BYTES], randomness[KEY_BYTES:]
        wrapped = nonce + self._aead.encrypt(nonce, data_key, f"{reference}/key".encode())
        return Cipher(reference, RecordKey(self.ring.current, wrapped), AESGCM(data_key))

    def cipher(self, reference: str, key: RecordKey) -> Cipher:
        """A kept record key, unwrapped. Raises KeyMissing or SealBroken."""
        return Cipher(reference, key, AESGCM(self._unwrapped(reference, key)))

    def rewrapped(self, reference: str, key: RecordKey) -> RecordKey:
        """The same data key under the ring's current key; `key` itself when it is there already."""
        if key.key_id == self.ring.current:
            return key
        data_key, nonce = self._unwrapped(reference, key), os.urandom(_NONCE)
        return RecordKey(self.ring.current, nonce + self._aead.encrypt(nonce, data_key, f"{reference}/key".encode()))

    def _unwrapped(self, reference: str, key: RecordKey) -> bytes:
        return _opened(self.ring.aead(key.key_id), reference, "key", key.wrapped)


def pack_members(members: DataPostResponse, legacy_id: str = "") -> bytes:
    """The six members and the legacy's own ID as bytes, to be sealed as `members`."""
    values = [
        members.valid,
        members.uniqueid,
        members.sale_amount,
        members.customerid,
        members.email,
        members.note,
        legacy_id,
    ]
    try:
        return orjson.dumps(values)
    except TypeError:  # a text that is not Unicode
        return json.dumps(values).encode("ascii")


def unpack_members(packed: bytes) -> tuple[DataPostResponse, str]:
    """What `pack_members` was given."""
    # The stdlib's reader: it takes the lone surrogates that orjson refuses, and replays are not that frequent.
    valid, uniqueid, sale_amount, customerid, email, note, legacy_id = json.loads(packed)
    members = DataPostResponse(
        valid=valid, uniqueid=uniqueid, sale_amount=sale_amount, customerid=customerid, email=email, note=note
    )
    return members, legacy_id


def _key_id(key: bytes) -> str:
    if len(key) != KEY_BYTES:
        raise BadKey(f"is a key of {len(key)} bytes; {KEY_BYTES} are needed")
    return sha256(b"data-post gateway: journal key\0" + key).hexdigest()[:8]


def _opened(aead: AESGCM, reference: str, column: str, sealed: bytes) -> bytes:
    try:
        return aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], f"{reference}/{column}".encode())
    except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
        raise SealBroken(f"{column} of {reference} does not open") from None
