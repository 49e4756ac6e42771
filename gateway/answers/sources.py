"""Sources: what selects values from an answer, and the refinements that stand beside them (section 2).

A source is compiled into one function from document and verdict to nodes; nothing is looked up when it runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gateway.answers.document import Document
from gateway.answers.jsonpaths import compile_json_path
from gateway.answers.jsontext import NOTHING
from gateway.answers.keys import Block, Use, check_keys, entries_of, scalar, verdict_of
from gateway.answers.limits import VALUE_LENGTH, VALUES, LimitHit
from gateway.answers.markup import Element
from gateway.answers.patterns import Pattern, compile_pattern
from gateway.answers.refinements import (
    REFINEMENTS,
    Refine,
    Template,
    capture,
    compile_refinements,
    compile_template,
    refine,
)
from gateway.answers.values import Said, note_texts, value_of
from gateway.answers.xpaths import compile_css, compile_xpath
from gateway.datapost.values import Verdict
from gateway.settings.problems import Report, dotted

#: Nodes of a document, in order. The verdict is None where none is known yet.
Nodes = Callable[[Document, Verdict | None], list[object]]

HEADS = ("json", "xpath", "css", "text", "form", "header", "from", "first", "join")
FOR_VERDICTS = ("for", "unless")
ADD_SOURCE = "add json, xpath, css, …"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A compiled source.

    where, label: its place and words, for `explain`. alternatives: of `first`, in order.
    heads: the kinds of source in it. from_status, from_body: whether one of them is `from: status`, `from: body`.
    groups: members that its named groups give. search: for a bare `text`, whether it is found, without listing.
    """

    where: str
    label: str
    nodes: Nodes
    heads: frozenset[str]
    alternatives: tuple[Source, ...] = ()
    from_status: bool = False
    from_body: bool = False
    is_status: bool = False  # the values are the status code itself
    groups: tuple[str, ...] = ()
    anchored: bool = True
    search: Callable[[Document], bool] | None = None


# --- sources --------------------------------------------------------------------------------------


def compile_source(raw: object, report: Report, use: Use, block: Block) -> Source | None:
    """Compile what stands for a source: a mapping with one source key, a list of alternatives, or a text."""
    if isinstance(raw, str):
        return _said(raw, report, use)
    if isinstance(raw, list):
        return _first(raw, report, use, block)
    if isinstance(raw, dict):
        return _mapping(raw, report, use, block)
    report.error("is empty", 'a source, or "" for none' if use in (Use.MEMBER, Use.NOTE) else "a source")
    return None


def _said(raw: str, report: Report, use: Use) -> Source | None:
    if use not in (Use.MEMBER, Use.NOTE):
        report.error("a text where a source belongs", ADD_SOURCE)
        return None
    nodes: list[object] = [Said(raw)] if raw.strip() else []
    return Source(where=dotted(report.base), label=f"the text {raw!r}", nodes=lambda _, __: nodes, heads=frozenset())


def _mapping(raw: dict[str, object], report: Report, use: Use, block: Block) -> Source | None:
    fine = True
    for name in FOR_VERDICTS:
        if name in raw and use not in (Use.MEMBER, Use.NOTE):
            report.at(name).error(f"has no place in {use.value}", "it belongs to values", key=True)
            fine = False
    if "attr" in raw and "css" not in raw:
        report.at("attr").error("has no place without css", "for XML write @name in the path", key=True)
        fine = False
    allowed = (*HEADS, *REFINEMENTS, *FOR_VERDICTS, "attr")
    fine &= check_keys(raw, allowed, report)
    heads = [name for name in raw if name in HEADS]
    if not heads:
        first = next(iter(raw), None)
        if fine:
            report.error(f"{first} without a source" if first else "is empty", ADD_SOURCE)
        return None
    if len(heads) > 1:
        report.error(f"two sources, {heads[0]} and {heads[1]}", "put each in its own entry of a list")
        return None
    # Everything is compiled before anything is given up, so that all errors show at once.
    refinements = compile_refinements(raw, report, use, block)
    allowed_for = _verdicts(raw, report)
    template = compile_template(raw["as"], report.at("as")) if "as" in raw else None
    base = _head(heads[0], raw, report.at(heads[0]), use, block)
    if base is None or refinements is None or allowed_for is False or (template is None and "as" in raw) or not fine:
        return None
    return _assemble(base, raw, refinements, template, allowed_for, report)


