"""docs/reasons.md lists the fixed texts that may stand in a note in place of the reason's sentence, all of them."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import gateway.intake
import gateway.lead
from gateway.datapost.reasons import Reason
from gateway.intake import Unreadable
from gateway.lead import Undecodable

PAGE = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text("utf-8")
ROOMS = (gateway.intake, gateway.lead)


def modules(room: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        yield importlib.import_module(found.name)


def texts() -> dict[str, list[str]]:
    """The texts that the two rooms may refuse a request with, as a note shows them, by reason and in order."""
    constants = [value for room in ROOMS for module in modules(room) for value in vars(module).values()]
    found: dict[str, set[str]] = {}
    for one in constants:
        # Nobody reads what the one who is gone is told.
        if isinstance(one, Unreadable | Undecodable) and one.text and one.reason is not Reason.CLIENT_GONE:
            sentence = f"{one.text[0].upper()}{one.text[1:].removesuffix('.')}."
            if sentence != one.reason.sentence:
                found.setdefault(one.reason.slug, set()).add(sentence)
    return {slug: sorted(found[slug]) for slug in sorted(found)}


def test_the_page_lists_the_texts_of_the_code() -> None:
    shown = {
        slug: re.findall("“(.+?)”", " ".join(told.split()))
        for slug, told in re.findall(r"^- `([a-z_]+)`: ((?:.|\n  )+)$", PAGE, re.MULTILINE)
    }
    wanted = "\n".join(f"- `{slug}`: " + ", ".join(f"“{one}”" for one in said) for slug, said in texts().items())
    assert shown == texts(), f"the list is to be:\n{wanted}"


def test_no_text_is_made_up_where_a_request_is_refused() -> None:
    """All of them are constants, so that the page can list them and none can hold a value."""
    for room in ROOMS:
        for module in modules(room):
            assert module.__file__ is not None
            tree = ast.parse(Path(module.__file__).read_text("utf-8"))
            for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
                for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                    name = call.func.id if isinstance(call.func, ast.Name) else ""
                    if name in ("Unreadable", "Undecodable") and function.name != "_malformed":
                        raise AssertionError(f"{module.__name__}.{function.name}")
