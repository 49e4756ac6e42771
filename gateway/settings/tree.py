"""YAML text -> plain data in which everything knows its place: the reader of configuration files.

It decides what a scalar is (by the YAML 1.2 core rules, so `no`, `1:30` and dates stay text), refuses what would
be read another way than it looks (duplicate keys, aliases, tags, merge keys, numbers with a leading zero), and
expands `${env:…}` and `${file:…}`. Which keys there are, and what they may hold, is left to the models.

It walks libyaml's events rather than composed nodes: depth and size are then bounded before anything is built,
and what was found before a syntax error is still reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import yaml
from yaml import CSafeLoader
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from gateway.settings.expansion import Unexpandable, expand, names_reference
from gateway.settings.files import Missing, Unreadable, read_text
from gateway.settings.problems import KeyPath, Place, Problem, Report
from gateway.settings.syntax import explain_syntax

#: Far above any real configuration; they bound memory and time.
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 100_000

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
_LONGEST_NUMBER = 40
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
#: What YAML allows in a stream (1.2 section 5.1); a NUL or an escape sequence of a terminal is none of it.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Mark = tuple[int, int]  # line, column; both from 1


@dataclass(frozen=True, slots=True)
class Tree:
    """A file's data and where each part of it stands.

    data: dicts with text keys, lists, text, `int`, `Decimal`, `bool`, None; None as a whole when the file could
        not be read. Text out of an expansion is `Expanded`.
    broken: paths whose value could not be had (it stands as None); the error is already told.
    """

    file: Path
    data: dict[str, object] | None = None
    values: dict[KeyPath, Mark] = field(default_factory=dict)
    keys: dict[KeyPath, Mark] = field(default_factory=dict)
    broken: set[KeyPath] = field(default_factory=set)

    def locate(self, path: KeyPath, key: bool) -> Place:
        """Where `path` stands: its value, or its key. The nearest ancestor answers for what does not exist."""
        while path and path not in self.values:
            path = path[:-1]
        line, column = (self.keys.get(path) if key else None) or self.values.get(path, (1, 1))
        return Place(self.file, line, column)

    def report(self, problems: list[Problem]) -> Report:
        """A report about this file that adds to `problems`."""
        return Report(self.locate, problems)


def read(file: Path, problems: list[Problem], *, verbatim: str | None = None, instead: str = "") -> Tree:
    """Read one configuration file; what is wrong with it is added to `problems`.

    verbatim: the top-level key below which every scalar is text as written (no value: None), nothing is resolved
    and nothing expanded. instead: what is allowed where there is no such file.
    """
    tree = Tree(file)
    try:
        text = read_text(file, limit=MAX_BYTES)
    except Unreadable as error:
        allowed = error.allowed or (instead if isinstance(error, Missing) else "")
        problems.append(Problem(Place(file, error.line, error.column), (), error.wrong, allowed))
        return tree
    if (found := _UNPRINTABLE.search(text)) is not None:
        before = text[: found.start()]
        line = before.count("\n") + 1
        column = found.start() - before.rfind("\n")
        wrong = f"has a character that no text file has, U+{ord(found[0]):04X}"
        problems.append(Problem(Place(file, line, column), (), wrong, "printable characters, tabs and line ends"))
        return tree
    data = _Reader(tree, text, problems, verbatim).read()
    return Tree(file, data, tree.values, tree.keys, tree.broken)


class _Stop(Exception):
    """Nothing more can be read of this file; the error is told."""


class _Reader:
    """One file's events, walked once."""

    def __init__(self, tree: Tree, text: str, problems: list[Problem], verbatim: str | None) -> None:
        self._tree = tree
        self._text = text
        self._problems = problems
        self._verbatim = verbatim
        self._loader = CSafeLoader(text)
        self._here: KeyPath = ()  # what is being read: the path of a syntax error
        self._nodes = 0

    def read(self) -> dict[str, object] | None:
        """The file's top mapping; None when there is none that could be read to its end."""
        try:
            with self._disposing():
                return self._document()
        except yaml.MarkedYAMLError as error:
            mark, wrong, allowed = explain_syntax(error, self._text)
            self._error(self._here, mark, wrong, allowed)
        except yaml.YAMLError:
            self._error((), (1, 1), "is no YAML")
        except _Stop:
            pass
        return None

    @contextmanager
    def _disposing(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._loader.dispose()

    def _document(self) -> dict[str, object] | None:
        self._next()  # the stream's start
        if isinstance(self._next(), StreamEndEvent):
            self._error((), (1, 1), "is empty", "a block of keys")
            return None
        event = self._next()
        data = self._node(event, (), verbatim=False)
        if not isinstance(data, dict):
            if () not in self._tree.broken:
                wrong = "is empty" if data is None else f"is {'a list' if isinstance(data, list) else 'a single value'}"
                self._error((), _mark(event), wrong, "a block of keys")
            data = None
        while not isinstance(event := self._next(), StreamEndEvent):
            if not isinstance(event, DocumentEndEvent):
                self._error((), _mark(event), "a second document begins here", "one document a file")
                return None
        return data

    def _next(self) -> Event:
        event = self._loader.get_event()
        if event is None:  # asked beyond the end; the grammar of events rules it out
            raise _Stop
        return event

    def _node(self, event: Event, path: KeyPath, *, verbatim: bool) -> object:
        self._nodes += 1
        mark = _mark(event)
        if self._nodes > MAX_NODES:
            self._error(path, mark, f"the file has more than {MAX_NODES} values", "a smaller file")
            raise _Stop
        if len(path) > MAX_DEPTH:
            self._error(path[:4], mark, f"is nested more than {MAX_DEPTH} deep", "a flatter block")
            raise _Stop
        self._tree.values.setdefault(path, mark)
        if isinstance(event, AliasEvent):
            return self._broken(
                path, mark, "aliases (*name) are not taken", "the value itself; quote text that begins with *"
            )
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self._error(path, mark, "anchors (&name) are not taken", "the value alone; quote text that begins with &")
        if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None:
            self._error(path, mark, "tags (!name) are not taken", "the value alone; quote text that begins with !")
        if isinstance(event, MappingStartEvent):
            return self._mapping(path, verbatim=verbatim)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path, verbatim=verbatim)
        assert isinstance(event, ScalarEvent)  # noqa: S101  # the grammar of events leaves nothing else
        return self._scalar(event, path, mark, verbatim=verbatim)

    def _mapping(self, path: KeyPath, *, verbatim: bool) -> dict[str, object]:
        data: dict[str, object] = {}
        while True:
            self._here = path
            if isinstance(event := self._next(), MappingEndEvent):
                return data
            key = self._key(event, path, verbatim=verbatim)
            if key is None:  # told; the value is read for what is wrong in it
                self._node(self._next(), (*path, "?"), verbatim=verbatim)
                continue
            inner = self._here = (*path, key)
            mark = _mark(event)
            first = self._tree.keys.setdefault(inner, mark)
            below = verbatim or (not path and key == self._verbatim)
            value = self._node(self._next(), inner, verbatim=below)
            if key in data:
                self._error(inner, mark, f"same key as in line {first[0]}", "keep one of them")
            else:
                data[key] = value

    def _key(self, event: Event, path: KeyPath, *, verbatim: bool) -> str | None:
        """The key's text; None when it cannot be one."""
        mark = _mark(event)
        if not isinstance(event, ScalarEvent) or event.anchor is not None or event.tag is not None:
            self._error(path, mark, "a key that is no plain text stands here", "text as a key")
            if isinstance(event, CollectionStartEvent):
                self._node(event, (*path, "?"), verbatim=verbatim)
            return None
        if event.style or (verbatim and event.value):
            return event.value
        if event.value == "<<":
            self._error(path, mark, "merge keys (<<) are not taken", "the keys themselves")
            return None
        if event.value in _CONSTANTS or _DECIMAL.fullmatch(event.value):
            what = "an empty key" if not event.value else "a key that is no text"
            self._error(path, mark, f"{what} stands here", "text as a key; put it in quotes")
            return None
        return event.value

    def _sequence(self, path: KeyPath, *, verbatim: bool) -> list[object]:
        items: list[object] = []
        while True:
            self._here = path
            if isinstance(event := self._next(), SequenceEndEvent):
                return items
            inner = self._here = (*path, len(items))
            items.append(self._node(event, inner, verbatim=verbatim))

    def _scalar(self, event: ScalarEvent, path: KeyPath, mark: Mark, *, verbatim: bool) -> object:
        text = event.value
        plain = not event.style
        if verbatim:
            if names_reference(text):
                report = self._tree.report(self._problems)
                report.at(*path).warn("${…} is not expanded here", "text as written; values of answers are no secrets")
            return None if plain and not text else text
        if "${" in text:
            try:
                return expand(text, self._tree.file.parent)
            except Unexpandable as error:
                return self._broken(path, mark, error.wrong, error.allowed)
        if not plain:
            return text
        return self._resolve(text, path, mark)

    def _resolve(self, text: str, path: KeyPath, mark: Mark) -> object:
        """What an unquoted scalar means by the YAML 1.2 core schema, less its octal, hexadecimal, .inf and .nan."""
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if not _DECIMAL.fullmatch(text):
            return text
        if _LEADING_ZERO.match(text):
            # By the rules 01234 is the number 1234, and a ZIP code is lost.
            return self._broken(path, mark, "is a number with a leading zero", "quote it, or take the zero away")
        if len(text) > _LONGEST_NUMBER:
            return self._broken(path, mark, f"is a number of more than {_LONGEST_NUMBER} characters", "quote it")
        return int(text) if _INTEGER.fullmatch(text) else Decimal(text)

    def _broken(self, path: KeyPath, mark: Mark, wrong: str, allowed: str) -> object:
        """Tell it, and give what stands for a value that could not be had."""
        self._error(path, mark, wrong, allowed)
        self._tree.broken.add(path)
        return None

    def _error(self, path: KeyPath, mark: Mark, wrong: str, allowed: str = "") -> None:
        self._problems.append(Problem(Place(self._tree.file, *mark), path, wrong, allowed))


def _mark(event: Event) -> Mark:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
