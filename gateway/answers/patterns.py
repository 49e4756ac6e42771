"""Operator patterns: RE2, compiled once, searched anywhere, over UTF-8 (section 2 of the language).

Linear in the text whatever the pattern, with a bounded program; look-around and back-references do not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import re2  # type: ignore[import-untyped]

from gateway.answers.limits import EXPRESSION_LENGTH, PATTERN_MEMORY, VALUES, LimitHit
from gateway.settings.problems import Report

MEMBERS = ("uniqueid", "sale_amount", "customerid", "email", "note")

_options = re2.Options()
_options.max_mem = PATTERN_MEMORY
_options.log_errors = False

# A `(` that is neither escaped nor in a class begins a group.
_GROUPS = re.compile(
    r"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]?|\((?:\?P?<(\w+)>|(?!\?))", re.DOTALL
)
_ANCHORED = re.compile(r"(?:\(\?[imsU]+\))?\(?(?:\?:)?(?:\^|\\A)")

#: Begin and end of each group in the text, -1 for one that took no part; the whole match is group 0.
Spans = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern.

    pick: number of the group that is the value, 0 for the whole match. named: groups for members, by number.
    search: bytes -> where each group matched first, by number; None when the pattern is not found.
    """

    pick: int
    named: tuple[tuple[str, int], ...]
    anchored: bool
    search: Callable[[bytes], Spans | None]
    iterate: Callable[[bytes], Any]

    def values(self, text: bytes) -> list[str]:
        """What each match yields, empty where the group took no part; raises LimitHit beyond 100."""
        pick = self.pick
        found: list[str] = []
        for match in self.iterate(text):
            group = match.group(pick)
            # RE2 works on octets here: an empty match may stand inside a character, never a longer one.
            found.append(group.decode("utf-8", "replace") if group else "")
            if len(found) > VALUES:
                raise LimitHit
        return found


def compile_pattern(raw: str, report: Report, *, capturing: bool) -> Pattern | None:
    """Compile a pattern, or report what is wrong with it. capturing: named groups give members (`when`)."""
    if len(raw) > EXPRESSION_LENGTH:
        report.error(f"pattern of {len(raw)} characters", f"at most {EXPRESSION_LENGTH}")
        return None
    if re.search(r"\(\?<?[=!]", raw):
        report.error("look-around is not in RE2")
        return None
    try:
        compiled = re2.compile(raw, _options)
    except re2.error as error:
        report.error(f"is no RE2 pattern: {_reason(error)}")
        return None
    names = [found[1] for found in _GROUPS.finditer(raw) if found[1]]
    unnamed = compiled.groups - len(names)
    twice = {name for name in names if names.count(name) > 1}
    if unnamed > 1:
        report.error("two unnamed groups", "use one, or name them")
        return None
    if twice:
        report.error(f"group {sorted(twice)[0]} given twice", "use one")
        return None
    strangers = [name for name in compiled.groupindex if name not in MEMBERS]
    if capturing and strangers:
        report.error(f"group {strangers[0]} is no member", "uniqueid, sale_amount, …")
        return None
    if compiled.search(b"") is not None:
        report.warn("matches the empty text, so it is always found", "make some part of it required")
    numbers = sorted(compiled.groupindex.values())
    if unnamed == 1:
        pick = next(number for number in range(1, compiled.groups + 1) if number not in numbers)
    else:
        pick = numbers[0] if len(numbers) == 1 else 0
    return Pattern(
        pick=pick,
        named=tuple(compiled.groupindex.items()) if capturing else (),
        anchored=_ANCHORED.match(raw) is not None or raw.endswith("$"),
        search=_search(compiled),
        iterate=compiled.finditer,
    )


def _search(compiled: Any) -> Callable[[bytes], Spans | None]:
    """Where a compiled pattern is found first.

    Past the library's match objects, which are written in Python and cost eight times as much as the search.
    """
    match, anywhere = compiled._regexp.Match, re2._Anchor.UNANCHORED

    def search(text: bytes) -> Spans | None:
        spans: Spans = match(anywhere, text, 0, len(text))
        return None if spans[0][0] < 0 else spans

    return search


def _reason(error: re2.error) -> str:
    text = error.args[0] if error.args else ""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def octets(text: str) -> bytes:
    """Text as patterns search it. Halves of surrogate pairs (from headers) become question marks."""
    return text.encode("utf-8", "replace")
