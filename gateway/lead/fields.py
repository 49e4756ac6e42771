"""Field types: each field's settings -> one function from its text to its typed value or its fault.

A field has at most one fault, the first of: length, the type's own form, range, pattern. Fault texts say what the
rule is, in words that need no escaping in JSON or XML, and never what was sent.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from typing import assert_never

from gateway.datapost.values import Fault
from gateway.lead.contacts import compile_phone, known_region, read_email
from gateway.lead.dates import age, compile_dates
from gateway.lead.places import POSTAL_CODES, US_STATES
from gateway.lead.texts import BLANK
from gateway.settings.models import (
    AnyField,
    DateField,
    DecimalField,
    EmailField,
    EnumField,
    IntegerField,
    PhoneField,
    PostalCodeField,
    StringField,
    UsStateField,
)
from gateway.settings.patterns import compile_pattern
from gateway.settings.problems import Report

#: (text: trimmed, not empty; the program's today) -> the typed value, or a Fault.
Check = Callable[[str, datetime.date], object]

# 100 digits are more than any amount or ID has, and keep int() and Decimal() cheap.
_integer = re.compile(r"-?[0-9]{1,100}").fullmatch
_decimal = re.compile(r"-?[0-9]{1,100}(?:\.([0-9]{1,100}))?").fullmatch


def compile_field(name: str, settings: AnyField, report: Report) -> Check | None:
    """The check of one field; None when any text will do. `report` stands at the field's block."""
    check = _typed(name, settings, report)
    if settings.min_length is not None or settings.max_length is not None:
        check = _with_length(name, settings, check, report)
    if settings.pattern is not None:
        check = _with_pattern(name, settings.pattern, check, report)
    return check


def _with_length(name: str, settings: AnyField, check: Check | None, report: Report) -> Check:
    shortest = settings.min_length or 0
    longest = settings.max_length
    if longest is not None and shortest > longest:
        report.at("min_length").error(f"is more than max_length ({longest})", f"at most {longest}")
    too_short = Fault(name, "length", f"is shorter than {_characters(shortest)}")
    too_long = Fault(name, "length", f"is longer than {_characters(longest or 0)}")

    def with_length(text: str, today: datetime.date) -> object:
        if len(text) < shortest:
            return too_short
        if longest is not None and len(text) > longest:
            return too_long
        return text if check is None else check(text, today)

    return with_length


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count} characters"


def _with_pattern(name: str, pattern: str, check: Check | None, report: Report) -> Check | None:
    matches = compile_pattern(pattern, report.at("pattern"))
    if matches is None:
        return check
    fault = Fault(name, "pattern", "does not have the expected form")
    if check is None:
        return lambda text, today: text if matches(text) else fault

    def with_pattern(text: str, today: datetime.date) -> object:
        value = check(text, today)
        return value if matches(text) or isinstance(value, Fault) else fault

    return with_pattern


def _typed(name: str, settings: AnyField, report: Report) -> Check | None:
    match settings:
        case StringField():
            return None
        case IntegerField():
            return _integers(name, settings, report)
        case DecimalField():
            return _decimals(name, settings, report)
        case EmailField():
            return _read(read_email, Fault(name, "format", "is not an e-mail address"))
        case PhoneField(region=region):
            if not known_region(region):
                report.at("region").error("is no region with phone numbers", "an ISO 3166 code such as US, CA or GB")
                return None
            return _read(compile_phone(region), Fault(name, "format", f"is not a {region} number"))
        case UsStateField():
            return _read(US_STATES.get, Fault(name, "format", "is not a two-letter US state"))
        case PostalCodeField(country=country):
            read, text = POSTAL_CODES[country]
            return _read(read, Fault(name, "format", text))
        case DateField():
            return _dates(name, settings, report)
        case EnumField():
            return _words(name, settings, report)
    assert_never(settings)


def _read(read: Callable[[str], str | None], fault: Fault) -> Check:
    def check(text: str, today: datetime.date) -> object:
        value = read(text)
        return fault if value is None else value

    return check


def _integers(name: str, settings: IntegerField, report: Report) -> Check:
    low, high = settings.min, settings.max
    if low is not None and high is not None and low > high:
        report.at("min").error(f"is above max ({high})", f"at most {high}")
    malformed = Fault(name, "format", "is not a whole number")
    below, above = Fault(name, "range", f"is below {low}"), Fault(name, "range", f"is above {high}")

    def check(text: str, today: datetime.date) -> object:
        if not _integer(text):
            return malformed
        value = int(text)
        if low is not None and value < low:
            return below
        if high is not None and value > high:
            return above
        return value

    return check


def _decimals(name: str, settings: DecimalField, report: Report) -> Check:
    low, high = _bound(settings.min, report.at("min")), _bound(settings.max, report.at("max"))
    if low is not None and high is not None and low > high:
        report.at("min").error(f"is above max ({settings.max})", f"at most {settings.max}")
    places = settings.places
    malformed = Fault(name, "format", "is not a decimal number")
    below, above = Fault(name, "range", f"is below {settings.min}"), Fault(name, "range", f"is above {settings.max}")
    decimals = "1 decimal" if places == 1 else f"{places} decimals"
    too_fine = Fault(name, "places", f"has more than {decimals}" if places else "has decimals")

    def check(text: str, today: datetime.date) -> object:
        found = _decimal(text)
        if found is None:
            return malformed
        if places is not None and len(found[1] or "") > places:
            return too_fine
        value = Decimal(text)
        if low is not None and value < low:
            return below
        if high is not None and value > high:
            return above
        return value

    return check


def _bound(text: str | None, report: Report) -> Decimal | None:
    if text is None:
        return None
    if not _decimal(text):
        report.error("is no decimal number", "digits with at most one point, such as 0, 1000 or -2.50")
        return None
    return Decimal(text)


def _dates(name: str, settings: DateField, report: Report) -> Check:
    read = compile_dates(settings.formats, report.at("formats"))
    youngest, oldest = settings.min_age, settings.max_age
    if youngest is not None and oldest is not None and youngest > oldest:
        report.at("min_age").error(f"is above max_age ({oldest})", f"at most {oldest}")
    malformed = Fault(name, "format", "is not a date in the expected form")
    if youngest is None and oldest is None:
        return _read_date(read, malformed)
    under, over = (
        Fault(name, "age", f"is {word} of age") for word in (f"under {_years(youngest)}", f"over {_years(oldest)}")
    )
    unborn = Fault(name, "age", "is in the future")

    def check(text: str, today: datetime.date) -> object:
        born = read(text)
        if born is None:
            return malformed
        years = age(born, today)
        if born > today:
            return unborn
        if youngest is not None and years < youngest:
            return under
        if oldest is not None and years > oldest:
            return over
        return born

    return check


def _read_date(read: Callable[[str], datetime.date | None], fault: Fault) -> Check:
    def check(text: str, today: datetime.date) -> object:
        return read(text) or fault

    return check


def _years(count: int | None) -> str:
    return "1 year" if count == 1 else f"{count} years"


def _words(name: str, settings: EnumField, report: Report) -> Check:
    seen: set[str] = set()
    for place, word in enumerate(settings.values):
        if not word or word.strip(BLANK) != word:
            report.at("values", place).error("can never be sent: values are trimmed before they are compared")
        elif word in seen:
            report.at("values", place).error(f"{word} stands here twice")
        seen.add(word)
    words = frozenset(settings.values)
    fault = Fault(name, "enum", "is not one of the allowed values")
    return lambda text, today: text if text in words else fault
