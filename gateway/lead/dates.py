"""Dates in explicit formats, and ages.

Formats are written as for strptime but read strictly: %Y is four ASCII digits, %m and %d are two, everything else
stands for itself. strptime takes one digit for two, any white space for a blank, and digits of any script.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence

from gateway.settings.problems import Report

_DIGITS = {"%Y": "(?P<year>[0-9]{4})", "%m": "(?P<month>[0-9]{2})", "%d": "(?P<day>[0-9]{2})", "%%": "%"}
_piece = re.compile(r"%.?|[^%]+", re.DOTALL).findall
_ALLOWED = "%Y, %m and %d once each, %% for a percent sign"


def compile_dates(formats: Sequence[str], report: Report) -> Callable[[str], datetime.date | None]:
    """A reader of dates: the first format that fits and gives a day of the calendar wins; None when none does.

    Errors are reported at `formats`. Two formats that fit the same texts get a warning: 03/04/1980 has one
    meaning only because one of them stands first.
    """
    readers: list[tuple[Callable[[str], re.Match[str] | None], Callable[[str], datetime.date] | None]] = []
    shapes: dict[str, int] = {}
    for place, text in enumerate(formats):
        pattern = _pattern(text, report.at(place))
        if pattern is None:
            continue
        # What ISO 8601 and the standard library call a date, once its form is known to be this one.
        iso = datetime.date.fromisoformat if text == "%Y-%m-%d" else None
        readers.append((re.compile(pattern).fullmatch, iso))
        shape = re.sub("<[a-z]+>", "", pattern)
        if (first := shapes.setdefault(shape, place)) != place:
            report.at(place).warn(f"fits the same dates as {formats[first]}, which stands before it")

    def read_date(text: str) -> datetime.date | None:
        for match, iso in readers:
            if (found := match(text)) is not None:
                try:
                    if iso is not None:
                        return iso(text)
                    return datetime.date(int(found["year"]), int(found["month"]), int(found["day"]))
                except ValueError:  # 30 February, month 13, year 0000
                    continue
        return None

    return read_date


def _pattern(text: str, report: Report) -> str | None:
    pattern = ""
    seen = []
    for piece in _piece(text):
        if not piece.startswith("%"):
            if not piece.isascii() or not piece.isprintable():
                report.error("holds a character that is not printable ASCII", _ALLOWED)
                return None
            pattern += re.escape(piece)
        elif piece in _DIGITS:
            pattern += _DIGITS[piece]
            seen.append(piece)
        else:
            report.error(f"the strptime directive {piece} is not supported", _ALLOWED)
            return None
    if sorted(piece for piece in seen if piece != "%%") != ["%Y", "%d", "%m"]:
        report.error("does not say year, month and day once each", _ALLOWED)
        return None
    return pattern


def age(born: datetime.date, today: datetime.date) -> int:
    """Full years on `today`; negative before the birth. Someone born on 29 February is a year older on 1 March."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