def _assemble(
    base: Source,
    raw: dict[str, object],
    steps: list[tuple[Refine, Pattern | None]],
    template: Template | None,
    allowed_for: frozenset[Verdict] | None,
    report: Report,
) -> Source:
    nodes = base.nodes
    if raw.get("from") == "body" and not steps and template is None:
        nodes = _cut_body
    if steps or template is not None:
        nodes = _refined(nodes, tuple(step for step, _ in steps), template)
    if allowed_for is not None:
        nodes = _only_for(nodes, allowed_for)
    words = [f"{name}: {_shown(value)}" for name, value in raw.items()]
    patterns = [pattern for _, pattern in steps if pattern is not None]
    return Source(
        where=dotted(report.base),
        label=", ".join(words),
        nodes=nodes,
        heads=base.heads,
        alternatives=base.alternatives if not steps and template is None and allowed_for is None else (),
        from_status=base.from_status,
        from_body=base.from_body,
        is_status=base.is_status and not steps and template is None,
        groups=base.groups + tuple(name for pattern in patterns for name, _ in pattern.named),
        anchored=base.anchored,
        search=base.search if not steps and template is None else None,
    )


def _shown(value: object) -> str:
    return value if isinstance(value, str) else "…"


def _refined(nodes: Nodes, steps: tuple[Refine, ...], template: Template | None) -> Nodes:
    return lambda document, verdict: refine(document, nodes(document, verdict), steps, template)


def _cut_body(document: Document, _: Verdict | None) -> list[object]:
    return [document.text[:VALUE_LENGTH]]


def _only_for(nodes: Nodes, verdicts: frozenset[Verdict]) -> Nodes:
    return lambda document, verdict: nodes(document, verdict) if verdict in verdicts else []


def _first(raw: list[object], report: Report, use: Use, block: Block) -> Source | None:
    if not entries_of(raw, report):
        return None
    made = [compile_source(entry, report.at(index), use, block) for index, entry in enumerate(raw)]
    sources = tuple(source for source in made if source is not None)
    if len(sources) < len(raw):
        return None
    yields = yields_note if use is Use.NOTE else yields_value

    def nodes(document: Document, verdict: Verdict | None) -> list[object]:
        fallback: list[object] = []
        for source in sources:
            found = source.nodes(document, verdict)
            if yields(found):
                return found
            fallback = fallback or found
        return fallback

    return _several(sources, nodes, report, "first of several", sources)


def _join(raw: object, report: Report, use: Use, block: Block) -> Source | None:
    if not isinstance(raw, list):
        report.error("is no list", "a list of sources")
        return None
    if not entries_of(raw, report):
        return None
    made = [compile_source(entry, report.at(index), use, block) for index, entry in enumerate(raw)]
    sources = tuple(source for source in made if source is not None)
    if len(sources) < len(raw):
        return None

    def nodes(document: Document, verdict: Verdict | None) -> list[object]:
        found = [node for source in sources for node in source.nodes(document, verdict)]
        if len(found) > VALUES:
            raise LimitHit
        return found

    return _several(sources, nodes, report, "several joined", ())


def _several(
    sources: tuple[Source, ...], nodes: Nodes, report: Report, label: str, alternatives: tuple[Source, ...]
) -> Source:
    return Source(
        where=dotted(report.base),
        label=label,
        nodes=nodes,
        heads=frozenset().union(*(source.heads for source in sources)),
        alternatives=alternatives,
        from_status=any(source.from_status for source in sources),
        from_body=any(source.from_body for source in sources),
        groups=tuple(name for source in sources for name in source.groups),
        anchored=all(source.anchored for source in sources),
    )


def yields_value(nodes: list[object]) -> bool:
    """Whether one of the nodes has a value."""
    return any(value_of(node) is not None for node in nodes)


def yields_note(nodes: list[object]) -> bool:
    """Whether one of the nodes has something for a note."""
    return any(note_texts(node) for node in nodes)


# --- the nine kinds of source ---------------------------------------------------------------------


