"""The note: a sentence for people, then a machine part: `[lead_invalid ref=01JD… email=missing more=2]`.

Decides what is said, in which order, and what gives way when there is more than 255 characters hold: the
sentence is shortened, the machine part never (it holds whole faults, then how many more there are).
Reference and reason stand first in the machine part, so a field that is called `ref` or `more` cannot be
taken for either: its value is a fault's kind, not a reference and not a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from gateway.datapost.reasons import Reason
from gateway.datapost.values import Fault
from gateway.datapost.wording import capital, clean, shorten

MOST = 255
MOST_MACHINE = 160

#: What would end a word of the machine part, or need an escape. Blanks are any.
_unsafe_in_word = re.compile(r'[\s=\[\]<>&"\\]').sub


class Names:
    """The configured field names as they are said in a sentence and as words of the machine part."""

    __slots__ = ("_known",)

    def __init__(self, fields: Iterable[str]) -> None:
        self._known: Mapping[str, tuple[str, str]] = {name: _spell(name) for name in fields}

    def __call__(self, name: str) -> tuple[str, str]:
        """(in a sentence, in the machine part): `("postal code", "postal_code")`."""
        return self._known.get(name) or _spell(name)


def _spell(name: str) -> tuple[str, str]:
    return clean(name.replace("_", " ")) or "field", _unsafe_in_word("_", clean(name)) or "field"


def plain_note(reason: Reason, reference: str) -> str:
    """The note of a reason that has nothing to add: its sentence is short, nothing needs cutting."""
    return f"{reason.sentence} [{reason.slug} ref={reference}]"


def told_note(text: str, reason: Reason, reference: str) -> str:
    """The note that says `text` (cleaned and masked already; empty: the reason's own sentence)."""
    machine = f"[{reason.slug} ref={reference}]"
    return f"{shorten(text or reason.sentence, MOST - len(machine) - 1)} {machine}"


def fault_note(faults: Sequence[Fault], unknown: int, names: Names, reason: Reason, reference: str) -> str:
    """The note that says what is wrong with the lead: all faults as far as they fit, in the order given."""
    machine = _machine(faults, unknown, names, reason, reference)
    clauses = [f"{names(fault.field)[0]} {fault.text}" if fault.field else fault.text for fault in faults]
    if not clauses and unknown:
        clauses = ["1 field is not known" if unknown == 1 else f"{unknown} fields are not known"]
    sentence = capital(clean("; ".join(clauses))) + "." if clauses else reason.sentence
    return f"{shorten(sentence, MOST - len(machine) - 1)} {machine}"


def _machine(faults: Sequence[Fault], unknown: int, names: Names, reason: Reason, reference: str) -> str:
    head = f"[{reason.slug} ref={reference}"
    tail = f" unknown={unknown}]" if unknown else "]"
    words = [
        f" {names(fault.field)[1] if fault.field else 'lead'}={fault.kind}"
        for fault in faults
        # That there are unknown fields is told by their number.
        if not (unknown and fault.kind == "unknown" and not fault.field)
    ]
    told = "".join(words)
    if len(head) + len(told) + len(tail) <= MOST_MACHINE:
        return head + told + tail

    def cut(count: int) -> str:
        return f"{head}{''.join(words[:count])} more={len(words) - count}{tail}"

    count = 0
    while len(cut(count + 1)) <= MOST_MACHINE:
        count += 1
    return cut(count)
