"""How a reading came about: which rule decided, where each member was found, and what kept the earlier rules."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.answers.document import Document
from gateway.answers.limits import LimitHit
from gateway.answers.patterns import MEMBERS
from gateway.answers.rules import Rule
from gateway.answers.sources import Source, yields_note, yields_value
from gateway.answers.verdicts import Hit
from gateway.datapost.values import Reading, Verdict


@dataclass(frozen=True, slots=True)
class Unwrapping:
    """One step of `unwrap`: its place and words, and whether there was something to unwrap."""

    where: str
    source: str
    found: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a member's value was found."""

    member: str
    value: str
    where: str
    source: str


@dataclass(frozen=True, slots=True)
class Missed:
    """An earlier rule, the first key of it that failed, and why: it does not hold, or a net held it back."""

    rule: str
    where: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A reading and how it came about. opened: False when the body could not be decompressed or was too large."""

    reading: Reading
    unwraps: tuple[Unwrapping, ...]
    members: tuple[Origin, ...]
    missed: tuple[Missed, ...]
    opened: bool = True

    @property
    def kind(self) -> str:
        """json, xml, html, form, text or empty."""
        return self.reading.kind

    @property
    def rule(self) -> str:
        """The rule that decided, empty when none did."""
        return self.reading.rule


def explain_rules(
    reading: Reading, document: Document, rules: tuple[Rule, ...], unwraps: tuple[Unwrapping, ...]
) -> Explanation:
    """Walk the rules again, slowly, up to the one that decided."""
    missed: list[Missed] = []
    members: tuple[Origin, ...] = ()
    for rule in rules:
        try:
            found = _attempt(rule, document)
            if isinstance(found, Hit):
                members = tuple(_origins(rule, document, found, reading))
                break
        except LimitHit:
            missed.append(Missed(rule.name, rule.conclusion.where, "a limit was hit"))
            break
        missed.append(found)
    return Explanation(reading=reading, unwraps=unwraps, members=members, missed=tuple(missed))


def _attempt(rule: Rule, document: Document) -> Hit | Missed:
    document.found = {}
    for part in rule.when.parts if rule.when is not None else ():
        if not part.holds(document):
            return Missed(rule.name, part.where, "does not hold")
    hit = rule.conclusion.decide(document, rule.names(document.status))
    return hit if isinstance(hit, Hit) else Missed(rule.name, rule.conclusion.where, hit)


def _origins(rule: Rule, document: Document, hit: Hit, reading: Reading) -> list[Origin]:
    found: list[Origin] = []
    for member in MEMBERS:
        value: str | None = getattr(reading, member)
        if value is None:
            continue
        if member == "note" and hit.note is not None:
            found.append(Origin(member, value, rule.conclusion.where, "the map of the verdict"))
        elif member in rule.groups:
            found.append(Origin(member, value, rule.name, f"the group {member} in when"))
        else:
            source = _chosen(rule.sources[member], document, hit.verdict, member == "note")
            found.append(Origin(member, value, source.where, source.label))
    return found


def _chosen(source: Source, document: Document, verdict: Verdict, is_note: bool) -> Source:
    """The alternative that gave the value."""
    yields = yields_note if is_note else yields_value
    for one in source.alternatives:
        if yields(one.nodes(document, verdict)):
            return _chosen(one, document, verdict, is_note)
    return source
