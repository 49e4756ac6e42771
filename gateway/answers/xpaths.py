"""XPath 1.0 and CSS paths, compiled once, with what they may cost bounded before libxml2 runs them.

libxml2 cannot be interrupted, and merges node sets by comparing each with each: `//a/following-sibling::a` over
1,000 siblings takes 0.2 s and over 10,000 takes minutes, `//a//a//a` over deep trees seconds. So a path is looked
through when it is compiled, for the axes that look sideways, up and down again; when it is evaluated, the shape
of the document must leave it at most a few tenths of a second (measured with libxml2 2.14). Otherwise the limit is hit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cssselect
from cssselect import parser as css
from lxml import etree

from gateway.answers.limits import EXPRESSION_LENGTH, VALUES, XPATH_DESCENTS, LimitHit
from gateway.answers.markup import Element, Shape, shape
from gateway.settings.problems import Report

#: A root element -> the nodes selected, in document order: elements, text, numbers as text, booleans.
Select = Callable[[Element], list[object]]

_CORE_WORDS = """
    last position count id local-name namespace-uri name string concat starts-with contains substring-before
    substring-after substring string-length normalize-space translate boolean not true false lang number sum floor
    ceiling round
"""
_CORE = frozenset(_CORE_WORDS.split())
_NODE_TYPES = frozenset(("node", "text", "comment", "processing-instruction"))
_OPERATORS = frozenset(("and", "or", "div", "mod"))
_SIDEWAYS = frozenset(("following-sibling", "preceding-sibling"))
_UPWARDS = frozenset(("parent", "ancestor", "ancestor-or-self"))
_DOWN = frozenset(("descendant", "descendant-or-self"))

_TOKEN = re.compile(
    r"""\s*(?:(?P<literal>"[^"]*"|'[^']*')|(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)|(?P<axis>[\w.-]+)\s*::
      |(?P<variable>\$)|(?P<name>(?:(?P<prefix>[^\W\d][\w.-]*):)?(?:[^\W\d][\w.-]*|(?<=:)\*))(?P<call>\s*\()?
      |(?P<sign>//|::|\.\.|!=|<=|>=|[/.@\[\](),|+=<>*-]))""",
    re.VERBOSE,
)


@dataclass(slots=True)
class _Traits:
    """What a path does that can be costly."""

    descents: int = 0  # all // and descendant axes
    inner: int = 0  # those that start from many elements
    sideways: bool = False  # sibling axes outside predicates
    around: bool = False  # predicates that look beyond their element and what is below it


class _Wrong(Exception):
    """What is wrong with a path, and what is allowed."""

    def __init__(self, wrong: str, allowed: str = "") -> None:
        super().__init__(wrong)
        self.wrong, self.allowed = wrong, allowed


def compile_xpath(raw: str, namespaces: Mapping[str, str] | None, report: Report) -> Select | None:
    """Compile an XPath 1.0 expression, or report what is wrong with it."""
    if len(raw) > EXPRESSION_LENGTH:
        report.error(f"path of {len(raw)} characters", f"at most {EXPRESSION_LENGTH}")
        return None
    try:
        # Syntax first, so that the look-through may take a well-formed path for granted.
        compiled = etree.XPath(raw, namespaces=dict(namespaces or {}), regexp=False, smart_strings=False)
        traits = _look_through(raw, namespaces)
        if traits.descents > XPATH_DESCENTS:
            raise _Wrong(f"{traits.descents} times //", "at most three")
        _try(compiled)
    except _Wrong as problem:
        report.error(problem.wrong, problem.allowed)
        return None
    except (etree.XPathError, ValueError):
        report.error("is no XPath 1.0 expression", "a path like lead/id, //Price or /Result/@code")
        return None
    return _guarded(compiled, traits)


def _try(compiled: etree.XPath) -> None:
    # Operands of a wrong type show only when a path is evaluated.
    compiled(etree.fromstring(b"<a><b c='1'>x</b></a>"))


def _look_through(path: str, namespaces: Mapping[str, str] | None) -> _Traits:
    """Refuse what is beyond the language; collect what is costly."""
    traits = _Traits()
    open_brackets: list[str] = []
    looking_around: list[int] = []  # how deep in predicates something looked beyond its element
    before: str | None = None  # kind of the token before; None where an expression begins
    first = True
    at = 0
    while at < len(path) and (token := _TOKEN.match(path, at)) is not None:
        at = token.end()
        inside = open_brackets.count("[")
        starts = before in (None, "operator")
        if token["variable"]:
            raise _Wrong("variables are not known here")
        if (axis := token["axis"]) is not None:
            _note_axis(axis, traits, inside, looking_around, first)
            before, first = "operator", False
            continue
        if token["name"] is not None:
            if starts or before in ("slash", "at"):
                _check_name(token, namespaces)
                before = "node"
            elif token["name"] in _OPERATORS:
                before = "operator"
            else:
                _check_name(token, namespaces)
                before = "node"
            if token["call"]:
                open_brackets.append("(")
                before = None
            continue
        if token["literal"] is not None or token["number"] is not None:
            before = "node"
            continue
        sign = token["sign"]
        if sign in ("/", "//"):
            absolute = starts
            if absolute and inside:
                if sign == "//":
                    raise _Wrong("// inside [ ] begins at the top each time", "write .// for below this element")
                looking_around.append(inside)
                traits.around = True
            if sign == "//":
                traits.descents += 1
                traits.inner += 0 if absolute else 1
            before = "slash"
        elif sign == "..":
            if inside:
                looking_around.append(inside)
                traits.around = True
            before = "node"
        elif sign in ("[", "("):
            open_brackets.append(sign)
            before = None
        elif sign in ("]", ")"):
            if open_brackets:
                open_brackets.pop()
            before = "node"
        elif sign == "@":
            before = "at"
        elif sign == "." or (sign == "*" and (starts or before in ("slash", "at"))):
            before = "node"
        else:
            before = "operator"
        first = first and sign in ("/", "(")
    if any(depth > 1 for depth in looking_around):
        raise _Wrong("[ ] inside [ ] looks beyond its element", "ask in one [ ] only")
    return traits


def _note_axis(axis: str, traits: _Traits, inside: int, looking_around: list[int], first: bool) -> None:
    if axis in ("preceding", "following"):
        raise _Wrong(f"the axis {axis} is not known here", f"{axis}-sibling, parent, ancestor, descendant")
    if axis in _DOWN:
        traits.descents += 1
        traits.inner += 0 if first else 1
    elif axis in _SIDEWAYS or axis in _UPWARDS:
        if inside:
            looking_around.append(inside)
            traits.around = True
        elif axis in _SIDEWAYS:
            traits.sideways = True
        elif axis != "parent":
            traits.inner += 1


def _check_name(token: re.Match[str], namespaces: Mapping[str, str] | None) -> None:
    prefix, name = token["prefix"], token["name"]
    local = name.rpartition(":")[2]
    if token["call"] and name not in _NODE_TYPES and name not in _CORE:
        raise _Wrong(f"{name}() is no function of XPath 1.0", "its core functions")
    if prefix is None or prefix == "xml":
        return
    if namespaces is None:
        raise _Wrong(
            f"prefix {prefix}: names are matched without namespaces", f"write //{local}, or declare namespaces"
        )
    if prefix not in namespaces:
        raise _Wrong(f"prefix {prefix} is not declared", f"namespaces has {', '.join(sorted(namespaces)) or 'none'}")


# --- CSS ------------------------------------------------------------------------------------------

_COMBINATORS = frozenset((" ", ">", "+", "~"))
_translator = cssselect.HTMLTranslator()


def compile_css(raw: str, report: Report) -> Select | None:
    """Compile a CSS selector of the few kinds that the language has, or report what is wrong with it."""
    if len(raw) > EXPRESSION_LENGTH:
        report.error(f"path of {len(raw)} characters", f"at most {EXPRESSION_LENGTH}")
        return None
    try:
        selectors = css.parse(raw)
        if len(selectors) != 1:
            raise _Wrong("a list of selectors", "put each in its own entry of a list")
        if selectors[0].pseudo_element is not None:
            raise _Wrong("a pseudo-element", _CSS_ALLOWED)
        _check_css(selectors[0].parsed_tree)
        path = _translator.selector_to_xpath(selectors[0])
        compiled = etree.XPath(path, regexp=False, smart_strings=False)
    except _Wrong as problem:
        report.error(f"{problem.wrong} is not known here", problem.allowed)
        return None
    except (cssselect.SelectorError, etree.XPathError, ValueError):
        report.error("is no CSS selector", _CSS_ALLOWED)
        return None
    return _guarded(compiled, _look_through(path, None))


_CSS_ALLOWED = "type, #id, .class, [attr], the four combinators, :not, :first-child, :nth-child"


def _check_css(tree: css.Tree) -> None:
    if isinstance(tree, css.Element):
        if tree.namespace is not None:
            raise _Wrong("a namespace", _CSS_ALLOWED)
        return
    if isinstance(tree, css.CombinedSelector):
        if tree.combinator not in _COMBINATORS:
            raise _Wrong(f"combinator {tree.combinator}", _CSS_ALLOWED)
        _check_css(tree.subselector)
    elif isinstance(tree, css.Negation):
        _check_css(tree.subselector)
    elif isinstance(tree, css.Pseudo):
        if tree.ident != "first-child":
            raise _Wrong(f":{tree.ident}", _CSS_ALLOWED)
    elif isinstance(tree, css.Function):
        if tree.name != "nth-child":
            raise _Wrong(f":{tree.name}()", _CSS_ALLOWED)
    elif not isinstance(tree, (css.Class, css.Hash, css.Attrib)):
        raise _Wrong(type(tree).__name__.lower(), _CSS_ALLOWED)
    _check_css(tree.selector)


# --- evaluation -----------------------------------------------------------------------------------

# Each is about 0.25 s on one core of 2024; see the measurements at the head of this file.
_MOST_MERGED = 1_500_000_000
_MOST_CUBED = 600_000_000
_MOST_AROUND = 30_000_000


def _guarded(compiled: etree.XPath, traits: _Traits) -> Select:
    costly = traits.inner > 0 or traits.sideways or traits.around

    def select(root: Element) -> list[object]:
        if costly and len(root) and _too_costly(traits, shape(root)):
            raise LimitHit
        try:
            found: object = compiled(root)
        except etree.XPathError:
            raise LimitHit from None
        if not isinstance(found, list):
            return [_scalar(found)]
        if len(found) > VALUES:
            raise LimitHit
        return found

    return select


def _too_costly(traits: _Traits, tree: Shape) -> bool:
    around = tree.elements * (tree.elements + tree.characters // 8)
    return (
        traits.inner * tree.descents * tree.elements > _MOST_MERGED
        or (traits.sideways and tree.siblings_cubed > _MOST_CUBED)
        or (traits.around and around > _MOST_AROUND)
    )


def _scalar(value: object) -> object:
    """A number of XPath as text (2, not 2.0); a boolean and text as they are."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return value
