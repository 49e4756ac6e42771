"""Who is asking: HTTP basic authentication of partners (RFC 7617), without telling strangers anything.

Three layers, from cheap to dear. An `Authenticator` belongs to one set of users and remembers headers that were
good (`known`, some 2 µs). The process's one `Verifier` remembers credentials that were good, under a hash of the
credential and of the stored hash: that survives a reload of the configuration, and a changed secret is forgotten
at once. What neither knows is hashed on a few threads behind a short queue, never on the event loop; the same
credential asked for many times at once is hashed once. Only good credentials are remembered, under keyed hashes
with a key that lives as long as the process: no password is kept.

Hashing is slow on purpose, so a stranger must not have all of it:

- one client address (of IPv6, one /64: a host has all of it) has a few verifications open at once, no more;
- names that nobody has fill a part of the queue, the rest is for users that exist. While a flood from many addresses
  has filled that part, `busy` tells that a name is nobody's; partners' names are guessable anyway, and being locked
  out costs them more;
- a good header that is in use is verified anew, in the background, before it is forgotten: who submits all the time
  never stands in the queue. That asks the same hashes as a sign-in, so a secret that was taken away is not renewed.

The threads run at low priority where the system has that (Linux): a flood of wrong passwords takes what the event
loop leaves. Slowing down who fails often is for `rates`, not done here.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import sys
import threading
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from cachetools import TTLCache

from gateway.datapost.reasons import Reason
from gateway.intake.address import UNKNOWN, neighbourhood
from gateway.intake.htpasswd import SignIn, Users
from gateway.intake.passwords import encoded, normal, unfit

_REMEMBERED_S = 300.0
_RENEWED_S = _REMEMBERED_S / 3  # so long before it is forgotten, a use of it has it verified anew
_MOST_REMEMBERED = 10_000
_THREADS, _MOST_WAITING, _MOST_OF_ADDRESS = 2, 32, 4
_NICE = 10


@dataclass(frozen=True, slots=True)
class Credential:
    """Somebody who may submit. line: which of the user's lines was used, 1 or 2."""

    user: str
    line: int
    result: ClassVar[str] = "ok"


@dataclass(frozen=True, slots=True)
class Denied:
    """Somebody who may not. result: the label of the metric; not for the partner, whom it would tell names."""

    reason: Reason
    result: str


MISSING = Denied(Reason.UNAUTHORIZED, "missing")
MALFORMED = Denied(Reason.UNAUTHORIZED, "malformed")
UNKNOWN_USER = Denied(Reason.UNAUTHORIZED, "unknown_user")
WRONG_PASSWORD = Denied(Reason.UNAUTHORIZED, "wrong_password")
BUSY = Denied(Reason.OVERLOADED, "busy")

#: Every value of `result`.
RESULTS = (Credential.result, *(one.result for one in (MISSING, MALFORMED, UNKNOWN_USER, WRONG_PASSWORD, BUSY)))


def decode_basic(authorization: str) -> tuple[str, str] | None:
    """User and password (NFC) of an Authorization header's value; None when it is not basic or not clean.

    One spelling of each credential: canonical base64 with its padding, in UTF-8 or, only if it is not that,
    latin-1. Neither part may be empty, longer than 256 bytes, or have control characters; the first colon splits.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = token.lstrip(" ").encode("ascii")
        data = b64decode(raw, validate=True)
    except (UnicodeEncodeError, Base64Error):
        return None
    if b64encode(data) != raw:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    user, colon, password = text.partition(":")
    if not colon or unfit(user) or unfit(password):
        return None
    return normal(user), normal(password)


class Verifier:
    """Compares passwords with their hashes; one for the process, used from one event loop."""

    def __init__(
        self,
        *,
        threads: int = _THREADS,
        most_waiting: int = _MOST_WAITING,
        most_of_address: int = _MOST_OF_ADDRESS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`most_waiting` sign-ins may wait for a thread, half of them of unknown users; `most_of_address` may be open
        of one client address. clock: seconds that only go forward.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords", initializer=_lower_priority)
        self._most_open = threads + most_waiting
        self._most_of_strangers = threads + most_waiting // 2
        self._most_of_address = most_of_address
        #: Seconds; what `remembered` gives is of this clock.
        self.clock = clock
        self._key = secrets.token_bytes(32)
        self._good: TTLCache[bytes, float] = TTLCache(_MOST_REMEMBERED, _REMEMBERED_S, timer=clock)
        self._open: dict[bytes, asyncio.Future[int]] = {}
        self._of_strangers = 0
        self._of_address: Counter[str] = Counter()
        self._closed = False
        #: Sign-ins that were handed to the threads since the start.
        self.hashed = 0

    @property
    def waiting(self) -> int:
        """Sign-ins on the threads or waiting for one."""
        return len(self._open)

    def remembered(self, user: str, password: str, sign_in: SignIn) -> tuple[int, float] | None:
        """The line whose secret this is known to be, and until when that holds; None when it is not known."""
        for stored, line in zip(sign_in.hashes, sign_in.lines, strict=True):
            if line and (until := self._good.get(self._digest(user, password, stored.text))) is not None:
                return line, until
        return None

    async def verify(self, user: str, password: str, sign_in: SignIn, address: str) -> int | None:
        """The line whose secret this is, 0 for none; None when too many are waiting already, or too many of `address`.

        Takes the time of all of the sign-in's hashes, whatever comes out. Cancelling it does not stop the work,
        which others may be waiting for.
        """
        work = self._begin(user, password, sign_in, neighbourhood(address))
        if work is None:
            return None
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if work.cancelled() and not (task is not None and task.cancelling()):
                return None  # `close` cancelled the work, nobody this task
            raise

    def renew(self, user: str, password: str, sign_in: SignIn, then: Callable[[], None]) -> bool:
        """Verify a known credential anew, in the background and of nobody's address; `then` is called at its end.

        False, and nothing begun, when too many are waiting.
        """
        work = self._begin(user, password, sign_in, "")
        if work is not None:
            work.add_done_callback(lambda done: then())
        return work is not None

    def _begin(self, user: str, password: str, sign_in: SignIn, whose: str) -> asyncio.Future[int] | None:
        """The work on this credential, begun if it was not; None when there is no room. whose: "" for our own."""
        digest = self._digest(user, password, *(stored.text for stored in sign_in.hashes))
        if (work := self._open.get(digest)) is not None:
            return work
        stranger = not sign_in.known
        if self._closed or len(self._open) >= self._most_open:
            return None
        if stranger and self._of_strangers >= self._most_of_strangers:
            return None
        if whose and self._of_address[whose] >= self._most_of_address:
            return None
        self.hashed += 1
        self._of_strangers += stranger
        self._of_address[whose] += 1
        work = asyncio.get_running_loop().run_in_executor(self._pool, _matching_line, sign_in, encoded(password))
        self._open[digest] = work

        def settle(done: asyncio.Future[int]) -> None:
            del self._open[digest]
            self._of_strangers -= stranger
            self._of_address[whose] -= 1
            if not self._of_address[whose]:
                del self._of_address[whose]
            if done.cancelled() or done.exception() is not None:
                return
            if line := done.result():
                stored = sign_in.hashes[sign_in.lines.index(line)]
                self._good[self._digest(user, password, stored.text)] = self.clock() + _REMEMBERED_S

        work.add_done_callback(settle)
        return work

    def close(self) -> None:
        """Start nothing more; who is waiting is told None."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _digest(self, *parts: str) -> bytes:
        # No part has a NUL, so no two lists of parts make one text.
        return hmac.digest(self._key, "\0".join(parts).encode(), "sha256")


