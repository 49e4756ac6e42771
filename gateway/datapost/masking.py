"""Keeps a lead's values out of what a legacy answer says about the lead.

A message such as `jane@example.com is already subscribed` is told as `(email) is already subscribed`: every
occurrence of a value of four or more characters, whatever its case, gives way to its field's name. Names that
are not configured were chosen by a stranger, so they show as `(field)`. A number written with other
punctuation is the same number: `(212) 555-0123` is found in `+12125550123`.

The same text may be written in other characters (composed or not, full-width, ligatures: Unicode NFKC) or with percent
escapes, blanks as `+` among them. A message that hides a value in such a spelling is shown as it reads without it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import unquote

from gateway.datapost.wording import clean

#: A shorter value (a state, an age) says little about a person and would tear holes into every sentence.
LEAST = 4
#: Characters of a message that are looked at; a note shows 255. The answers room cuts single values here, too.
WINDOW = 4096

_UNKNOWN = "(field)"
_digits_and_marks = re.compile(r"\+?\(?[0-9](?:[ ().\-/]{0,3}[0-9]){6,}")
_is_number = re.compile(r"[0-9 ().+\-/]+").fullmatch
_no_digits = re.compile(r"[^0-9]+").sub
_LEAST_DIGITS = 7

Mask = Callable[[str, Mapping[str, str]], str]
_Span = tuple[int, int, str]  # begin, end, what stands for it


def compile_mask(fields: Iterable[str]) -> Mask:
    """A function (message, lead) -> cleaned message without the lead's values; `fields` are the names that may show."""
    placeholders = {name: f"({clean(name)})" for name in fields}

    def mask(message: str, lead: Mapping[str, str]) -> str:
        text = clean(message[:WINDOW])
        words: dict[str, str] = {}
        for name, raw in lead.items():
            if len(raw) >= LEAST and len(value := clean(raw)) >= LEAST:
                shown = placeholders.get(name, _UNKNOWN)
                words.setdefault(value.casefold(), shown)
                if not value.isascii():
                    words.setdefault(_same(value), shown)
        whole = len(message) < WINDOW
        for spelling in _SPELLINGS:
            if (plain := spelling(text)) != text and _hidden(text, plain, words):
                text = plain
        return _replace(text, words, whole=whole)

    return mask


def _without_escapes(text: str) -> str:
    """Percent escapes read as UTF-8, or where they are not that, as latin-1."""
    if "%" not in text:
        return text
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        decoded = unquote(text, "latin-1")
    return clean(decoded)


def _without_form(text: str) -> str:
    return _without_escapes(clean(text.replace("+", " ")))


def _compatible(text: str) -> str:
    return text if text.isascii() else clean(unicodedata.normalize("NFKC", text))


def _same(text: str) -> str:
    """Equal for texts that are the same but for case and for how their characters are written."""
    # Once more: what was composed may have come apart when its case was folded.
    return text.casefold() if text.isascii() else _compatible(_compatible(text).casefold())


def _folded(text: str) -> str:
    return text if text.isascii() else _same(text)


#: How else a message may be read, mildest first for what changes in it. Total; what comes out of one is clean.
_SPELLINGS = (_compatible, _without_escapes, _without_form, _folded)


def _hidden(text: str, plain: str, words: Iterable[str]) -> bool:
    """Whether a message holds values that are seen only when it is read another way."""
    seen, there = text.casefold(), _same(plain)
    return any(there.count(word) > seen.count(word) for word in words)


def _replace(text: str, words: Mapping[str, str], *, whole: bool) -> str:
    folded = text.casefold()
    spans: list[_Span] = []
    for word, shown in words.items():
        if word in folded:
            _find(folded, word, shown, spans)
        if not whole:
            _find_begun(folded, word, shown, spans)
    if _digits_and_marks.search(folded):
        _find_numbers(folded, words, spans)
    if not spans:
        return text
    # A few letters (the German sharp s) fold into two: positions then hold for the folded text only, which is shown.
    return _cover(text if len(folded) == len(text) else folded, spans)


def _find(text: str, word: str, shown: str, spans: list[_Span]) -> None:
    at = text.find(word)
    while at >= 0:
        spans.append((at, at + len(word), shown))
        at = text.find(word, at + len(word))


def _find_begun(text: str, word: str, shown: str, spans: list[_Span]) -> None:
    """A value that was cut in two where the message was cut."""
    for length in range(min(len(word) - 1, len(text)), LEAST - 1, -1):
        if text.endswith(word[:length]):
            spans.append((len(text) - length, len(text), shown))
            return


def _find_numbers(text: str, words: Mapping[str, str], spans: list[_Span]) -> None:
    numbers = [(_no_digits("", word), shown) for word, shown in words.items() if _is_number(word)]
    numbers = [(digits, shown) for digits, shown in numbers if len(digits) >= _LEAST_DIGITS]
    for found in _digits_and_marks.finditer(text):
        said = _no_digits("", found[0])
        for digits, shown in numbers:
            # Either may carry a country code that the other leaves out.
            if digits in said or said in digits:
                spans.append((found.start(), found.end(), shown))
                break


def _cover(text: str, spans: list[_Span]) -> str:
    """`text` with each span replaced; overlapping spans are one, named for the first of them, then the longest."""
    spans.sort(key=lambda span: (span[0], -span[1]))
    parts: list[str] = []
    done = 0
    for begin, end, shown in spans:
        if begin >= done:
            parts += (text[done:begin], shown)
        done = max(done, end)
    parts.append(text[done:])
    return "".join(parts)