def _head(name: str, raw: dict[str, object], report: Report, use: Use, block: Block) -> Source | None:
    """The source itself, before refinements; `raw` is the whole mapping, `report` is at the source's key."""
    if name == "first":
        if not isinstance(raw["first"], list):
            report.error("is no list", "a list of sources")
            return None
        return _first(raw["first"], report, use, block)
    if name == "join":
        return _join(raw["join"], report, use, block)
    if name == "css" and raw["css"] is None:
        report.error("is empty, since # begins a comment in YAML", 'write "#id"')
        return None
    words = scalar(raw[name], report)
    if words is None:
        return None
    if name == "text":
        return _text(words, report, use)
    nodes: Nodes | None
    if name == "json":
        nodes = _json(words, report)
    elif name == "xpath":
        nodes = _xpath(words, report, block)
    elif name == "css":
        nodes = _css(words, raw, report)
    elif name == "form":
        nodes = _form(words)
    elif name == "header":
        nodes = _header(words, report)
    else:
        nodes = _from(words, report)
    if nodes is None:
        return None
    return Source(
        where=dotted(report.base),
        label=f"{name}: {words}",
        nodes=nodes,
        heads=frozenset((name,)),
        from_status=name == "from" and words == "status",
        from_body=name == "from" and words == "body",
        is_status=name == "from" and words == "status",
    )


def _json(path: str, report: Report) -> Nodes | None:
    select = compile_json_path(path, report)
    if select is None:
        return None
    chosen = select

    def nodes(document: Document, _: Verdict | None) -> list[object]:
        value = document.json
        return chosen(value) if value is not NOTHING else []

    return nodes


def _xpath(path: str, report: Report, block: Block) -> Nodes | None:
    select = compile_xpath(path, block.namespaces, report)
    if select is None:
        return None
    chosen = select

    def nodes(document: Document, _: Verdict | None) -> list[object]:
        root = document.tree
        return chosen(root) if root is not None else []

    return nodes


def _css(path: str, raw: dict[str, object], report: Report) -> Nodes | None:
    attribute = None
    if "attr" in raw:
        attribute = scalar(raw["attr"], Report(report.locate, report.problems, (*report.base[:-1], "attr")))
    select = compile_css(path, report)
    if select is None or ("attr" in raw and attribute is None):
        return None
    chosen = select

    def nodes(document: Document, _: Verdict | None) -> list[object]:
        root = document.page
        return chosen(root) if root is not None else []

    def attributes(document: Document, _: Verdict | None) -> list[object]:
        elements = [node for node in nodes(document, None) if isinstance(node, Element)]
        return [value for element in elements if (value := element.get(name)) is not None]

    name = (attribute or "").lower()
    return attributes if attribute is not None else nodes


def _text(raw: str, report: Report, use: Use) -> Source | None:
    pattern = compile_pattern(raw, report, capturing=use is Use.CONDITION)
    if pattern is None:
        return None
    chosen = pattern
    found = chosen.search
    named = chosen.named

    def nodes(document: Document, _: Verdict | None) -> list[object]:
        if named:
            search(document)
        return list(chosen.values(document.octets))

    def search(document: Document) -> bool:
        text = document.octets
        spans = found(text)
        if spans is None:
            return False
        if named:
            capture(document, text, spans, named)
        return True

    return Source(
        where=dotted(report.base),
        label=f"text: {raw}",
        nodes=nodes,
        heads=frozenset(("text",)),
        groups=tuple(name for name, _ in named),
        anchored=pattern.anchored,
        search=search,
    )


def _form(name: str) -> Nodes:
    return lambda document, _: document.form.get(name, [])


def _header(name: str, report: Report) -> Nodes | None:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        report.error("is no header name", "letters, digits and dashes")
        return None
    wanted = name.lower()
    return lambda document, _: document.header(wanted)


def _from(word: str, report: Report) -> Nodes | None:
    if word == "status":
        return lambda document, _: [str(document.status)]
    if word == "body":
        return lambda document, _: [document.text]
    report.error(f"{word} is not known here", "status or body")
    return None


def _verdicts(raw: dict[str, object], report: Report) -> frozenset[Verdict] | Literal[False] | None:
    """Verdicts a source counts for; None: all; False after reporting."""
    counted: frozenset[Verdict] | None = None
    fine = True
    for name in FOR_VERDICTS:
        if name not in raw:
            continue
        words = raw[name] if isinstance(raw[name], list) else [raw[name]]
        named: set[Verdict] = set()
        for word in words if isinstance(words, list) else ():
            if (verdict := verdict_of(word, report.at(name))) is None:
                fine = False
            else:
                named.add(verdict)
        if not words:
            report.at(name).error("is empty", "a verdict or a list of verdicts")
            fine = False
        chosen = frozenset(named) if name == "for" else frozenset(Verdict) - named
        counted = chosen if counted is None else counted & chosen
    return counted if fine else False
