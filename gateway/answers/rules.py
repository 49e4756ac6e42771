"""The `answers:` block, compiled: rules tried from top to bottom, the first that concludes decides (section 1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.answers.conditions import Condition, compile_condition
from gateway.answers.document import Document
from gateway.answers.keys import Block, Use, check_keys, flag
from gateway.answers.limits import RULES, VALUE_LENGTH
from gateway.answers.patterns import MEMBERS
from gateway.answers.sources import Source, compile_source
from gateway.answers.values import join_notes, note_texts, value_of
from gateway.answers.verdicts import Conclusion, Hit, compile_verdict
from gateway.datapost.values import Reading, Verdict
from gateway.settings.problems import Report

_RULE_KEYS = ("when", "verdict", *MEMBERS, "release", "name")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")

#: Document, verdict -> a member's value.
Member = Callable[[Document, Verdict], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One compiled rule. attempt: a document -> its reading, or None when the rule does not match."""

    name: str
    attempt: Callable[[Document], Reading | None]
    when: Condition | None
    conclusion: Conclusion
    sources: dict[str, Source]  # members that are read from a source
    groups: tuple[str, ...]  # members that named groups give
    names: Callable[[int], bool]  # whether it names a status code


def compile_rules(raw: list[object], shared: Mapping[str, Source], report: Report, block: Block) -> list[Rule] | None:
    """Compile a list of rules; None after reporting."""
    if not raw:
        report.error("is empty", "a list of rules")
        return None
    if len(raw) > RULES:
        report.error(f"{len(raw)} rules", f"at most {RULES}")
        return None
    made = [
        compile_rule(entry, f"rule-{index + 1}", shared, report.at(index), block) for index, entry in enumerate(raw)
    ]
    rules = [rule for rule in made if rule is not None]
    seen: set[str] = set()
    for index, rule in enumerate(made):
        if rule is not None and (rule.name in seen or rule.name == "verdict"):
            report.at(index, "name").error(f"{rule.name} is another rule's name", "a name of its own")
            return None
        seen.add(rule.name if rule is not None else "")
    return rules if len(rules) == len(raw) else None


def compile_rule(
    raw: object,
    name: str,
    shared: Mapping[str, Source],
    report: Report,
    block: Block,
    own: bool = False,
) -> Rule | None:
    """Compile one rule. shared: sources, by member, of the block. own: it is the block's own rule."""
    if not isinstance(raw, dict):
        report.error("is no rule", "a mapping with verdict")
        return None
    fine = own or check_keys(raw, _RULE_KEYS, report)
    if not own and raw.get("name") is not None:
        given = raw["name"]
        if not isinstance(given, str) or not _NAME.fullmatch(given):
            report.at("name").error("is no name", "letters, digits and _ . -, at most 64")
            fine = False
        else:
            name = given
    when = compile_condition(raw["when"], report.at("when"), block) if "when" in raw else None
    fine &= when is not None or "when" not in raw
    conclusion = None
    if "verdict" not in raw:
        report.error("no verdict", "accepted, rejected, duplicate, error, or a source with a map")
    else:
        conclusion = compile_verdict(raw["verdict"], report.at("verdict"), block)
    release = flag(raw["release"], report.at("release")) if "release" in raw else False
    sources: dict[str, Source] = {}
    groups = tuple(dict.fromkeys(when.groups)) if when is not None else ()
    for member in MEMBERS:
        if member in raw and not own:
            if member in groups:
                report.at(member).error("given twice, by the group in when and here", "keep one")
                fine = False
            source = compile_source(raw[member], report.at(member), use_of(member), block)
            fine &= source is not None
            if source is not None:
                sources[member] = source
        elif member in shared and member not in groups:
            sources[member] = shared[member]
    if conclusion is None or release is None or not fine:
        return None
    if "when" not in raw and conclusion.constant and Verdict.ACCEPTED in conclusion.possible:
        report.at("verdict").error("accepted without when would take any answer", "add a condition")
        return None
    _warn(when, conclusion, report)
    return _build(name, when, conclusion, sources, groups, release)


def use_of(member: str) -> Use:
    """How the source of a member is read."""
    return Use.NOTE if member == "note" else Use.MEMBER


def _warn(when: Condition | None, conclusion: Conclusion, report: Report) -> None:
    accepts = Verdict.ACCEPTED in conclusion.possible
    if accepts and when is not None and conclusion.constant:
        if when.statuses and not when.kinds and not when.heads and not when.from_status:
            report.at("when").warn("accepted by status alone", "add kind: empty, or look at the answer")
        if when.loose_text and when.heads == {"text"}:
            report.at("when").warn("accepted by text that may stand anywhere", "begin the pattern with ^")
    if conclusion.by_status and (when is None or _status_only(when)):
        report.at("verdict").warn("accepted by status alone", "add kind: empty, or look at the answer")
    if conclusion.else_on_body and (when is None or "text" not in when.kinds):
        report.at("verdict").warn("else over from: body takes any page for an answer", "add when: {kind: text}")


def _status_only(when: Condition) -> bool:
    return not when.kinds and when.heads <= {"from"}


def _build(
    name: str,
    when: Condition | None,
    conclusion: Conclusion,
    sources: dict[str, Source],
    groups: tuple[str, ...],
    release: bool,
) -> Rule:
    holds = when.holds if when is not None else None
    decide = conclusion.decide
    uniqueid, sale_amount, customerid, email = (_member(member, sources, groups) for member in MEMBERS[:4])
    note = _note(sources, groups)
    statuses = when.statuses if when is not None else frozenset()
    by_value = when is not None and when.from_status

    def names(status: int) -> bool:
        return by_value or status in statuses

    def attempt(document: Document) -> Reading | None:
        if groups:
            document.found = {}
        if holds is not None and not holds(document):
            return None
        hit = decide(document, by_value or document.status in statuses)
        if type(hit) is not Hit:
            return None
        verdict = hit.verdict
        # In the order of Reading's fields: by their names it takes twice as long.
        return Reading(
            verdict,
            name,
            document.kind,
            uniqueid(document, verdict) if uniqueid is not None else None,
            sale_amount(document, verdict) if sale_amount is not None else None,
            customerid(document, verdict) if customerid is not None else None,
            email(document, verdict) if email is not None else None,
            hit.note if hit.note is not None else note(document, verdict) if note is not None else None,
            release,
        )

    return Rule(
        name=name,
        attempt=attempt,
        when=when,
        conclusion=conclusion,
        sources=sources,
        groups=groups,
        names=names,
    )


def _member(member: str, sources: dict[str, Source], groups: tuple[str, ...]) -> Member | None:
    if member in groups:

        def given(document: Document, verdict: Verdict) -> str | None:
            text = document.found.get(member)  # trimmed, and not empty
            return text if text is None or len(text) <= VALUE_LENGTH else None

        return given
    if member not in sources:
        return None
    nodes = sources[member].nodes

    def read(document: Document, verdict: Verdict) -> str | None:
        for node in nodes(document, verdict):
            text = value_of(node)
            if text is not None:
                return text
        return None

    return read


def _note(sources: dict[str, Source], groups: tuple[str, ...]) -> Member | None:
    if "note" in groups:
        return lambda document, _: join_notes(note_texts(document.found.get("note")))
    if "note" not in sources:
        return None
    nodes = sources["note"].nodes

    def read(document: Document, verdict: Verdict) -> str | None:
        return join_notes([text for node in nodes(document, verdict) for text in note_texts(node)])

    return read
