"""Refinements: what stands beside a source's key and changes each value, in one fixed order (section 2)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from gateway.answers.document import Document, query_values
from gateway.answers.keys import Block, Use, scalar
from gateway.answers.limits import EXPRESSION_LENGTH, MAP_ENTRIES, VALUES, LimitHit
from gateway.answers.literals import key
from gateway.answers.markup import Element
from gateway.answers.patterns import Pattern, Spans, compile_pattern, octets
from gateway.answers.values import note_texts, readable, text_of
from gateway.settings.problems import Report

#: One step of refinement: a text -> the texts it becomes.
Refine = Callable[[Document, str], list[str]]

REFINEMENTS = ("query", "matches", "decode", "map", "as")


def compile_refinements(
    raw: dict[str, object], report: Report, use: Use, block: Block
) -> list[tuple[Refine, Pattern | None]] | None:
    """The steps that are there, in their fixed order; None after reporting."""
    steps: list[tuple[Refine, Pattern | None]] = []
    fine = True
    if "query" in raw:
        name = scalar(raw["query"], report.at("query"))
        fine &= name is not None
        steps.append((_query(name or ""), None))
    if "matches" in raw:
        words = scalar(raw["matches"], report.at("matches"))
        pattern = None
        if words is not None:
            pattern = compile_pattern(words, report.at("matches"), capturing=use is Use.CONDITION)
        fine &= pattern is not None
        if pattern is not None:
            steps.append((_matches(pattern), pattern))
    if "decode" in raw:
        decoder = _DECODERS.get(str(raw["decode"]))
        if decoder is None:
            report.at("decode").error("is no coding", "js, url or html")
            fine = False
        else:
            steps.append((decoder, None))
    if "map" in raw and use is not Use.VERDICT:
        table = compile_map(raw["map"], report.at("map"), block, _map_text)
        fine &= table is not None
        steps.append((_lookup(table or {}), None))
    return steps if fine else None


def refine(
    document: Document, nodes: list[object], steps: tuple[Refine, ...], template: Template | None
) -> list[object]:
    """The nodes after all steps: texts, or what the template makes of each node. Raises LimitHit."""
    made: list[object] = []
    for node in nodes:
        texts: list[str] | None = None
        if steps:
            text = text_of(node)
            if text is None:
                continue
            texts = [text]
            for step in steps:
                texts = [after for before in texts for after in step(document, before)]
                if len(texts) > VALUES:
                    raise LimitHit
        if template is not None:
            made.extend(template(node, text) for text in (texts if texts is not None else [None]))
        else:
            made.extend(texts or ())
        if len(made) > VALUES:
            raise LimitHit
    return made


def capture(document: Document, text: bytes, spans: Spans, named: tuple[tuple[str, int], ...]) -> None:
    """Keep what named groups matched in `text`; the first that matched something stays."""
    kept = document.found
    for name, number in named:
        begin, end = spans[number]
        if begin < end and name not in kept and (value := text[begin:end].decode("utf-8", "replace").strip()):
            kept[name] = value


def _query(name: str) -> Refine:
    return lambda _, text: query_values(text, name)


def _matches(pattern: Pattern) -> Refine:
    if not pattern.named:
        return lambda _, text: pattern.values(octets(text))

    def capturing(document: Document, text: str) -> list[str]:
        found = octets(text)
        spans = pattern.search(found)
        if spans is None:
            return []
        capture(document, found, spans, pattern.named)
        return pattern.values(found)

    return capturing


_JS_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|(\r\n|[\n\r\u2028\u2029])|(.))", re.DOTALL
)
_JS_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


def decode_js(text: str) -> str:
    """Undo the escapes of a JavaScript string (ECMA-262 12.9.4); halves of surrogate pairs become U+FFFD."""
    if "\\" not in text:
        return text
    text = _JS_ESCAPE.sub(_js_character, text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _js_character(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code:
        return chr(int(code, 16)) if int(code, 16) <= 0x10FFFF else "\ufffd"
    if found[4]:
        return ""  # a line that goes on
    return _JS_NAMED.get(found[5], found[5])


_DECODERS: dict[str, Refine] = {
    "js": lambda _, text: [decode_js(text)],
    "url": lambda _, text: [unquote_plus(text)],
    "html": lambda _, text: [html.unescape(text)],
}


# --- maps -----------------------------------------------------------------------------------------


def compile_map(
    raw: object, report: Report, block: Block, entry: Callable[[object, Report], Any]
) -> dict[str, Any] | None:
    """A mapping from words, as compared, to what `entry` makes of what stands beside them; None after reporting."""
    if not isinstance(raw, dict) or not raw:
        report.error("is empty" if not raw else "is no mapping", "{word: …}")
        return None
    block.entries += len(raw)
    if block.entries > MAP_ENTRIES >= block.entries - len(raw):
        report.error(f"more than {MAP_ENTRIES} map entries in the block", f"at most {MAP_ENTRIES}")
        return None
    table: dict[str, Any] = {}
    written: dict[str, str] = {}
    fine = True
    for word, value in raw.items():
        made = entry(value, report.at(word))
        folded = key(word)
        if folded in written:
            first = written[folded]
            line = report.place(first, key=True).line
            report.at(word).error(
                f"same key as {first} in line {line}, since case does not count", "keep one", key=True
            )
            fine = False
        written[folded] = word
        fine &= made is not None
        table[folded] = made
    return table if fine else None


def _map_text(value: object, report: Report) -> str | None:
    return scalar(value, report)


def _lookup(table: dict[str, str]) -> Refine:
    def look_up(_: Document, text: str) -> list[str]:
        found = table.get(key(text))
        return [] if found is None else [found]

    return look_up


# --- templates ------------------------------------------------------------------------------------

#: A node and its refined text (None: not refined) -> the text of the template.
Template = Callable[[object, str | None], str]

_PART = re.compile(r"\{([^{}]*)\}")


def compile_template(raw: object, report: Report) -> Template | None:
    """Compile `"{field}: {message}"`, or report what is wrong with it."""
    words = scalar(raw, report)
    if words is None:
        return None
    if len(words) > EXPRESSION_LENGTH:
        report.error(f"template of {len(words)} characters", f"at most {EXPRESSION_LENGTH}")
        return None
    pieces = _PART.split(words)  # text, name, text, name, …, text
    if any("{" in piece or "}" in piece for piece in pieces[::2]):
        report.error("a brace without its partner", "{name}, {@attribute} or {}")
        return None
    if len(pieces) == 1:
        report.error("names no part of the node", "{name}, {@attribute} or {}")
        return None

    def fill(node: object, text: str | None) -> str:
        parts = [piece if index % 2 == 0 else _part(node, piece.strip(), text) for index, piece in enumerate(pieces)]
        # Without any of its parts a template says nothing of the answer.
        return "".join(parts) if any(parts[1::2]) else ""

    return fill


def _part(node: object, name: str, text: str | None) -> str:
    if not name:
        return text if text is not None else "; ".join(note_texts(node))
    found: object = None
    if isinstance(node, dict):
        found = node.get(name)
    elif isinstance(node, Element):
        if name.startswith("@"):
            found = node.get(name[1:])
        else:
            try:
                found = node.find(name)
            except SyntaxError:
                found = None
    return " ".join(readable(text_of(found) or ""))
