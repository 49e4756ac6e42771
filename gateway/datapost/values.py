"""The values that the decision rooms hand to each other: faults, readings, the six members."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule on one field. Never holds a value of the lead.

    field: the configured (canonical) name; "" for the lead as a whole.
    kind: the machine word, `[a-z_]+`: missing, format, length, range, pattern, enum, age, repeated, unknown …
    text: what people read after the field's name: "is missing", "is not a US number". Made of letters, digits
        and `.,;:'()-/` so that it needs escaping in neither JSON nor XML.
    """

    field: str
    kind: str
    text: str


@unique
class Verdict(Enum):
    """What a legacy answer said about the lead."""

    __hash__ = object.__hash__  # by identity, as they compare; the one of Enum is written in Python

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    ERROR = "error"


class Reading(NamedTuple):
    """What the answer rules made of a legacy answer. An absent member is None, never an empty text.

    verdict None: no rule matched (`unrecognized_answer`). rule: the rule's name, "" when none matched.
    kind: json, xml, html, form, text or empty. limited: a limit was hit while reading.
    """

    verdict: Verdict | None
    rule: str = ""
    kind: str = "empty"
    uniqueid: str | None = None
    sale_amount: str | None = None
    customerid: str | None = None
    email: str | None = None
    note: str | None = None
    release: bool = False
    limited: bool = False


class DataPostResponse(NamedTuple):
    """The six members, in this order; valid a boolean, the rest text, empty when there is nothing to say."""

    valid: bool
    uniqueid: str = ""
    sale_amount: str = ""
    customerid: str = ""
    email: str = ""
    note: str = ""
