"""Amounts of money as legacy answers write them -> `10.00`, exactly, or unreadable.

A program says which sign parts the decimals and which currency is meant; what does not fit that is
unreadable, never guessed at and never rounded: two currencies, a minus sign or brackets, more than two
decimals that say something (`10.500` is 10.50, `10.505` is unreadable), wrong grouping (`1,23`), a leading
zero (`0010`: tens, or cents?), a number that ends in its decimal sign (cut off?), exponents, other digits
than ASCII's, more than 999999.99. Grouping may be by the other sign, blanks or apostrophes, of one kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.settings.models import Money

#: Signs that mean a currency where it is the one configured; any other currency is known by its code alone.
_SIGNS = {
    "AUD": ("AU$", "A$", "$"),
    "BRL": ("R$",),
    "CAD": ("CA$", "C$", "$"),
    "CHF": ("Fr.", "SFr."),
    "CNY": ("CN¥", "¥", "￥"),
    "CZK": ("Kč",),
    "DKK": ("kr.", "kr"),
    "EUR": ("€",),
    "GBP": ("£",),
    "HKD": ("HK$", "$"),
    "ILS": ("₪",),
    "INR": ("₹", "Rs.", "Rs"),
    "JPY": ("JP¥", "¥", "￥"),
    "KRW": ("₩",),
    "MXN": ("MX$", "$"),
    "NOK": ("kr.", "kr"),
    "NZD": ("NZ$", "$"),
    "PLN": ("zł",),
    "SEK": ("kr.", "kr"),
    "SGD": ("S$", "$"),
    "TRY": ("₺",),
    "UAH": ("₴",),
    "USD": ("US$", "$"),
    "ZAR": ("R",),
}
_BLANKS = " \u00a0\u2009\u202f"
_APOSTROPHES = "'’"
#: Longer than any amount that can be read: not looked at.
_LONGEST = 64
#: Written as it is told: most are, and this is a quarter of the work.
_as_told = re.compile(r"(?:0|[1-9][0-9]{0,5})\.[0-9]{2}").fullmatch

#: What is written -> `10.00`; None: unreadable.
ReadMoney = Callable[[str], str | None]


def compile_money(money: Money) -> ReadMoney:
    """The reader of amounts written as `money` says."""
    names = (money.currency, *_SIGNS.get(money.currency, ()))
    name = "(?:" + "|".join(re.escape(one) for one in sorted(names, key=len, reverse=True)) + ")"
    blank = f"[{_BLANKS}]"
    grouping = {".": ",", ",": "."}[money.decimal] + _BLANKS + _APOSTROPHES
    shape = re.compile(
        rf"(?:{name}{blank}{{0,2}})?"
        rf"(?:(?P<plain>0|[1-9][0-9]*)"
        rf"|(?P<grouped>[1-9][0-9]{{0,2}}(?P<mark>[{grouping}])[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*)"
        rf"|(?=[{money.decimal}]))"
        rf"(?:[{money.decimal}](?P<decimals>[0-9]+))?"
        rf"(?:{blank}{{0,2}}{name})?",
        re.IGNORECASE,
    )
    fullmatch = shape.fullmatch
    as_told = _as_told if money.decimal == "." else None

    def read(written: str) -> str | None:
        if as_told is not None and as_told(written):
            return written
        if len(written) > _LONGEST or (found := fullmatch(written.strip())) is None:
            return None
        plain, grouped, mark, decimals = found.group("plain", "grouped", "mark", "decimals")
        whole = plain or (grouped.replace(mark, "") if grouped else "0")
        cents = (decimals or "").rstrip("0")
        if len(whole) > 6 or len(cents) > 2:
            return None
        return f"{whole}.{cents:0<2}"

    return read
