"""Text that people read in a note: made safe for both formats, kept inside its length.

Decides which characters a note may hold and where a text that is too long ends. What is said, and what must
not be said (a lead's values), is decided in `note` and `masking`.
"""

from __future__ import annotations

import re
import unicodedata

#: Characters that would need an escape in JSON or XML, or that frame the machine part, and what stands for
#: them: one character each, so that `AT&T` stays one word and `(` keeps its partner.
_STAND_INS = str.maketrans({"[": "(", "]": ")", "<": "‹", ">": "›", "&": "+", '"': "'", "\\": "/"})

#: What is not plain printable ASCII, or a stand-in is needed for, or is more than one blank.
_odd = re.compile(r'[^ -~]|[\[\]<>&"\\]|  ').search

_CUT = "..."


def clean(text: str) -> str:
    """`text` on one line, without a character that a note must not hold; single blanks, none outside.

    Total: control and format characters, lone surrogates and unassigned code points become blanks or go.
    What was cleaned stays as it is when cleaned again.
    """
    if _odd(text) is not None:
        text = text.translate(_STAND_INS)
        if not text.isprintable():
            text = "".join(character if character.isprintable() else _gap(character) for character in text)
        text = " ".join(text.split())
    return text.strip(" ")


def _gap(character: str) -> str:
    # Soft hyphens, joiners and direction marks stand inside words; all else that cannot be printed parts them.
    return "" if unicodedata.category(character) == "Cf" else " "


def capital(text: str) -> str:
    """`text` as a sentence begins; the rest of it keeps its case."""
    return text[:1].upper() + text[1:]


def shorten(text: str, room: int) -> str:
    """`text` in at most `room` characters (8 or more): whole words where that keeps half of it, then dots."""
    if len(text) <= room:
        return text
    end = room - len(_CUT)
    # An accent is not parted from its letter.
    while end > 0 and unicodedata.combining(text[end]):
        end -= 1
    if text[end] != " " and (blank := text.rfind(" ", 0, end)) >= room // 2:
        end = blank
    return text[:end].rstrip(" ,;:.-") + _CUT
