"""JSON as legacy systems send it, read strictly: no key twice, no NaN, numbers as the characters that were sent.

The standard library's parser does the parsing; what it is lenient about (duplicate keys, NaN, lone surrogates,
bottomless nesting) is settled here. What is no JSON gives `Nothing`; what is too large raises `LimitHit`.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn, final

from gateway.answers.limits import DEPTH, NODES, LimitHit


@final
class Number:
    """A JSON number as it was written; compares by value, as JSONPath filters need (RFC 9535 2.3.5.2.2)."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def value(self) -> Decimal:
        """Its exact value; never goes through a float. Beyond what decimals hold (1e9999999999999999999): infinite."""
        try:
            return Decimal(self.text)
        except InvalidOperation:
            return Decimal("-Infinity" if self.text[0] == "-" else "Infinity")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Number):
            return self.text == other.text or self.value == other.value
        if isinstance(other, Decimal):
            return self.value == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return "Number(…)"

    @property
    def zero(self) -> bool:
        """Whether it is 0 in any of its spellings (0, -0, 0.00, 0e5)."""
        return not re.search("[1-9]", re.split("[eE]", self.text)[0])


@final
class _Nothing:
    __slots__ = ()


#: What is no JSON. (None is JSON's null.)
NOTHING: Final = _Nothing()


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        # Two readers of one text must not see two different answers, so a key that stands twice is no JSON.
        raise ValueError
    return made


def _constant(_: str) -> NoReturn:
    raise ValueError


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant
).decode

# A string, an empty container (one node), or a sign that opens, closes or separates.
_SIGNS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]\s*[\]}]|[\[\]{},]', re.DOTALL)
_ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_JSONP = re.compile(r"(?:/\*\*/)?\s*[A-Za-z_$][\w$.]*\s*\((.*)\)\s*;?", re.DOTALL)
_FIRST = frozenset('{["-0123456789tfn')
_WORDS = frozenset(("true", "false", "null"))


def parse(text: str) -> object:
    """The value that `text` (already stripped) is JSON for, JSONP calls opened, or NOTHING."""
    if text[:1] not in _FIRST or (text[0] in "tfn" and text not in _WORDS):
        if not text.endswith((")", ";")) or (call := _JSONP.fullmatch(text)) is None:
            return NOTHING
        text = call[1].strip()
        if not text:
            return NOTHING
    if "\\u" in text:
        # A half of a surrogate pair is no character; Python would carry it on and stumble later.
        text = _ESCAPES.sub(lambda found: "\\ufffd" if found[1] else found[0], text)
    if text.count("[") + text.count("{") > DEPTH or len(text) > NODES:
        _measure(text)
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        return NOTHING


def _measure(text: str) -> None:
    """Raise LimitHit for a text that is too deep or has too many values, before anything is built from it."""
    depth, nodes = 0, 1
    for signs, found in enumerate(_SIGNS.finditer(text)):
        sign = found[0]
        if sign == ",":
            nodes += 1
        elif sign in ("[", "{"):
            depth += 1
            nodes += 1
        elif sign in ("]", "}"):
            depth -= 1
        elif sign[0] != '"' and depth == DEPTH:
            raise LimitHit  # an empty one on the level below
        if depth > DEPTH or nodes > NODES or signs > 5 * NODES:
            raise LimitHit
