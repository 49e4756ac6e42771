"""Password hashes: which are taken, what they cost, and how one is computed and compared.

Decides the schemes (argon2id and bcrypt) and their bounds in both directions: a cheap hash gives the password
away with the file, an expensive one stops logins for everybody. Knows no users and no files (`htpasswd`), no
threads and no caches (`credentials`).

A password is hashed as the UTF-8 bytes of its NFC form (RFC 7617 2.1 and RFC 8265 4.2), however a client
spelled it. A hash that another tool made of other bytes never matches; `gateway hash-password` does it this way.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass, field

import bcrypt
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type, hash_secret, verify_secret

#: Most bytes of a user name or password, as UTF-8.
MAX_BYTES = 256
#: What `check` says is allowed in place of a hash.
ALLOWED = "argon2id, or bcrypt ($2a$, $2b$, $2y$) with cost 10 to 14; gateway hash-password makes one"

# OWASP's least memory for argon2id with one lane: 19 MiB and two passes.
_MEMORY_KIB, _PASSES, _LANES = 19 * 1024, 2, 1
_SALT_BYTES, _TAG_BYTES = 16, 32

# OWASP's equal choices run from 46 MiB in one pass to 7 MiB in five; all lie above both of these.
_LEAST_MEMORY_KIB, _LEAST_WORK_KIB = 7 * 1024, 35 * 1024
# Beyond these a login takes seconds, or two at once take the memory that leads need.
_MOST_MEMORY_KIB, _MOST_WORK_KIB, _MOST_LANES = 256 * 1024, 1024 * 1024, 16
_LEAST_BCRYPT, _MOST_BCRYPT = 10, 14
# bcrypt reads no further; the library raises for more.
_BCRYPT_BYTES = 72

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_ARGON2ID = re.compile(
    r"\$argon2id\$v=19\$m=([1-9][0-9]{0,9}),t=([1-9][0-9]{0,9}),p=([1-9][0-9]{0,9})"
    r"\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,171})"
)
# The last character of the 16-byte salt carries two bits, that of the 23-byte hash four.
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]")
_BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_BCRYPT_LAST_OF_SALT, _BCRYPT_LAST_OF_HASH = ".Oeu", ".CGKOSWaeimquy26"

#: How hashes begin that are not taken, and what they are.
_REFUSED = (
    ("$apr1$", "is Apache's MD5 (apr1)"),
    ("{SHA}", "is unsalted SHA-1"),
    ("{SSHA}", "is SHA-1"),
    ("$1$", "is MD5-crypt"),
    ("$5$", "is SHA-256-crypt"),
    ("$6$", "is SHA-512-crypt"),
    ("$7$", "is scrypt"),
    ("$scrypt$", "is scrypt"),
    ("$y$", "is yescrypt"),
    ("$gy$", "is yescrypt"),
    ("$2x$", "is bcrypt of a broken kind ($2x$)"),
    ("$2$", "is bcrypt of a broken kind ($2$)"),
    ("$argon2i$", "is argon2i"),
    ("$argon2d$", "is argon2d"),
)


@dataclass(frozen=True, slots=True, order=True)
class Cost:
    """What one verification takes: equal costs take equal time. parameters: m, t, p of argon2id; cost of bcrypt."""

    scheme: str
    parameters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredHash:
    """A password hash that is taken. Its text never prints."""

    text: str = field(repr=False)
    cost: Cost

    def matches(self, password: bytes) -> bool:
        """Whether this is the hash of the password (UTF-8, NFC). Takes tens of milliseconds, GIL released."""
        text = self.text.encode("ascii")
        if self.cost.scheme == "bcrypt":
            # The work is done in any case: the answer's time must not tell which scheme a user has.
            return bcrypt.checkpw(password[:_BCRYPT_BYTES], text) and len(password) <= _BCRYPT_BYTES
        try:
            return verify_secret(text, password, Type.ID)
        except VerifyMismatchError:
            return False


def parse_hash(text: str) -> StoredHash | str:
    """The hash, or what is wrong with it ("is unsalted SHA-1"); that never quotes it."""
    if found := _ARGON2ID.fullmatch(text):
        memory, passes, lanes = int(found[1]), int(found[2]), int(found[3])
        if not _canonical(found[4]) or not _canonical(found[5]):
            return "is no argon2id hash: its salt or digest is damaged"
        if memory > _MOST_MEMORY_KIB or memory * passes > _MOST_WORK_KIB or lanes > _MOST_LANES:
            return "costs too much: a login would take seconds, or the memory that leads need"
        if memory < 8 * lanes:
            return "is no argon2id hash: it has less than 8 KiB a lane"
        return StoredHash(text, Cost("argon2id", (memory, passes, lanes)))
    if found := _BCRYPT.fullmatch(text):
        rounds = int(found[1])
        if rounds < _LEAST_BCRYPT:
            return f"is bcrypt with cost {rounds}, which is too weak"
        if rounds > _MOST_BCRYPT:
            return f"is bcrypt with cost {rounds}, which takes seconds"
        return StoredHash(text, Cost("bcrypt", (rounds,)))
    for opening, name in _REFUSED:
        if text.startswith(opening):
            return name
    if text.startswith(("$2a$", "$2b$", "$2y$")):
        return "is a damaged bcrypt hash"
    if text.startswith("$argon2id$"):
        return "is a damaged argon2id hash, or of another version than 19"
    return "is no hash that is known here (plain text, or crypt)"


def weakness(cost: Cost) -> str:
    """What an operator should know about a hash that is taken all the same; "" for nothing."""
    if cost.scheme == "argon2id":
        memory, passes, _ = cost.parameters
        if memory < _LEAST_MEMORY_KIB or memory * passes < _LEAST_WORK_KIB:
            return f"is argon2id with {memory} KiB and {passes} passes, which is weak"
    return ""


def decoy(cost: Cost) -> StoredHash:
    """A hash of nobody's password, at this cost: verified for users who do not exist."""
    if cost.scheme == "bcrypt":
        rounds = cost.parameters[0]
        salt = _bcrypt_text(21) + secrets.choice(_BCRYPT_LAST_OF_SALT)
        return StoredHash(f"$2b${rounds:02}${salt}{_bcrypt_text(30)}{secrets.choice(_BCRYPT_LAST_OF_HASH)}", cost)
    memory, passes, lanes = cost.parameters
    salt, tag = (b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (_SALT_BYTES, _TAG_BYTES))
    return StoredHash(f"$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${tag}", cost)


