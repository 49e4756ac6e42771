"""Data -> model, and what can be had of a model whose data is wrong in places.

`check` reports all errors at once, so a program with a misspelt key still goes through the rooms' compilers. What
is wrong is taken out (its default stands) and what is missing gets a stand-in; nothing salvaged is ever served.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from gateway.settings.models import GatewaySettings, ProgramSettings, Settings
from gateway.settings.problems import KeyPath, Report
from gateway.settings.tree import Tree
from gateway.settings.wording import faulty_paths, report_errors

M = TypeVar("M", bound=Settings)

#: For settings that have no default, by path; they are sound, so no second error comes of them.
_STAND_INS: Mapping[type[Settings], Mapping[KeyPath, object]] = {
    GatewaySettings: {("programs",): ["none.yaml"]},
    ProgramSettings: {
        ("program",): "unnamed",
        ("path",): "/",
        ("auth",): "none",
        ("upstream",): {"url": "http://localhost/"},
        ("upstream", "url"): "http://localhost/",
        ("answers",): {"verdict": {"json": "result", "map": {"ok": "accepted"}}},
    },
}
#: Where a program's fields stand. One that is wrong stays, as a field of any text: other settings may name it.
_FIELDS: KeyPath = ("lead", "fields")
#: Taking out one thing can leave the next one wrong (an emptied list); no data needs more rounds.
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Validated(Generic[M]):
    """A model of a file's data. faulty: the paths at which defaults or stand-ins stand for what is wrong."""

    settings: M
    faulty: tuple[KeyPath, ...]

    def sound(self, *paths: str) -> bool:
        """Whether none of these settings, named `upstream.timeouts`, nor anything in or around them, is faulty."""
        for path in paths:
            parts = tuple(path.split("."))
            for faulty in self.faulty:
                common = min(len(parts), len(faulty))
                if parts[:common] == faulty[:common]:
                    return False
        return True


def validate(model: type[M], tree: Tree, report: Report) -> Validated[M] | None:
    """The model of a file's data, with every error in `report`; None when nothing can be made of it."""
    context = {"base": tree.file.parent}
    try:
        settings = model.model_validate(tree.data, context=context)
    except ValidationError as error:
        told = report_errors(error, model, report)
        return _salvage(model, tree.data, error, context, (*told, *tree.broken))
    return Validated(settings, tuple(tree.broken))


def _salvage(
    model: type[M], data: object, error: ValidationError, context: dict[str, Path], faulty: tuple[KeyPath, ...]
) -> Validated[M] | None:
    data = copy.deepcopy(data)
    for _ in range(_ROUNDS):
        if not _mend(data, model, error):
            return None
        try:
            return Validated(model.model_validate(data, context=context), faulty)
        except ValidationError as again:
            error = again
    return None


def _mend(data: object, model: type[Settings], error: ValidationError) -> bool:
    """Take out what is wrong, put in what is missing; False when that cannot be done."""
    stand_ins = _STAND_INS[model]
    # Backwards, so that taking out one item of a list does not move the others.
    for path, missing in sorted(faulty_paths(error, model), key=lambda one: _order(one[0]), reverse=True):
        if path in stand_ins:
            _put(data, path, stand_ins[path])
        elif missing and len(path) > 1:
            _take_or_stand_in(data, path[:-1])
        elif path and not missing:
            _take_or_stand_in(data, path)
        else:
            return False
    return True


def _order(path: KeyPath) -> tuple[tuple[int, str], ...]:
    return tuple((part, "") if isinstance(part, int) else (-1, part) for part in path)


def _take_or_stand_in(data: object, path: KeyPath) -> None:
    if len(path) == len(_FIELDS) + 1 and path[:-1] == _FIELDS:
        match (_holder(data, path) or {}).get(path[-1]):
            case {"required": True}:
                _put(data, path, {"type": "string", "required": True})
            case _:
                _put(data, path, {"type": "string"})
    else:
        _take(data, path)


def _put(data: Any, path: KeyPath, value: object) -> None:
    holder = _holder(data, path)
    if isinstance(holder, dict):
        holder[path[-1]] = copy.deepcopy(value)


def _take(data: Any, path: KeyPath) -> None:
    holder = _holder(data, path)
    if isinstance(holder, dict):
        holder.pop(path[-1], None)
    elif isinstance(holder, list) and isinstance(path[-1], int) and path[-1] < len(holder):
        del holder[path[-1]]


def _holder(data: Any, path: KeyPath) -> Any:
    """What holds the last key of the path: a dict, a list, or None when there is no such thing any more."""
    for part in path[:-1]:
        data = data.get(part) if isinstance(data, dict) else None
    return data
