"""From bytes to text, by rules that hold for every encoding of a lead.

Charsets are UTF-8, ISO-8859-1 and windows-1252, always strict. Names and values may hold any character but
control characters (C0 except TAB, LF and CR; DEL; C1), lone surrogates and non-characters: a lead with one of
those is malformed, whichever way it was written (raw, percent escape, `\\u`, character reference), so that what was
checked is what the legacy endpoint, the journal and the log can hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain

from gateway.datapost.reasons import Reason
from gateway.lead.values import Undecodable

UTF_8 = "utf-8"
# ISO-8859-1 is read as windows-1252, as browsers do (WHATWG Encoding 4.2): the two differ only in C1 controls,
# which are never taken, and which are windows-1252 in practice wherever they turn up in mislabelled text.
WINDOWS_1252 = "cp1252"

_CODECS = {
    "utf-8": UTF_8,
    "utf8": UTF_8,
    "iso-8859-1": WINDOWS_1252,
    "iso8859-1": WINDOWS_1252,
    "iso_8859-1": WINDOWS_1252,
    "latin1": WINDOWS_1252,
    "latin-1": WINDOWS_1252,
    "l1": WINDOWS_1252,
    "windows-1252": WINDOWS_1252,
    "cp1252": WINDOWS_1252,
    "x-cp1252": WINDOWS_1252,
}

#: What counts as nothing around a value: the blanks of ASCII. Other white space is part of the value, since
#: nobody knows whether the legacy endpoint would trim it.
BLANK = " \t\r\n"

_NON_CHARACTERS = "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
_NOT_TEXT = re.compile(f"[\ud800-\udfff\ufdd0-\ufdef{_NON_CHARACTERS}]").search
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]").search

NOT_IN_CHARSET = Undecodable(Reason.MALFORMED, "the body is not valid text in its charset")
CONTROL_CHARACTER = Undecodable(Reason.MALFORMED, "a field holds a control character")
NOT_TEXT = Undecodable(Reason.MALFORMED, "a field holds characters that are not text")
UNKNOWN_CHARSET = Undecodable(
    Reason.UNSUPPORTED_MEDIA_TYPE, "the charset is not taken here; UTF-8, ISO-8859-1 and windows-1252 are"
)
TOO_MANY_FIELDS = Undecodable(Reason.TOO_LARGE, "there are too many fields")
NAME_TOO_LONG = Undecodable(Reason.MALFORMED, "a field's name is too long")

#: Longest dotted name in characters. Nesting repeats the outer names before each inner one, so without a
#: bound a small body could grow to many times its size.
MAX_NAME = 1000


def codec_of(label: str) -> str | None:
    """The Python codec for a charset's label in any case; None for one that is not taken."""
    return _CODECS.get(label.lower())


def forbidden(texts: Iterable[tuple[str, str]]) -> Undecodable | None:
    """What is wrong when a name or a value holds a character that no lead may hold; None when none does."""
    joined = "".join(chain.from_iterable(texts))
    # Printable text holds none of them, and asking that is several times faster than the patterns.
    if joined.isprintable():
        return None
    if _CONTROL(joined) is not None:
        return CONTROL_CHARACTER
    return NOT_TEXT if _NOT_TEXT(joined) is not None else None
