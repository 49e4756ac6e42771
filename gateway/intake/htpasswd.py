"""htpasswd files: who may sign in. One `name:hash` a line; empty lines and lines that begin with # are skipped.

A user has one line, or two while a password is being changed: both are good (the present and the next secret).
The file must not be readable by everybody. All that is wrong is reported at once with line and column; a hash is
never quoted.

Each sign-in costs the same, whoever it is: for every kind of hash in the file (scheme and parameters), as many
verifications as the user with the most lines of that kind needs. Where a user has fewer, and for users who do not
exist, decoys are verified. Otherwise the time of a refusal would tell which names exist, and whose secret is
being changed.
"""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from gateway.intake.passwords import ALLOWED, Cost, StoredHash, decoy, normal, parse_hash, unfit, weakness
from gateway.settings.problems import Place, Problem, Report, tidy

#: Lines a user may have: the present secret and the next one.
MOST_LINES = 2
_MOST_BYTES = 4 * 1024 * 1024
_MANY_KINDS = 2


@dataclass(frozen=True, slots=True)
class SignIn:
    """What one sign-in verifies: `hashes` in this order, all of them; `lines` says whose each is.

    lines: 1 for the user's first line, 2 for the second, 0 for a decoy. known: whether the user exists.
    """

    hashes: tuple[StoredHash, ...] = field(repr=False)
    lines: tuple[int, ...]
    known: bool


@dataclass(frozen=True, slots=True)
class Users:
    """The users of one file, in file order."""

    names: tuple[str, ...]
    _known: Mapping[str, SignIn] = field(repr=False)
    _stranger: SignIn = field(repr=False)

    def sign_in(self, name: str) -> SignIn:
        """What to verify for this name (NFC), known or not."""
        return self._known.get(name, self._stranger)


def compile_users(path: Path, report: Report) -> Users:
    """Read an htpasswd file; what is wrong with it goes into the report (`report` points at the setting)."""
    hashes: dict[str, list[StoredHash]] = {}
    path = tidy(path)
    text = _read(path, report)
    # Not splitlines(): it would split at control characters, which are to be reported.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            _take(line.removesuffix("\r"), hashes, _Line(path, number, report.problems))
    if not hashes and not report.failed:
        report.warn(f"no user can sign in: there is none in {path}", "lines name:hash")
    kinds = {one.cost for own in hashes.values() for one in own}
    if len(kinds) > _MANY_KINDS:
        report.warn(
            f"{path.name} has {len(kinds)} kinds of hashes, and each first sign-in costs one of every kind",
            "hashes made with the same scheme and cost",
        )
    return _users(hashes)


def unfit_name(name: str) -> str:
    """Why a text can be no user name in an htpasswd file; "" when it can."""
    if why := unfit(name):
        return why
    if name != name.strip():
        return "begins or ends with a space"
    if ":" in name:
        return "has a colon"
    return "begins with #" if name.startswith("#") else ""


@dataclass(frozen=True, slots=True)
class _Line:
    """Takes findings about one line."""

    file: Path
    number: int
    problems: list[Problem]

    def error(self, column: int, wrong: str, allowed: str = "") -> None:
        self.problems.append(Problem(Place(self.file, self.number, column), (), wrong, allowed))

    def warn(self, column: int, wrong: str, allowed: str = "") -> None:
        self.problems.append(Problem(Place(self.file, self.number, column), (), wrong, allowed, warning=True))


def _read(path: Path, report: Report) -> str:
    """The file's text; "" when it cannot be used, which is then reported."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            report.error(f"{path} is no file", "an htpasswd file")
            return ""
        if status.st_size > _MOST_BYTES:
            report.error(f"{path} has more than {_MOST_BYTES} bytes")
            return ""
        data = path.read_bytes()
    except OSError as error:
        report.error(f"{path} cannot be read: {error.strerror}", "an htpasswd file")
        return ""
    if status.st_mode & stat.S_IWOTH:
        report.error(f"{path} can be written by everybody", f"chmod 640 {path}, or 600")
    elif status.st_mode & stat.S_IROTH:
        # Not an error: version control keeps no such modes, and hashes are slow to guess from.
        report.warn(f"{path} can be read by everybody", f"chmod 640 {path}, or 600")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The line is counted on bytes: what stands before it may be broken as well.
        line = data.count(b"\n", 0, error.start) + 1
        _Line(path, line, report.problems).error(1, "is not UTF-8")
        return ""


def _take(line: str, hashes: dict[str, list[StoredHash]], at: _Line) -> None:
    """Add what one line says."""
    name, colon, text = line.partition(":")
    if not colon:
        at.error(1, "is no line of an htpasswd file", "name:hash")
        return
    name, text = normal(name), text.rstrip(" \t")
    if why := unfit_name(name):
        at.error(1, f"the user name {why}", "1 to 256 bytes, without colon, control characters or spaces around it")
        return
    found = parse_hash(text)
    column = len(line.partition(":")[0]) + 2
    if isinstance(found, str):
        at.error(column, f"the hash of user {name} {found}", ALLOWED)
        return
    if why := weakness(found.cost):
        at.warn(column, f"the hash of user {name} {why}", "19456 KiB and 2 passes, or more: gateway hash-password")
    own = hashes.setdefault(name, [])
    if len(own) == MOST_LINES:
        at.error(1, f"user {name} has more than {MOST_LINES} lines", "the present secret and the next one")
        return
    if found in own:
        at.warn(1, f"user {name} has the same line twice")
    own.append(found)


def _users(hashes: Mapping[str, list[StoredHash]]) -> Users:
    """Lay out everybody's sign-in after one plan, so that all cost the same."""
    most: Counter[Cost] = Counter()
    for own in hashes.values():
        most |= Counter(one.cost for one in own)
    plan = tuple(cost for cost in sorted(most) for _ in range(most[cost]))
    decoys = tuple(decoy(cost) for cost in plan)
    known = {name: _sign_in(own, decoys) for name, own in hashes.items()}
    return Users(tuple(hashes), MappingProxyType(known), SignIn(decoys, (0,) * len(decoys), known=False))


def _sign_in(own: Iterable[StoredHash], decoys: Iterable[StoredHash]) -> SignIn:
    left = list(enumerate(own, 1))
    hashes, lines = [], []
    for stand_in in decoys:
        line, chosen = next(((line, one) for line, one in left if one.cost == stand_in.cost), (0, stand_in))
        if line:
            left.remove((line, chosen))
        hashes.append(chosen)
        lines.append(line)
    return SignIn(tuple(hashes), tuple(lines), known=True)
