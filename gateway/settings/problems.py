"""What is wrong in the configuration, and where: the one shape in which every room reports it.

The reader of files, the models and each room's compiler put their findings into the same list, so that
`gateway check` can print all of them at once. A compiler is handed a `Report` scoped to its block; it
never knows in which file, or how deep in it, the block stands.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

KeyPath = tuple[str | int, ...]

_LONGEST_SHOWN = 64
_is_plain = re.compile(r"[\w$*./@…-]+").fullmatch
_is_key = re.compile(r"[\w$*/@…-]+").fullmatch


def tidy(path: Path) -> Path:
    """The path as a message shows it: `programs/../users` is `users`, unless a link makes that another file."""
    if "\0" in str(path):
        return path
    shorter = os.path.normpath(path)
    return Path(shorter) if os.path.realpath(shorter) == os.path.realpath(path) else path


@dataclass(frozen=True, slots=True)
class Place:
    """A point in a file; line and column count from 1."""

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        file = str(tidy(self.file))
        # A file name may hold line ends, and bytes that are no text: they are shown escaped.
        return f"{file if file.isprintable() else json.dumps(file)[1:-1]}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: where, the key, what is wrong and what is allowed. A warning does not stop `serve`."""

    place: Place
    path: KeyPath
    wrong: str
    allowed: str = ""
    warning: bool = False

    @property
    def key(self) -> str:
        """The key as people write it: `lead.fields.dob.min_age`, `programs[0]`."""
        return dotted(self.path)

    def __str__(self) -> str:
        kind = "warning: " if self.warning else ""
        key = f"{self.key}: " if self.path else ""
        return f"{self.place}: {kind}{key}{self.wrong}{'; ' + self.allowed if self.allowed else ''}"


def dotted(path: KeyPath) -> str:
    """`("lead", "fields", 0, "type")` as `lead.fields[0].type`; a key that is no plain word stands in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = shown(part, plain=_is_key)
            text += f".{word}" if text else word
    return text


def shown(word: str, *, plain: Callable[[str], object] = _is_plain) -> str:
    """A key or a word of the file as a message may show it: on one line, of bounded length."""
    if len(word) > _LONGEST_SHOWN:
        word = word[:_LONGEST_SHOWN] + "…"
    return word if plain(word) else json.dumps(word, ensure_ascii=not word.isprintable())


#: Where a path stands in its file: of the value, or (key=True) of the key that names it. The nearest
#: ancestor that exists answers for a path that does not.
Locate = Callable[[KeyPath, bool], Place]


@dataclass(frozen=True, slots=True)
class Report:
    """Takes findings about everything below one point (`base`) of one file."""

    locate: Locate
    problems: list[Problem]
    base: KeyPath = field(default=())

    def at(self, *path: str | int) -> Report:
        """The same report, scoped deeper."""
        return Report(self.locate, self.problems, self.base + path)

    def error(self, wrong: str, allowed: str = "", *, key: bool = False) -> None:
        """Record that what stands here is wrong; `key` points at the key instead of its value."""
        self.problems.append(Problem(self.locate(self.base, key), self.base, wrong, allowed))

    def warn(self, wrong: str, allowed: str = "", *, key: bool = False) -> None:
        """Record that what stands here is doubtful (an error only under `check --strict`)."""
        self.problems.append(Problem(self.locate(self.base, key), self.base, wrong, allowed, warning=True))

    def place(self, *path: str | int, key: bool = False) -> Place:
        """Where something below stands, for texts such as `same key as yes in line 12`."""
        return self.locate(self.base + path, key)

    @property
    def failed(self) -> bool:
        """Whether an error (not a warning) stands anywhere in the list."""
        return any(not problem.warning for problem in self.problems)


def loose_report() -> Report:
    """A report that belongs to no file, for tests and for blocks made in memory."""
    nowhere = Place(Path("-"), 1, 1)
    return Report(lambda path, key: nowhere, [])
