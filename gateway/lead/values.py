"""What decoding and checking hand on: leads, their faults, and why a body is no lead.

None of these shows a value of a lead in its repr. What is made for every lead is a named tuple: immutable as a frozen
dataclass is, at a quarter of the cost of making one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gateway.datapost.reasons import Reason
from gateway.datapost.values import Fault


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Why a body could not be read as a lead.

    reason: MALFORMED, UNSUPPORTED_MEDIA_TYPE or TOO_LARGE.
    text: fixed English words for people, made of the characters a fault's text is made of; never a value.
    """

    reason: Reason
    text: str


class Lead(NamedTuple):
    """A decoded lead, before any rule has looked at it; the same shape from every encoding.

    pairs: names and text in the order received; a name may occur more than once. Text is as sent, untrimmed.
    encoding: form, json or xml.
    listed: names whose value is, or stands inside, a JSON array or a repeated XML element. Such a name has no
        single value, even when it occurs among the pairs once or not at all.
    """

    pairs: tuple[tuple[str, str], ...]
    encoding: str
    listed: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Lead({len(self.pairs)} pairs, {self.encoding})"


class Checked(NamedTuple):
    """What the fields' rules made of a lead.

    fields: canonical name -> trimmed text: the configured fields that are present and have one value, faulty ones
        included, in configured order; then unknown ones where they are forwarded. A repeated unknown name keeps its
        first value, the others stand under `name[1]`, `name[2]` and so on.
    typed: canonical name -> value (str, int, Decimal, date) of each configured field without a fault.
    faults: in configured order, at most one a field; a fault of the whole lead comes last.
    unknown: how many names sent with a value are no field's, whatever becomes of them.
    """

    fields: Mapping[str, str]
    typed: Mapping[str, object]
    faults: tuple[Fault, ...]
    unknown: int

    def __repr__(self) -> str:
        return f"Checked({len(self.fields)} fields, faults={self.faults!r}, unknown={self.unknown})"
