"""What all parts of a block share while it is compiled: where a source stands, keys, scalars, lists, verdict words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, unique

from gateway.answers.limits import ALTERNATIVES
from gateway.answers.literals import key
from gateway.datapost.values import Verdict
from gateway.settings.problems import Report


@unique
class Use(Enum):
    """Where a source stands, which decides what it may say and what counts as yielding something."""

    MEMBER = "values"
    NOTE = "note"
    CONDITION = "a condition"
    VERDICT = "a verdict"
    UNWRAP = "unwrap"


@dataclass(slots=True)
class Block:
    """What is known of the whole block while its parts are compiled."""

    namespaces: Mapping[str, str] | None = None
    entries: int = 0  # of all maps so far


def check_keys(raw: Mapping[str, object], allowed: Iterable[str], report: Report) -> bool:
    """Report keys that are not known here, with the nearest one that is."""
    names = list(allowed)
    fine = True
    for name in raw:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(names)}"
            report.at(name).error("unknown key", hint, key=True)
            fine = False
    return fine


def scalar(raw: object, report: Report) -> str | None:
    """A text that must be there, or None after reporting."""
    if isinstance(raw, str) and raw:
        return raw
    if isinstance(raw, str) or raw is None:
        report.error("is empty")
    else:
        report.error("is no text", "one word or text")
    return None


def flag(raw: object, report: Report) -> bool | None:
    """`true` or `false`, or None after reporting."""
    if raw in ("true", "false"):
        return raw == "true"
    report.error("is neither true nor false", "true or false")
    return None


def literals(raw: object, report: Report) -> tuple[str, ...] | None:
    """A literal or a list of them, as compared; None after reporting."""
    entries = raw if isinstance(raw, list) else [raw]
    found: list[str] = []
    for index, entry in enumerate(entries):
        place = report.at(index) if isinstance(raw, list) else report
        if entry is None or (isinstance(entry, str) and not key(entry)):
            place.error("is empty", "a text; for what is empty there is empty: true")
        elif isinstance(entry, str):
            found.append(key(entry))
        else:
            place.error("is no text", "a text or a list of texts")
    if not entries:
        report.error("is empty", "a text or a list of texts")
    return tuple(found) if len(found) == len(entries) and found else None


def entries_of(raw: list[object], report: Report) -> bool:
    """Whether a list of alternatives has a length that is allowed."""
    if not raw:
        report.error("is empty", "at least one entry")
    elif len(raw) > ALTERNATIVES:
        report.error(f"{len(raw)} entries", f"at most {ALTERNATIVES}")
    return 0 < len(raw) <= ALTERNATIVES


def verdict_of(word: object, report: Report) -> Verdict | None:
    """The verdict that a word names, or None after reporting."""
    if isinstance(word, str) and word in Verdict._value2member_map_:
        return Verdict(word)
    shown = word if isinstance(word, str) and word else "this"
    report.error(f"{shown} is no verdict", "accepted, rejected, duplicate or error")
    return None
