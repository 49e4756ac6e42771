"""JSON paths: RFC 9535, compiled once.

Names, indexes and wildcards, which nearly all blocks consist of, become closures of our own; slices, filters and
`..` go to python-jsonpath in its strict mode, without match() and search(), with a bound on the steps it takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from jsonpath import JSONPath, JSONPathEnvironment, JSONPathMatch
from jsonpath.exceptions import JSONPathError
from jsonpath.filter import BaseExpression, FloatLiteral, IntegerLiteral
from jsonpath.parse import Parser
from jsonpath.segments import JSONPathChildSegment, JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath.stream import TokenStream

from gateway.answers.jsontext import Number
from gateway.answers.limits import EXPRESSION_LENGTH, JSON_DESCENTS, VALUES, LimitHit
from gateway.settings.problems import Report

#: A document (any JSON value) -> the nodes selected, in order.
Select = Callable[[object], list[object]]

_SEGMENT = re.compile(
    r"""\.(?P<name>(?:[A-Za-z_]|[^\x00-\x7f])(?:[A-Za-z0-9_]|[^\x00-\x7f])*)
      | \[\s*(?P<index>0|-?[1-9][0-9]{0,8})\s*\]
      | \[\s*(?:'(?P<single>[^'"\\]*)'|"(?P<double>[^'"\\]*)")\s*\]
      | (?P<wild>\.\*|\[\s*\*\s*\])""",
    re.VERBOSE,
)
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_STEPS = 30_000  # about 0.2 s


def compile_json_path(raw: str, report: Report) -> Select | None:
    """Compile a path, or report what is wrong with it. `$.` (or `$` before `[`) is put before it where it lacks."""
    if len(raw) > EXPRESSION_LENGTH:
        report.error(f"path of {len(raw)} characters", f"at most {EXPRESSION_LENGTH}")
        return None
    path = raw if raw.startswith("$") else ("$" if raw.startswith(("[", "..")) else "$.") + raw
    if (steps := _simple(path)) is not None:
        return _closure(steps)
    return _library(path, len(path) - len(raw), report)


# --- the common forms -----------------------------------------------------------------------------

Step = str | int | None  # None: all children


def _simple(path: str) -> list[Step] | None:
    steps: list[Step] = []
    at = 1
    while at < len(path):
        found = _SEGMENT.match(path, at)
        if found is None:
            return None
        if found["wild"]:
            steps.append(None)
        elif found["index"]:
            steps.append(int(found["index"]))
        else:
            steps.append(next(part for part in (found["name"], found["single"], found["double"]) if part is not None))
        at = found.end()
    return steps


def _closure(steps: list[Step]) -> Select:
    if any(step is None for step in steps):
        return _spreading(tuple(steps))
    if len(steps) == 1 and isinstance(steps[0], str):
        return _member(steps[0])

    def select(document: object) -> list[object]:
        node = document
        for step in steps:
            if type(step) is str:
                if type(node) is not dict or step not in node:
                    return []
                node = node[step]
            else:
                if type(node) is not list:
                    return []
                try:
                    node = node[step]  # type: ignore[index]
                except IndexError:
                    return []
        return [node]

    return select


def _member(name: str) -> Select:
    def select(document: object) -> list[object]:
        return [document[name]] if type(document) is dict and name in document else []

    return select


def _spreading(steps: tuple[Step, ...]) -> Select:
    def select(document: object) -> list[object]:
        nodes = [document]
        for step in steps:
            below: list[object] = []
            for node in nodes:
                below.extend(_children(node, step))
            nodes = below
        if len(nodes) > VALUES:
            raise LimitHit
        return nodes

    return select


def _children(node: object, step: Step) -> Iterable[object]:
    if isinstance(node, dict):
        if step is None:
            return node.values()
        return (node[step],) if step in node else ()
    if isinstance(node, list):
        if step is None:
            return node
        if isinstance(step, int) and -len(node) <= step < len(node):
            return (node[step],)
    return ()


# --- the rest of RFC 9535 -------------------------------------------------------------------------


class _Steps:
    """How many more steps the path being evaluated may take. One thread evaluates at a time."""

    left = 0

    @classmethod
    def take(cls) -> None:
        cls.left -= 1
        if cls.left < 0:
            raise LimitHit


class _Child(JSONPathChildSegment):
    """`.a`, `[*]`, `[?…]`, counting how often it is asked and what it selects."""

    __slots__ = ()

    def resolve(self, nodes: Iterable[JSONPathMatch]) -> Iterable[JSONPathMatch]:
        _Steps.take()
        for match in super().resolve(nodes):
            _Steps.take()
            yield match


class _Descent(JSONPathRecursiveDescentSegment):
    """`..`, counting the nodes it passes; depth first, parents before children (RFC 9535 2.5.2.2)."""

    __slots__ = ()

    def resolve(self, nodes: Iterable[JSONPathMatch]) -> Iterable[JSONPathMatch]:
        _Steps.take()
        for node in nodes:
            waiting = [node]
            while waiting:
                match = waiting.pop()
                _Steps.take()
                for selector in self.selectors:
                    for selected in selector.resolve(match):
                        _Steps.take()
                        yield selected
                below = match.obj
                pairs: Iterable[tuple[str | int, object]] = ()
                if isinstance(below, dict):
                    pairs = below.items()
                elif isinstance(below, list):
                    pairs = enumerate(below)
                deeper = [match.new_child(value, key) for key, value in pairs if isinstance(value, (dict, list))]
                waiting.extend(reversed(deeper))


class _Parser(Parser):
    """Segments that count what they do; numbers in filters that stay exact, like those in documents."""

    def parse_query(self, stream: TokenStream) -> Iterator[JSONPathSegment]:
        for segment in super().parse_query(stream):
            kind = _Descent if isinstance(segment, JSONPathRecursiveDescentSegment) else _Child
            yield kind(env=segment.env, token=segment.token, selectors=segment.selectors)

    def parse_integer_literal(self, stream: TokenStream) -> BaseExpression:
        text = stream.current().value
        super().parse_integer_literal(stream)  # refuses what RFC 9535 refuses
        return IntegerLiteral(value=Decimal(text))  # type: ignore[arg-type]

    def parse_float_literal(self, stream: TokenStream) -> BaseExpression:
        text = stream.current().value
        super().parse_float_literal(stream)
        return FloatLiteral(value=Decimal(text))  # type: ignore[arg-type]


class _Environment(JSONPathEnvironment):
    parser_class = _Parser

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        # Their patterns are not RE2. `matches` beside the path is.
        del self.function_extensions["match"]
        del self.function_extensions["search"]

    def compare(self, left: object, operator: str, right: object) -> bool:
        return super().compare(_decimal(left), operator, _decimal(right))


def _decimal(value: object) -> object:
    return value.value if isinstance(value, Number) else value


_environment = _Environment(strict=True)


def _library(path: str, added: int, report: Report) -> Select | None:
    bare = _STRING.sub(lambda found: "'" + "_" * (len(found[0]) - 2) + "'", path)
    if re.search(r"\b(?:match|search)\s*\(", bare):
        report.error("match() and search() are not known here", "use matches beside the path")
        return None
    if len(re.findall(r"\.\.", bare)) > JSON_DESCENTS:
        report.error("more than two ..", "at most two")
        return None
    try:
        compiled = _environment.compile(path)
    except JSONPathError as error:
        report.error(_wrong(bare, error, added), "RFC 9535 path")
        return None
    if not isinstance(compiled, JSONPath):
        report.error("several paths in one", "put each in its own entry of a list")
        return None

    def select(document: object) -> list[object]:
        _Steps.left = _STEPS
        data: Any = document
        found: list[object] = []
        try:
            for match in compiled.finditer(data):
                found.append(match.obj)
                if len(found) > VALUES:
                    raise LimitHit
        except (JSONPathError, RecursionError):
            raise LimitHit from None
        return found

    # Only objects and arrays have anything below them; the library would take text for a document to parse.
    return lambda document: select(document) if isinstance(document, (dict, list)) else []


def _wrong(bare: str, error: JSONPathError, added: int) -> str:
    """What is wrong with a path, at which column of what the engineer wrote."""
    dangling = re.search(r"(?<!\.)\.(?![A-Za-z_*.]|[^\x00-\x7f])|\.\.(?![A-Za-z_*\[]|[^\x00-\x7f])", bare)
    if dangling is not None and dangling.end() > added:
        return f"expected a name after . at column {dangling.end() - added}"
    at = max(1, (error.token.index if error.token is not None else 0) + 1 - added)
    message = str(error.message or "not understood").split("\n")[0]
    if message.startswith("unexpected end"):
        at = len(bare) - added
    return f"{message} at column {at}"
