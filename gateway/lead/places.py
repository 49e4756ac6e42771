"""US states and postal codes: small tables of our own, ASCII only.

States are the 50, DC, the territories with a postal service (AS, GU, MP, PR, VI) and the military ones (AA, AE, AP).
Postal codes are checked for their form, not for whether anybody lives there.
"""

from __future__ import annotations

import re
from itertools import product

_STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY "
    "NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC AS GU MP PR VI AA AE AP"
)

#: Each spelling in upper and lower case -> the code. A table and not `upper()`, which makes FL of the ligature U+FB02.
US_STATES = {
    first + second: code
    for code in _STATES.split()
    for first, second in product((code[0], code[0].lower()), (code[1], code[1].lower()))
}

_ZIP = re.compile(r"[0-9]{5}(?:-[0-9]{4})?").fullmatch
# Canada Post: no D, F, I, O, Q, U anywhere, no W or Z in front.
_CANADIAN = re.compile(
    r"([ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z])[ -]?([0-9][ABCEGHJ-NPRSTV-Z][0-9])", re.ASCII | re.IGNORECASE
).fullmatch
# Royal Mail: A9, A99, AA9, AA99, A9A, AA9A in front, then 9AA without C, I, K, M, O, V; and GIR 0AA.
_BRITISH = re.compile(
    r"(GIR|[A-PR-UWYZ](?:[0-9]{1,2}|[A-HK-Y][0-9]{1,2}|[0-9][A-HJKPSTUW]|[A-HK-Y][0-9][ABEHMNPRVWXY]))"
    r" ?([0-9][ABD-HJLNP-UW-Z]{2})",
    re.ASCII | re.IGNORECASE,
).fullmatch


def zip_code(text: str) -> str | None:
    """A ZIP (94103) or ZIP+4 (94103-1234) code as it stands; None for anything else."""
    return text if _ZIP(text) else None


def canadian(text: str) -> str | None:
    """`k1a0b1`, `K1A 0B1` or `K1A-0B1` as `K1A 0B1`."""
    found = _CANADIAN(text)
    return f"{found[1]} {found[2]}".upper() if found else None


def british(text: str) -> str | None:
    """`sw1a1aa` or `SW1A 1AA` as `SW1A 1AA`."""
    found = _BRITISH(text)
    return f"{found[1]} {found[2]}".upper() if found else None


#: Country -> (reader of a code, what a text is not when it is none).
POSTAL_CODES = {
    "US": (zip_code, "is not a US ZIP code"),
    "CA": (canadian, "is not a Canadian postal code"),
    "GB": (british, "is not a UK postcode"),
}
