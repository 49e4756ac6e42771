"""Statements with lists of values: SQLite has no arrays, so each length would be a statement of its own to prepare."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

#: One row as sqlite3 gives it. What a column holds is known to the statement's author alone.
Row: TypeAlias = tuple[Any, ...]

_MOST = 512


class In:
    """A SELECT whose text holds one `IN (?)`: the list is padded to a power of two, so few statements are prepared."""

    __slots__ = ("_text", "_texts")

    def __init__(self, text: str) -> None:
        self._text = text
        self._texts: dict[int, str] = {}

    def rows(self, db: sqlite3.Connection, values: Sequence[object]) -> Iterable[Row]:
        """The rows of all values; each list of at most 512 is one statement."""
        if len(values) <= _MOST:
            return self._part(db, values) if values else ()
        return self._parts(db, values)

    def _parts(self, db: sqlite3.Connection, values: Sequence[object]) -> Iterator[Row]:
        for at in range(0, len(values), _MOST):
            yield from self._part(db, values[at : at + _MOST])

    def _part(self, db: sqlite3.Connection, values: Sequence[object]) -> list[Row]:
        size = 1 << (len(values) - 1).bit_length()
        text = self._texts.get(size)
        if text is None:
            marks = ", ".join("?" * size)
            text = self._texts[size] = self._text.replace("IN (?)", f"IN ({marks})")
        padding = (values[-1],) * (size - len(values))
        return db.execute(text, (*values, *padding)).fetchall()
