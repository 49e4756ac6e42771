"""A decoded lead against a program's fields: canonical names, one value each, every fault at once.

What is not decided here: what becomes of the lead (the pipeline), how faults are told (the contract).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

from gateway.datapost.values import Fault
from gateway.lead.fields import Check, compile_field
from gateway.lead.texts import BLANK
from gateway.lead.values import Checked, Lead
from gateway.settings.models import LeadSettings
from gateway.settings.problems import Report

# A name that can stand in a note's machine part (`email=missing`) and needs escaping nowhere.
_field_name = re.compile(r"[A-Za-z0-9_.:-]{1,64}").fullmatch

_UNKNOWN = Fault("", "unknown", "there are fields that are not known here")


class Checker:
    """The compiled fields of one program. Made by `compile_checker`; total over any lead."""

    __slots__ = ("_aliased", "_canonical", "_checks", "_forward", "_names", "_plan", "_reject")

    def __init__(
        self, plan: tuple[tuple[str, Fault | None, Fault, Check | None], ...], canonical: dict[str, str], unknown: str
    ) -> None:
        self._plan = plan  # canonical name, fault when missing (None: optional), fault when repeated, check
        self._canonical = canonical  # every name a field may arrive under -> its own
        self._names = tuple(name for name, *_ in plan)
        self._checks = tuple((name, check) for name, _, _, check in plan if check is not None)
        self._aliased = canonical.keys() - set(self._names)
        self._forward = unknown == "forward"
        self._reject = unknown == "reject"

    def __call__(self, lead: Lead, today: datetime.date) -> Checked:
        """Check a lead; `today` is the date in the program's time zone."""
        # Most leads have each name once, and no alias: then the pairs are the mapping.
        sent = dict(lead.pairs)
        repeated: frozenset[str] = frozenset()
        further: list[tuple[str, str]] = []
        if len(sent) != len(lead.pairs) or lead.listed or not self._aliased.isdisjoint(sent):
            sent, repeated, further = self._sort_out(lead)
        elif len(sent) == len(self._names) and (complete := self._complete(sent, today)) is not None:
            return complete

        fields: dict[str, str] = {}
        typed: dict[str, object] = {}
        faults: list[Fault] = []
        for name, missing, doubled, check in self._plan:
            text = sent.pop(name, "").strip(BLANK)
            # White space beyond ASCII's, alone, is nothing as well.
            if not text or text.isspace():
                if missing is not None:
                    faults.append(missing)
                continue
            if name in repeated:
                faults.append(doubled)
                continue
            fields[name] = text
            if check is None:
                typed[name] = text
                continue
            value = check(text, today)
            if value.__class__ is Fault:
                faults.append(value)
            else:
                typed[name] = value

        unknown = {name: text for name, text in sent.items() if text and not text.isspace()} if sent else sent
        if self._forward:
            fields.update((name, text.strip(BLANK)) for name, text in unknown.items())
            if further:
                _number(further, fields)
        elif self._reject and unknown:
            faults.append(_UNKNOWN)
        return Checked(fields, typed, tuple(faults), len(unknown))

    def _complete(self, sent: Mapping[str, str], today: datetime.date) -> Checked | None:
        """The short way of a lead that has a text in each field and nothing else; None for any other."""
        try:
            fields = {name: sent[name].strip(BLANK) for name in self._names}
        except KeyError:
            return None
        if not all(fields.values()) or any(map(str.isspace, fields.values())):
            return None
        typed: dict[str, object] = {**fields}
        faults: list[Fault] = []
        for name, check in self._checks:
            value = check(fields[name], today)
            if value.__class__ is Fault:
                faults.append(value)
                del typed[name]
            else:
                typed[name] = value
        return Checked(fields, typed, tuple(faults), 0)

    def field_of(self, name: str) -> str | None:
        """The field that a name as sent belongs to; None for an unknown one."""
        return self._canonical.get(name)

    def _sort_out(self, lead: Lead) -> tuple[dict[str, str], frozenset[str], list[tuple[str, str]]]:
        """A lead with aliases, repetitions or lists: (first value of each field and unknown name, fields that have
        no single value, the further values of unknown names).

        A field is repeated when one of its names stands twice, be it once without a value (legacy systems differ in
        which one they take), when two of its names hold values, and when its value is a list. With no value anywhere
        it is absent.
        """
        first: dict[str, str] = {}
        further: list[tuple[str, str]] = []
        repeated = {self._canonical[name] for name in lead.listed if name in self._canonical}
        met: set[str] = set()
        for sent, text in lead.pairs:
            name = self._canonical.get(sent)
            if name is not None and sent in met:
                repeated.add(name)
            met.add(sent)
            if not text or text.isspace():
                continue
            if name is not None and name in first:
                repeated.add(name)
            elif name is None and sent in first:
                further.append((sent, text))
            else:
                first[name or sent] = text
        return first, frozenset(repeated), further


def _number(further: list[tuple[str, str]], fields: dict[str, str]) -> None:
    """Add further values as `name[1]`, `name[2]`…, past such names as were sent themselves."""
    last: dict[str, int] = {}
    for name, text in further:
        number = last.get(name, 0) + 1
        while (key := f"{name}[{number}]") in fields:
            number += 1
        last[name] = number
        fields[key] = text.strip(BLANK)


def compile_checker(settings: LeadSettings, report: Report) -> Checker:
    """The checker of a program; errors of the fields are added to `report`, which stands at the `lead` block."""
    canonical: dict[str, str] = {}
    for name in settings.fields:
        if not _field_name(name):
            report.at("fields", name).error(
                "is no name for a field",
                "1 to 64 letters, digits and _ . : - ; any other spelling goes under aliases",
                key=True,
            )
        canonical[name] = name
    plan = []
    for name, field in settings.fields.items():
        here = report.at("fields", name)
        for place, alias in enumerate(field.aliases):
            if (owner := canonical.setdefault(alias, name)) != name or alias in (name, *field.aliases[:place]):
                here.at("aliases", place).error(f"already names the field {owner}")
        missing = Fault(name, "missing", "is missing") if field.required else None
        doubled = Fault(name, "repeated", "is given more than once or as a list")
        plan.append((name, missing, doubled, compile_field(name, field, here)))
    return Checker(tuple(plan), canonical, settings.unknown_fields)
