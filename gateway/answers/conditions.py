"""Conditions: what tests an answer (section 3). Compiled into closures; parts are kept apart for `explain`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.answers.document import KINDS, Document
from gateway.answers.keys import Block, Use, check_keys, entries_of, flag, literals
from gateway.answers.limits import CONDITION_DEPTH
from gateway.answers.literals import has_words, key
from gateway.answers.refinements import REFINEMENTS
from gateway.answers.sources import ADD_SOURCE, FOR_VERDICTS, HEADS, Source, compile_source
from gateway.answers.values import is_empty, says_something, value_of
from gateway.settings.problems import Report, dotted

Holds = Callable[[Document], bool]

TESTS = ("equals", "word", "exists", "empty")
_KEYS = ("status", "kind", *HEADS, *REFINEMENTS, *TESTS, "any", "not")


@dataclass(frozen=True, slots=True)
class Part:
    """One key of a condition that must hold: its place, and the test."""

    where: str
    holds: Holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A compiled condition, and what its rule needs to know of it; what stands below `not` does not count.

    statuses: codes named by `status`. kinds: kinds named by `kind`. heads: kinds of source asked.
    groups: members that named groups give. loose_text: a `text` pattern that is not anchored is in it.
    """

    holds: Holds
    parts: tuple[Part, ...]
    statuses: frozenset[int] = frozenset()
    kinds: frozenset[str] = frozenset()
    heads: frozenset[str] = frozenset()
    from_status: bool = False
    groups: tuple[str, ...] = ()
    loose_text: bool = False


def compile_condition(raw: object, report: Report, block: Block, depth: int = 1) -> Condition | None:
    """Compile what stands under `when`, `any` or `not`; None after reporting."""
    if depth > CONDITION_DEPTH:
        report.error(f"conditions more than {CONDITION_DEPTH} deep", f"at most {CONDITION_DEPTH}")
        return None
    if isinstance(raw, list):
        return _several(raw, report, block, depth, every=True)
    if not isinstance(raw, dict) or not raw:
        report.error("is no condition" if raw else "is empty", "a mapping, or a list of them of which all must hold")
        return None
    return _mapping(raw, report, block, depth)


def _several(raw: list[object], report: Report, block: Block, depth: int, *, every: bool) -> Condition | None:
    if not entries_of(raw, report):
        return None
    inner = [compile_condition(entry, report.at(index), block, depth + 1) for index, entry in enumerate(raw)]
    conditions = [condition for condition in inner if condition is not None]
    if len(conditions) < len(raw):
        return None
    if not every:
        tests = tuple(condition.holds for condition in conditions)
        parts = (Part(dotted(report.base), lambda document: any(test(document) for test in tests)),)
        return _merged(conditions, parts)
    return _merged(conditions, tuple(part for condition in conditions for part in condition.parts))


def _merged(conditions: Iterable[Condition], parts: tuple[Part, ...]) -> Condition:
    several = list(conditions)
    return Condition(
        holds=_all(parts),
        parts=parts,
        statuses=frozenset().union(*(one.statuses for one in several)),
        kinds=frozenset().union(*(one.kinds for one in several)),
        heads=frozenset().union(*(one.heads for one in several)),
        from_status=any(one.from_status for one in several),
        groups=tuple(name for one in several for name in one.groups),
        loose_text=any(one.loose_text for one in several),
    )


def _all(parts: tuple[Part, ...]) -> Holds:
    tests = tuple(part.holds for part in parts)
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda document: first(document) and second(document)

    return lambda document: all(test(document) for test in tests)


# --- one condition --------------------------------------------------------------------------------


def _mapping(raw: dict[str, object], report: Report, block: Block, depth: int) -> Condition | None:
    fine = True
    for name in FOR_VERDICTS:
        if name in raw:
            report.at(name).error("has no place in a condition", "it belongs to values", key=True)
            fine = False
    allowed = (*_KEYS, *FOR_VERDICTS, "attr")
    fine &= check_keys(raw, allowed, report)
    made: list[Condition] = []
    asked = False
    for name in raw:
        condition: Condition | None
        if name == "status":
            condition = _status(raw[name], report.at(name))
        elif name == "kind":
            condition = _kind(raw[name], report.at(name))
        elif name == "any":
            condition = _any(raw[name], report.at(name), block, depth)
        elif name == "not":
            condition = _not(raw[name], report.at(name), block, depth)
        elif asked or name in FOR_VERDICTS or name not in allowed:
            continue
        else:
            asked = True  # a source, its refinements and its tests are one part, where the first of them stands
            condition = _asking(raw, report, block)
        if condition is None:
            fine = False
        else:
            made.append(condition)
    if not fine:
        return None
    return _merged(made, tuple(part for condition in made for part in condition.parts))


def _status(raw: object, report: Report) -> Condition | None:
    codes: set[int] = set()
    entries = raw if isinstance(raw, list) and raw else [raw]
    for index, entry in enumerate(entries):
        named = status_codes(entry)
        if named is None:
            place = report.at(index) if isinstance(raw, list) and raw else report
            place.error("is no status", "a code like 201, or 2xx, 4xx, 5xx, or a list of them")
            return None
        codes |= named
    wanted = frozenset(codes)
    part = Part(dotted(report.base), lambda document: document.status in wanted)
    return Condition(holds=part.holds, parts=(part,), statuses=wanted)