def hash_password(password: str) -> str:
    """The argon2id hash of a password (19 MiB, 2 passes, 1 lane). Raises ValueError saying why it cannot be one."""
    if why := unfit(password):
        raise ValueError(f"the password {why}")
    salt = secrets.token_bytes(_SALT_BYTES)
    return hash_secret(encoded(password), salt, _PASSES, _MEMORY_KIB, _LANES, _TAG_BYTES, Type.ID).decode("ascii")


def unfit(text: str) -> str:
    """Why a text can be neither user name nor password in basic authentication; "" when it can (RFC 7617 2)."""
    if not text:
        return "is empty"
    if has_control(text):
        return "has control characters"
    try:
        size = len(encoded(text))
    except UnicodeEncodeError:
        return "is not Unicode"
    return f"is longer than {MAX_BYTES} bytes" if size > MAX_BYTES else ""


def encoded(text: str) -> bytes:
    """The bytes that stand for a user name or password. Raises UnicodeEncodeError for a lone surrogate."""
    return normal(text).encode()


def normal(text: str) -> str:
    """The one form of a user name or password: NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def has_control(text: str) -> bool:
    """Whether C0, DEL or C1 characters stand in it."""
    return _CONTROL.search(text) is not None


def _canonical(text: str) -> bool:
    """Whether it is unpadded base64 as an encoder writes it."""
    try:
        return b64encode(b64decode(text + "=" * (-len(text) % 4), validate=True)).rstrip(b"=").decode() == text
    except Base64Error:
        return False


def _bcrypt_text(size: int) -> str:
    return "".join(secrets.choice(_BCRYPT_ALPHABET) for _ in range(size))
