"""References: the ULID under which partner, platform, log and upstream know one submission.

A ULID is 128 bits as 26 characters of Crockford's base 32: 48 bits of POSIX milliseconds, then 80 random
bits. It sorts by time, needs no escaping anywhere, and fits the platform's Order ID. Two references of the
same millisecond are in no order: nothing of ours needs one, and a counter would tell partners our traffic.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Two characters for each 10-bit number.
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
#: A character for each byte, by its low five bits: 256 is a multiple of 32, so none is likelier than another.
_BY_BYTE = _ALPHABET.encode() * 8

#: Characters of a reference, and the random bytes that one takes.
LENGTH = 26
RANDOM_BYTES = 16


def new_reference(now_ms: int, randomness: bytes) -> str:
    """The ULID of a moment. Raises ValueError when an argument does not fit.

    now_ms: POSIX milliseconds (until the year 10889). randomness: 16 bytes, one for each character of the
    random part; five bits of each are used.
    """
    if not 0 <= now_ms < 1 << 48 or len(randomness) != RANDOM_BYTES:
        raise ValueError("a reference takes 48 bits of milliseconds and 16 random bytes")
    return _time_part(now_ms) + _random_part(randomness)


def _time_part(now_ms: int) -> str:
    return "".join(_PAIRS[now_ms >> shift & 1023] for shift in (40, 30, 20, 10, 0))


def _random_part(randomness: bytes) -> str:
    return randomness.translate(_BY_BYTE).decode("ascii")


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class References:
    """A source of references. The kernel is asked for each one: there is no batch that a fork could repeat."""

    __slots__ = ("_now_ms", "_prefix", "_prefix_ms", "_randomness")

    def __init__(self, now_ms: Callable[[], int] = _wall_ms, randomness: Callable[[int], bytes] = os.urandom) -> None:
        """now_ms: POSIX milliseconds; randomness: so many unpredictable bytes."""
        self._now_ms = now_ms
        self._randomness = randomness
        self._prefix_ms = -1
        self._prefix = ""

    def new(self) -> str:
        """A reference that was never given before."""
        now_ms = self._now_ms()
        if now_ms != self._prefix_ms:
            self._prefix, self._prefix_ms = _time_part(now_ms), now_ms
        return self._prefix + self._randomness(RANDOM_BYTES).translate(_BY_BYTE).decode("ascii")
