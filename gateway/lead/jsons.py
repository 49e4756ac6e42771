"""JSON bodies (RFC 8259), read strictly: no BOM, no duplicate keys, no NaN, bounded depth and size.

The root is an object. Nested objects become dotted names, numbers keep their text (`1.50`, 19-digit IDs, `1e400`),
true and false are those words, null is absent. Arrays have no single value: their names are told as `listed`.
"""

from __future__ import annotations

import json
import re

from gateway.datapost.reasons import Reason
from gateway.lead.texts import (
    MAX_NAME,
    NAME_TOO_LONG,
    NOT_IN_CHARSET,
    TOO_MANY_FIELDS,
    UTF_8,
    forbidden,
)
from gateway.lead.values import Lead, Undecodable

MAX_DEPTH = 32
MAX_NODES = 1000  # values of any kind, the root included

NOT_JSON = Undecodable(Reason.MALFORMED, "the body is not well-formed JSON")
NOT_AN_OBJECT = Undecodable(Reason.MALFORMED, "the JSON is not an object")
DUPLICATE_KEY = Undecodable(Reason.MALFORMED, "a key stands twice in one JSON object")
TOO_DEEP = Undecodable(Reason.MALFORMED, "the JSON is nested too deeply")
TOO_MANY_NODES = Undecodable(Reason.TOO_LARGE, "the JSON holds too many values")


class _DuplicateKey(ValueError):
    pass


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) != len(members):
        raise _DuplicateKey
    return found


def _no_constant(name: str) -> object:
    raise ValueError(name)  # NaN, Infinity, -Infinity: the words, never a value of the lead


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=_no_constant, strict=True
).decode

# Strings as wholes, so that what stands in them does not count; one that never ends matches up to the end.
_token = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL).finditer


def read_json(body: bytes, codec: str | None, max_fields: int) -> Lead | Undecodable:
    """A JSON object as a lead. codec None: UTF-8."""
    try:
        text = body.decode(codec or UTF_8)
    except UnicodeDecodeError:
        return NOT_IN_CHARSET
    if (excess := _excess(text)) is not None:
        return excess
    try:
        root = _decode(text)
    except _DuplicateKey:
        return DUPLICATE_KEY
    except ValueError:
        return NOT_JSON
    if not isinstance(root, dict):
        return NOT_AN_OBJECT
    flat = _Flat()
    try:
        flat.members("", root, listed=False)
    except _NameTooLong:
        return NAME_TOO_LONG
    if len(flat.pairs) > max_fields:
        return TOO_MANY_FIELDS
    if (wrong := forbidden(flat.pairs)) is not None:
        return wrong
    return Lead(tuple(flat.pairs), "json", frozenset(flat.listed))


def _excess(text: str) -> Undecodable | None:
    """Bound depth and count before the parser runs: its own limits differ between versions of Python."""
    opened = text.count("{") + text.count("[")
    if opened <= MAX_DEPTH and opened + text.count(",") < MAX_NODES:
        return None  # each value is the root, or stands first in its container or behind a comma
    depth, nodes, strings = 0, 1, 0
    for found in _token(text):
        match found[0][0]:
            case "{" | "[":
                depth, nodes = depth + 1, nodes + 1  # an empty one counts as if it held something
                if depth > MAX_DEPTH:
                    return TOO_DEEP
            case ",":
                nodes += 1
            case '"':
                strings += 1
            case _:
                depth -= 1
        if nodes > MAX_NODES or strings > 2 * MAX_NODES:
            return TOO_MANY_NODES
        if depth < 0:
            return NOT_JSON
    return None


class _NameTooLong(Exception):
    pass


class _Flat:
    """Collects the leaves of an object under dotted names; no deeper than MAX_DEPTH."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.listed: set[str] = set()

    def members(self, prefix: str, members: dict[str, object], *, listed: bool) -> None:
        for key, value in members.items():
            self.value(prefix + key, value, listed=listed)

    def value(self, name: str, value: object, *, listed: bool) -> None:
        if len(name) > MAX_NAME:
            raise _NameTooLong
        if listed:
            self.listed.add(name)
        if isinstance(value, str):
            self.pairs.append((name, value))
        elif isinstance(value, dict):
            self.members(name + ".", value, listed=listed)
        elif isinstance(value, list):
            self.listed.add(name)
            for item in value:
                self.value(name, item, listed=True)
        elif value is not None:
            self.pairs.append((name, "true" if value else "false"))
