"""Patterns that operators write: RE2, so that no value can make them slow; always against the whole value."""

from __future__ import annotations

from collections.abc import Callable

import re2  # type: ignore[import-untyped]

from gateway.settings.problems import Report


def compile_pattern(pattern: str, report: Report) -> Callable[[str], bool] | None:
    """Whether a whole text matches `pattern`; None after reporting one that RE2 does not take."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        whole = re2.compile(pattern, options=options).fullmatch
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        report.error(f"is no RE2 pattern: {text}", "RE2 syntax; it has no look-around and no back-references")
        return None
    # A set of one asks the same automaton without building a match object: a fifth of the time. An automaton that
    # outgrows its memory says no, so a no is asked again in the way that has no such limit. Asked without the
    # library's wrapper in Python, which only encodes, and at the price of the question itself.
    quick = re2.Set.FullMatchSet(options)
    quick.Add(pattern)
    try:
        quick.Compile()
    except re2.error:  # a set has less room for its program than a pattern of its own
        return lambda text: whole(text) is not None
    hits = quick._set.Match
    return lambda text: bool(hits(text.encode())) or whole(text) is not None
