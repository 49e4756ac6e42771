"""What libyaml says about broken YAML, in words that name the cure. Its own texts never quote the file."""

from __future__ import annotations

import yaml

_QUOTE_IN_BRACES = "inside {…} quote paths that contain [ ] { } or ,"
_QUOTE_IN_BRACKETS = "inside […] quote text that contains [ ] { } or ,"

#: libyaml's problem -> what is wrong; what is allowed.
_EXPLAINED: dict[str, tuple[str, str]] = {
    "mapping values are not allowed in this context": (
        "a key cannot stand here",
        "a key at the depth of its neighbours; quote text that has a colon and a blank in it",
    ),
    "did not find expected key": ("a key is expected here", "a key at the depth of its neighbours"),
    "did not find expected '-' indicator": ("an item that begins with - is expected here", "items at one depth"),
    "block sequence entries are not allowed in this context": (
        "an item cannot begin here",
        "each - on a line of its own, or [a, b]",
    ),
    "did not find expected alphabetic or numeric character": (
        "* and & do not begin a text",
        "quote text that begins with * or &",
    ),
    "did not find expected <document start>": ("the file goes on behind its end", "one block of keys"),
    "found unknown escape character": (
        "is no escape that double quotes know",
        r"write \\ for a backslash, or put the text in single quotes",
    ),
    "found invalid Unicode character escape code": (
        "this escape names no character",
        r"\u0000 to \ud7ff and \ue000 up",
    ),
    "found unexpected document indicator": ("--- or ... stands inside quotes", "quotes that are closed before it"),
    "did not find expected comment or line break": ("text stands behind | or >", "text on the lines below it"),
    "found unknown directive name": ("is a directive", "no lines that begin with %"),
    "exceeded maximum nesting depth": ("is nested too deep", "a flatter block"),
    "found incompatible YAML document": ("is YAML of another version", "no lines that begin with %"),
}


def explain_syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[tuple[int, int], str, str]:
    """((line, column) from 1, what is wrong, what is allowed)."""
    problem = error.problem or ""
    mark = error.problem_mark or error.context_mark
    start = error.context_mark
    here = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    opened = (start.line + 1, start.column + 1) if start is not None else here
    match problem:
        case "did not find expected ',' or '}'":
            return here, f"a , or }} is expected here {_since('{', opened)}", _QUOTE_IN_BRACES
        case "did not find expected ',' or ']'":
            return here, f"a , or ] is expected here {_since('[', opened)}", _QUOTE_IN_BRACKETS
        case "could not find expected ':'":
            return opened, "a colon is missing behind this key", "key: value"
        case "found unexpected end of stream":
            return opened, "a quote that is opened here is not closed", "the same quote at its end"
        case "found character that cannot start any token":
            if _character(text, here) == "\t":
                return here, "a tab stands before a key", "blanks to indent with"
            return here, "this character cannot begin a text", "quote text that begins with @ ` or %"
    wrong, allowed = _EXPLAINED.get(problem, (f"is no YAML ({problem})", ""))
    return here, wrong, allowed


def _since(bracket: str, opened: tuple[int, int]) -> str:
    return f"(since the {bracket} in line {opened[0]}, column {opened[1]})"


def _character(text: str, here: tuple[int, int]) -> str:
    lines = text.splitlines()
    line = lines[here[0] - 1] if here[0] <= len(lines) else ""
    return line[here[1] - 1 : here[1]]
