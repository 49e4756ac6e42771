"""Comparing with words of the block: case, outer blanks and the length of blanks do not count (section 3)."""

from __future__ import annotations


def key(text: str) -> str:
    """A text as it is compared. Numbers stay as sent: `1` is neither `1.0` nor `01`."""
    return " ".join(text.split()).casefold()


def has_words(text: str, words: str) -> bool:
    """Whether `words` occur in `text` as whole words; both are keys already."""
    at = text.find(words)
    while at >= 0:
        end = at + len(words)
        if not _joins(text, at - 1, at) and not _joins(text, end - 1, end):
            return True
        at = text.find(words, at + 1)
    return False


def _joins(text: str, left: int, right: int) -> bool:
    """Whether the characters at two neighbouring places belong to one word."""
    return left >= 0 and right < len(text) and _in_word(text[left]) and _in_word(text[right])


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"