class Authenticator:
    """Tells who is asking, for one set of users. After a reload there is a new one, with the same verifier."""

    def __init__(self, users: Users, verifier: Verifier) -> None:
        self._users = users
        self._verifier = verifier
        self._clock = verifier.clock
        self._keyed = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=16)
        #: Oldest first. Only who knows a good credential adds to it, so nothing cleverer is needed to bound it.
        self._headers: dict[bytes, tuple[Credential, float]] = {}
        self._renewing: set[bytes] = set()

    def known(self, authorization: str | None) -> Credential | None:
        """Whose header this is when it was good a short while ago; None says nothing. Does not wait."""
        if authorization is None:
            return None
        digest = self._digest(authorization)
        found = self._headers.get(digest)
        if found is None:
            return None
        left_s = found[1] - self._clock()
        if left_s <= _RENEWED_S:
            if left_s <= 0:
                return None
            if digest not in self._renewing:
                self._renew(authorization, digest)
        return found[0]

    async def check(self, authorization: str | None, address: str = UNKNOWN) -> Credential | Denied:
        """Whose header this is, or why nobody's. Takes as long for one user as for another, or for none.

        address: the client's; all that are not known count as one.
        """
        if authorization is None:
            return MISSING
        if (known := self.known(authorization)) is not None:
            return known
        if (pair := decode_basic(authorization)) is None:
            return MALFORMED
        user, password = pair
        sign_in = self._users.sign_in(user)
        if (remembered := self._verifier.remembered(user, password, sign_in)) is not None:
            line, until = remembered
            return self._keep(self._digest(authorization), Credential(user, line), until)
        found = await self._verifier.verify(user, password, sign_in, address)
        if found is None:
            return BUSY
        if found:
            return Credential(user, found)
        return WRONG_PASSWORD if sign_in.known else UNKNOWN_USER

    def _keep(self, digest: bytes, credential: Credential, until: float) -> Credential:
        self._headers.pop(digest, None)
        if len(self._headers) >= _MOST_REMEMBERED:
            del self._headers[next(iter(self._headers))]
        self._headers[digest] = (credential, until)
        return credential

    def _renew(self, authorization: str, digest: bytes) -> None:
        """Have a known header verified anew, once at a time; where there is no room, its next use tries again."""
        if (pair := decode_basic(authorization)) is None:  # it was good once, so it is one
            return
        user, password = pair
        sign_in = self._users.sign_in(user)

        def then() -> None:
            self._renewing.discard(digest)
            if (remembered := self._verifier.remembered(user, password, sign_in)) is not None:
                line, until = remembered
                self._keep(digest, Credential(user, line), until)

        if self._verifier.renew(user, password, sign_in, then):
            self._renewing.add(digest)

    def _digest(self, authorization: str) -> bytes:
        # The parser gives bytes beyond ASCII as surrogates; such a header is never good, but it is looked up.
        keyed = self._keyed.copy()
        keyed.update(authorization.encode("utf-8", "surrogatepass"))
        return keyed.digest()


def _matching_line(sign_in: SignIn, password: bytes) -> int:
    """Verify all of a sign-in's hashes; the user's line that matched, 0 for none."""
    found = 0
    for stored, line in zip(sign_in.hashes, sign_in.lines, strict=True):
        if stored.matches(password) and line and not found:
            found = line
    return found


def _lower_priority() -> None:
    """Let this thread run on what the others leave."""
    if sys.platform == "linux":  # elsewhere the call would be about the whole process
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + _NICE, 19))
