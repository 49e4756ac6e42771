"""From a rule's `verdict` to what it concludes of an answer, with what is never concluded (sections 1 and 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.answers.conditions import status_codes
from gateway.answers.document import Document
from gateway.answers.keys import Block, Use, entries_of, verdict_of
from gateway.answers.literals import key
from gateway.answers.refinements import compile_map
from gateway.answers.sources import Source, compile_source
from gateway.answers.trouble import shows_trouble
from gateway.answers.values import value_of
from gateway.datapost.values import Verdict
from gateway.settings.problems import Report, dotted

NO_VALUE = "no value is there"
UNMAPPED = "a value is not in the map"
CONFLICT = "the values contradict each other"
NET_STATUS = "held back: a 4xx or 5xx answer, and the rule does not name the status"
NET_TROUBLE = "held back: the answer shows server trouble"


class Hit(NamedTuple):
    """A verdict, and the note that a code table gives with it."""

    verdict: Verdict
    note: str | None = None


#: Document, whether the rule names its status -> a verdict, or why there is none.
Decide = Callable[[Document, bool], Hit | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """A compiled `verdict`.

    constant: the verdict is a plain word. possible: all it can conclude. else_on_body: `else` over `from: body`.
    by_status: nothing but the status code can make it accepted.
    """

    where: str
    decide: Decide
    possible: frozenset[Verdict]
    constant: bool = False
    else_on_body: bool = False
    by_status: bool = False


def compile_verdict(raw: object, report: Report, block: Block) -> Conclusion | None:
    """Compile a word, a source with a map, or a list of those; None after reporting."""
    if isinstance(raw, str) and raw:
        verdict = verdict_of(raw, report)
        return _constant(verdict, report) if verdict is not None else None
    if isinstance(raw, dict):
        return _mapped(raw, report, block)
    if isinstance(raw, list):
        return _alternatives(raw, report, block)
    report.error("is empty", "accepted, rejected, duplicate, error, or a source with a map")
    return None


def _constant(verdict: Verdict, report: Report) -> Conclusion:
    hit = Hit(verdict)

    def decide(document: Document, named: bool) -> Hit | str:
        if verdict is Verdict.ACCEPTED and document.status >= 400 and not named:
            return NET_STATUS
        return hit

    return Conclusion(where=dotted(report.base), decide=decide, possible=frozenset((verdict,)), constant=True)


def _alternatives(raw: list[object], report: Report, block: Block) -> Conclusion | None:
    if not entries_of(raw, report):
        return None
    made: list[Conclusion] = []
    for index, entry in enumerate(raw):
        if not isinstance(entry, dict):
            report.at(index).error("a source without map", "add map: {word: verdict}")
        elif (conclusion := _mapped(entry, report.at(index), block)) is not None:
            made.append(conclusion)
    if len(made) < len(raw):
        return None
    several = tuple(conclusion.decide for conclusion in made)

    def decide(document: Document, named: bool) -> Hit | str:
        why = NO_VALUE
        for one in several:
            hit = one(document, named)
            if isinstance(hit, Hit):
                return hit
            if hit is not NO_VALUE:
                why = hit
        return why

    return Conclusion(
        where=dotted(report.base),
        decide=decide,
        possible=frozenset().union(*(one.possible for one in made)),
        else_on_body=any(one.else_on_body for one in made),
        by_status=any(one.by_status for one in made),
    )


def _mapped(raw: dict[str, object], report: Report, block: Block) -> Conclusion | None:
    words = {name: value for name, value in raw.items() if name not in ("map", "else")}
    source = compile_source(words, report, Use.VERDICT, block)
    if "map" not in raw:
        report.error("a source without map", "add map: {word: verdict}")
        return None
    table = compile_map(raw["map"], report.at("map"), block, _entry)
    rest: Verdict | None = None
    fine = True
    if "else" in raw:
        rest = verdict_of(raw["else"], report.at("else"))
        fine = rest is not None
        if rest is Verdict.ACCEPTED:
            report.at("else").error("accepted cannot be the rest", "list its words")
            fine = False
    if source is None or table is None or not fine:
        return None
    if source.is_status:
        spread = _spread(table, raw["map"], report.at("map"))
        if spread is None:
            return None
        table = spread
    possible = {hit.verdict for hit in table.values()} | ({rest} if rest is not None else set())
    return Conclusion(
        where=dotted(report.base),
        decide=_deciding(source, table, Hit(rest) if rest is not None else None),
        possible=frozenset(possible),
        else_on_body=rest is not None and source.from_body,
        by_status=source.from_status and Verdict.ACCEPTED in possible,
    )


def _entry(value: object, report: Report) -> Hit | None:
    """`rejected`, or `{rejected: the note}`."""
    if not isinstance(value, dict):
        verdict = verdict_of(value, report)
        return Hit(verdict) if verdict is not None else None
    if len(value) != 1:
        report.error(f"{len(value)} verdicts", "{verdict: note}")
        return None
    word, note = next(iter(value.items()))
    verdict = verdict_of(word, report)
    if not isinstance(note, str):
        report.at(str(word)).error("is no text", "{verdict: note}")
        return None
    return Hit(verdict, note.strip() or None) if verdict is not None else None


def _spread(table: dict[str, Hit], raw: object, report: Report) -> dict[str, Hit] | None:
    """A table of status codes: `4xx` stands for all of them, an exact code wins."""
    spread: dict[str, Hit] = {}
    fine = True
    for word in raw if isinstance(raw, dict) else ():
        codes = status_codes(word.strip())
        if codes is None:
            report.at(word).error("is no status", "a code like 201, or 2xx, 4xx, 5xx", key=True)
            fine = False
            continue
        hit = table[key(word)]
        for code in codes:
            if len(codes) == 1 or str(code) not in table:
                spread[str(code)] = hit
    return spread if fine else None


def _deciding(source: Source, table: dict[str, Hit], rest: Hit | None) -> Decide:
    nodes = source.nodes
    names_status = source.from_status

    def decide(document: Document, named: bool) -> Hit | str:
        hits: list[Hit] = []
        for node in nodes(document, None):
            text = value_of(node)
            if text is None:
                continue
            hit = table.get(key(text))
            if hit is None:
                if rest is None:
                    return UNMAPPED
                if document.status >= 400 and not (named or names_status):
                    return NET_STATUS
                # The value may be harmless and the page around it a stack trace.
                if shows_trouble(text) or shows_trouble(document.text):
                    return NET_TROUBLE
                hit = rest
            hits.append(hit)
        if not hits:
            return NO_VALUE
        chosen = hits[0]
        if len(hits) > 1:
            if any(hit.verdict is not chosen.verdict for hit in hits):
                return CONFLICT
            notes = dict.fromkeys(hit.note for hit in hits if hit.note)
            chosen = Hit(chosen.verdict, "; ".join(notes) or None)
        if chosen.verdict is Verdict.ACCEPTED and document.status >= 400 and not (named or names_status):
            return NET_STATUS
        return chosen

    return decide
