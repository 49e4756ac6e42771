"""From selected nodes to values (section 4 of the language): what is text, what is empty, what says something.

A node is JSON (`str`, `Number`, `bool`, None, dict, list), an element, or text: of an attribute, a header, a match.
"""

from __future__ import annotations

import html
from typing import final

from gateway.answers.jsontext import Number
from gateway.answers.limits import VALUE_LENGTH, VALUES, LimitHit
from gateway.answers.markup import ITEM, Element, element_note, element_text, strip_markup
from gateway.answers.trouble import shows_trouble

#: Characters that are looked at for a note, whose markup may be longer than its text.
_READ_LENGTH = 16 * VALUE_LENGTH


@final
class Said(str):
    """Text that the block says, not the answer: taken as it is written."""

    __slots__ = ()


def text_of(node: object) -> str | None:
    """The text of a node, trimmed, possibly empty; None where a node has none (null, object, array)."""
    if isinstance(node, str):
        return node.strip()
    if isinstance(node, Number):
        return node.text
    if isinstance(node, bool):
        return "true" if node else "false"
    if isinstance(node, Element):
        return element_text(node).strip()
    return None


def value_of(node: object) -> str | None:
    """The value of a node, None where it has none: null, empty, an object or array, or too long."""
    text = node.strip() if type(node) is str else text_of(node)
    return text if text and len(text) <= VALUE_LENGTH else None


def is_empty(node: object) -> bool:
    """Whether a node is null, an empty text, object, array or element."""
    if node is None:
        return True
    if isinstance(node, (dict, list)):
        return not node
    return not text_of(node)


def says_something(node: object) -> bool:
    """Whether a node is neither empty nor `false` or `0`, typed or as text."""
    if isinstance(node, Number):
        return not node.zero
    if isinstance(node, (bool, dict, list)):
        return bool(node)
    text = text_of(node)
    return bool(text) and text != "0" and (text or "").lower() != "false"


def note_texts(node: object) -> list[str]:
    """The texts that a node adds to a note, in order: an object gives `key: text` for each entry."""
    found: list[str] = []
    _add_note(node, found)
    return found


def _add_note(node: object, found: list[str]) -> None:
    if isinstance(node, Said):
        found.append(str(node))
    elif isinstance(node, dict):
        for key, entry in node.items():
            texts: list[str] = []
            _add_leaves(entry, texts)
            found.extend(f"{' '.join(str(key).split())}: {text}" for text in texts)
    elif isinstance(node, list):
        for item in node:
            _add_note(item, found)
    else:
        _add_text(node, found)
    if len(found) > VALUES:
        raise LimitHit


def _add_leaves(node: object, found: list[str]) -> None:
    if isinstance(node, (dict, list)):
        for item in node.values() if isinstance(node, dict) else node:
            _add_leaves(item, found)
    else:
        _add_text(node, found)


def _add_text(node: object, found: list[str]) -> None:
    text = element_note(node) if isinstance(node, Element) else text_of(node)
    if not text:
        return
    if shows_trouble(text):
        return
    found.extend(item[:VALUE_LENGTH] for item in readable(text))


def readable(text: str) -> list[str]:
    """A text as people read it: no markup, entities decoded, blanks collapsed; one entry for each list item."""
    text = text[:_READ_LENGTH]
    # Twice, since escaped markup (`&lt;br&gt;`) is markup once its entities are decoded.
    for _ in range(2):
        if "<" in text:
            text = strip_markup(text)
        if "&" not in text:
            break
        text = html.unescape(text)
    else:
        text = strip_markup(text) if "<" in text else text
    return [line for part in text.split(ITEM) if (line := " ".join(part.split()))]


def join_notes(texts: list[str]) -> str | None:
    """One note of several texts, the same one only once; None when there is none."""
    if not texts:
        return None
    if len(texts) == 1:
        return texts[0][:VALUE_LENGTH]
    return "; ".join(dict.fromkeys(texts))[:VALUE_LENGTH]
