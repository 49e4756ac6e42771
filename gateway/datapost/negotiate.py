"""JSON or XML: read from the Accept header (RFC 9110 section 12.5.1), where a program says `negotiate`.

The default is JSON, and XML is given only to who asks for it and for nothing that JSON would satisfy: a
header that names an XML type, names no JSON type and does not cover JSON by a wildcard. A header that cannot
be read gives the default; there is no 406.
"""

from __future__ import annotations

import re
from enum import Enum, unique
from functools import lru_cache


@unique
class Format(Enum):
    """The two forms of an answer, each with its Content-Type."""

    JSON = "application/json; charset=utf-8"
    XML = "application/xml; charset=utf-8"

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type


_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = r'"(?:[\t !#-\[\]-~\x80-\uffff]|\\[\t -~\x80-\uffff])*+"'
_PARAMETER = rf"[ \t]*+;[ \t]*+(?:{_NAME}=(?:{_NAME}|{_QUOTED}))?+"
# One element of the list, or none (RFC 9110 section 5.6.1.2: empty elements are passed over). All quantifiers
# are possessive: the header is a stranger's, and nothing in it may be read twice.
_element = re.compile(rf"[ \t]*+(?:({_NAME})/({_NAME})((?:{_PARAMETER})*+))?+[ \t]*+(?:,|\Z)").match
_parameters = re.compile(rf";[ \t]*+({_NAME})=({_NAME}|{_QUOTED})").findall
_qvalue = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch

# (type, subtype, whether q is above zero)
_Range = tuple[str, str, bool]


@lru_cache(maxsize=64)
def negotiated(accept: str | None) -> Format:
    """The form that an Accept header's value asks for; None is no header. Total."""
    ranges = _read(accept) if accept else None
    if not ranges:
        return Format.JSON
    # Excluded by q=0 is what no element names with a weight above zero.
    wanted = {(kind, subtype): False for kind, subtype, _ in ranges}
    for kind, subtype, above_zero in ranges:
        wanted[kind, subtype] |= above_zero
    if not any(_is(subtype, kind, "xml") for (kind, subtype), yes in wanted.items() if yes):
        return Format.JSON
    if any(_is(subtype, kind, "json") for (kind, subtype), yes in wanted.items() if yes):
        return Format.JSON
    # The most specific element that speaks of application/json decides whether a wildcard covers it.
    for range_ in (("application", "json"), ("application", "*"), ("*", "*")):
        if range_ in wanted:
            return Format.JSON if wanted[range_] else Format.XML
    return Format.XML


def _is(subtype: str, kind: str, word: str) -> bool:
    """`application/xml`, `text/xml`, and by their suffix (RFC 6838 section 4.2.8) `…+xml`."""
    return (subtype == word and kind in ("application", "text")) or subtype.endswith("+" + word)


def _read(accept: str) -> list[_Range] | None:
    """The media ranges in the order given; None when the header cannot be read."""
    ranges: list[_Range] = []
    at = 0
    while at < len(accept):
        found = _element(accept, at)
        if found is None:
            return None
        at = found.end()
        if found[1] is None:
            continue
        kind, subtype = found[1].lower(), found[2].lower()
        if kind == "*" and subtype != "*":
            return None
        parameters = _parameters(found[3])
        weights = [value for name, value in parameters if name.lower() == "q"]
        if len(weights) > 1 or not all(map(_qvalue, weights)):
            return None
        above_zero = not weights or float(weights[0]) > 0
        # What refuses one version or profile of a type does not refuse the type.
        if above_zero or len(parameters) == 1:
            ranges.append((kind, subtype, above_zero))
    return ranges