def status_codes(word: object) -> frozenset[int] | None:
    """The codes that `201` or `4xx` stand for, None when it is neither."""
    if not isinstance(word, str):
        return None
    if re.fullmatch("[1-5]xx", word.lower()):
        return frozenset(range(int(word[0]) * 100, int(word[0]) * 100 + 100))
    return frozenset((int(word),)) if re.fullmatch("[1-5][0-9][0-9]", word) else None


def _kind(raw: object, report: Report) -> Condition | None:
    entries = raw if isinstance(raw, list) and raw else [raw]
    for index, entry in enumerate(entries):
        if entry not in KINDS:
            place = report.at(index) if isinstance(raw, list) and raw else report
            shown = entry if isinstance(entry, str) and entry else "this"
            place.error(f"{shown} is no kind of document", "json, xml, html, form, text or empty")
            return None
    wanted = frozenset(str(entry) for entry in entries)
    if wanted == {"empty"}:
        part = Part(dotted(report.base), lambda document: not document.text)
    else:
        part = Part(dotted(report.base), lambda document: document.kind in wanted)
    return Condition(holds=part.holds, parts=(part,), kinds=wanted)


def _any(raw: object, report: Report, block: Block, depth: int) -> Condition | None:
    if not isinstance(raw, list):
        report.error("is no list", "a list of conditions")
        return None
    return _several(raw, report, block, depth, every=False)


def _not(raw: object, report: Report, block: Block, depth: int) -> Condition | None:
    inner = compile_condition(raw, report, block, depth + 1)
    if inner is None:
        return None
    if inner.groups:
        report.error(f"group {inner.groups[0]} gives nothing inside not", "leave the name away")
        return None
    test = inner.holds
    part = Part(dotted(report.base), lambda document: not test(document))
    # What is asked below `not` counts as asked, but a status named there is not one the rule is for.
    return Condition(holds=part.holds, parts=(part,), heads=inner.heads)


# --- a source with its tests ----------------------------------------------------------------------


def _asking(raw: dict[str, object], report: Report, block: Block) -> Condition | None:
    heads = [name for name in raw if name in HEADS]
    if not heads:
        first = next(name for name in raw if name in (*TESTS, *REFINEMENTS, "attr"))
        report.error(f"{first} without a source", ADD_SOURCE)
        return None
    words = {name: value for name, value in raw.items() if name in (*HEADS, *REFINEMENTS, "attr")}
    source = compile_source(words, report, Use.CONDITION, block)
    tests = _tests(raw, report)
    if source is None or tests is None:
        return None
    where = dotted((*report.base, heads[0]))
    parts = [Part(dotted((*report.base, name)), _over(source, test)) for name, test in tests]
    if not parts:
        parts = [Part(where, _alone(source, finds="matches" in raw or heads[0] == "text"))]
    return Condition(
        holds=_all(tuple(parts)),
        parts=tuple(parts),
        heads=source.heads,
        from_status=source.from_status,
        groups=source.groups,
        loose_text="text" in source.heads and not source.anchored,
    )


Test = Callable[[list[object]], bool]


def _over(source: Source, test: Test) -> Holds:
    nodes = source.nodes
    return lambda document: test(nodes(document, None))


def _alone(source: Source, *, finds: bool) -> Holds:
    if source.search is not None:
        return source.search
    nodes = source.nodes
    if finds:
        # What a pattern matched does not count, only that it did: `0` is found as well.
        return lambda document: bool(nodes(document, None))
    return lambda document: any(says_something(node) for node in nodes(document, None))


def _tests(raw: dict[str, object], report: Report) -> list[tuple[str, Test]] | None:
    tests: list[tuple[str, Test]] = []
    fine = True
    for name in raw:
        if name not in TESTS:
            continue
        place = report.at(name)
        if name in ("equals", "word"):
            words = literals(raw[name], place)
            fine &= words is not None
            if words is not None:
                tests.append((name, _equals(words) if name == "equals" else _word(words)))
        else:
            wanted = flag(raw[name], place)
            fine &= wanted is not None
            if wanted is not None:
                tests.append((name, _exists(wanted) if name == "exists" else _empty(wanted)))
    return tests if fine else None


def _equals(words: tuple[str, ...]) -> Test:
    wanted = frozenset(words)
    return lambda nodes: any((text := value_of(node)) is not None and key(text) in wanted for node in nodes)


def _word(words: tuple[str, ...]) -> Test:
    def test(nodes: list[object]) -> bool:
        for node in nodes:
            text = value_of(node)
            if text is not None:
                folded = key(text)
                if any(has_words(folded, word) for word in words):
                    return True
        return False

    return test


def _exists(wanted: bool) -> Test:
    return lambda nodes: bool(nodes) == wanted


def _empty(wanted: bool) -> Test:
    return lambda nodes: bool(nodes) and all(is_empty(node) for node in nodes) == wanted
