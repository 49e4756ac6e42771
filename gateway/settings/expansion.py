"""`${env:NAME}` and `${file:PATH}` in configuration text: secrets stay out of the file and keep their place in it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gateway.settings.files import Unreadable, read_text
from gateway.settings.problems import shown
from gateway.settings.units import Expanded

_LARGEST = 64 * 1024
# In this order: the escape, a reference, and a `${` that is neither.
_REFERENCE = re.compile(r"\$\$\{|\$\{(env|file):([^{}]*)\}|\$\{")
_is_variable = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII).fullmatch


class Unexpandable(Exception):
    """Why a reference has no value. Names the variable or path, never what it holds."""

    def __init__(self, wrong: str, allowed: str = "") -> None:
        super().__init__(wrong)
        self.wrong, self.allowed = wrong, allowed


def names_reference(text: str) -> bool:
    """Whether `expand` would put something else in the place of a part of `text`."""
    return any(found[1] for found in _REFERENCE.finditer(text))


def expand(text: str, base: Path) -> str:
    """`text` with its references replaced; `$${` stands for `${`.

    Paths are relative to `base`; one line end at a file's end is dropped. What was put in is not looked at again.
    The result is `Expanded` when anything was. Raises Unexpandable.
    """
    expanded = False

    def value(found: re.Match[str]) -> str:
        nonlocal expanded
        if found[0] == "$${":
            return "${"
        expanded = True
        match found[1]:
            case "env":
                return _variable(found[2])
            case "file":
                return _content(found[2], base)
        raise Unexpandable("${ begins no reference", "${env:NAME}, ${file:PATH}, or $${ for these two characters")

    result = _REFERENCE.sub(value, text)
    return Expanded(result) if expanded else result


def _variable(name: str) -> str:
    if not _is_variable(name):
        raise Unexpandable(f"${{env:{name[:64]}}} names no variable", "letters, digits and _")
    value = os.environ.get(name)
    if not value:
        raise Unexpandable(f"the environment variable {shown(name)} is {'not set' if value is None else 'empty'}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unexpandable(f"the environment variable {shown(name)} is not UTF-8") from None
    return value


def _content(path: str, base: Path) -> str:
    name = shown(path)
    if not path:
        raise Unexpandable("${file:} names no file", "${file:PATH}, relative to the file it stands in")
    try:
        text = read_text(base / path, limit=_LARGEST)
    except Unreadable as error:
        # Its line and column are those of the secret's file; they would lead astray here.
        wrong = error.wrong.replace(" from here on", "")
        raise Unexpandable(f"the file {name} {wrong}", error.allowed) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise Unexpandable(f"the file {name} is empty")
    return text
