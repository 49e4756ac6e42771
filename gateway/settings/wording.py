"""What the models refuse, in our words: the key's path, what is wrong, what is allowed.

Pydantic's own texts are never shown, and neither is a value, but for a misspelt word where only certain words are
allowed, and only when it was written in the file rather than expanded from a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, Discriminator, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.settings.problems import KeyPath, Report, dotted, shown
from gateway.settings.units import Expanded, Unit, spell_octets, spell_seconds

#: Beyond this many errors in one file, no more likenesses are looked for: a file of garbage must not cost minutes.
_MOST_SUGGESTIONS = 100
_LONGEST_WORD = 40
#: A list of allowed keys that is longer than this helps nobody.
_MOST_KEYS = 16

_EXPECTED: Mapping[str, str] = {
    "string_type": "text",
    "path_type": "the path of a file",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list such as [a, b]",
    "dict_type": "a block of keys",
    "model_type": "a block of keys",
    "model_attributes_type": "a block of keys",
}


def report_errors(error: ValidationError, model: type[BaseModel], report: Report) -> list[KeyPath]:
    """Add each error to `report`, which stands where the model's data does. Returns the paths that are wrong."""
    faulty: list[KeyPath] = []
    for number, one in enumerate(error.errors(include_url=False)):
        spot = _follow(model, one["loc"])
        if one["type"] == "too_short" and any(path[:-1] == spot.path for path in faulty):
            continue  # pydantic counts the good items only; the bad ones are told
        path, wrong, allowed = _explain(one, spot, suggest=number < _MOST_SUGGESTIONS)
        at_key = one["type"] in ("missing", "extra_forbidden")
        report.at(*path).error(wrong, allowed, key=at_key)
        faulty.append(path)
    return faulty


def faulty_paths(error: ValidationError, model: type[BaseModel]) -> list[tuple[KeyPath, bool]]:
    """Where the errors are, and whether the key is missing there."""
    return [(_follow(model, one["loc"]).path, one["type"] == "missing") for one in error.errors(include_url=False)]


# --- from pydantic's location to the setting ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where an error stands: its path in the file, the setting there, the block it is in."""

    path: KeyPath
    setting: FieldInfo | None
    block: type[BaseModel]
    top: type[BaseModel]


def _follow(model: type[BaseModel], loc: tuple[int | str, ...]) -> _Spot:
    """Walk `loc` through the models; the tags that pydantic puts in for unions are no part of the file's path."""
    path: list[int | str] = []
    here: Any = model
    block, setting = model, None
    for part in loc:
        member = _members(here).get(part) if isinstance(part, str) else None
        if member is not None:
            here = member
            continue
        path.append(part)
        setting = None
        if (inner := as_model(here)) is not None:
            block = inner
            setting = inner.model_fields.get(str(part))
            here = setting.annotation if setting is not None else None
        elif get_origin(here) in (dict, tuple):
            here = get_args(here)[1 if get_origin(here) is dict else 0]
    return _Spot(tuple(path), setting, block, model)


def _members(annotation: Any) -> dict[str, Any]:
    """The members of a union by the tag that pydantic's locations have for them."""
    found: dict[str, Any] = {}
    for member in get_args(_bare(annotation)) if _is_union(_bare(annotation)) else ():
        tags = [extra.tag for extra in get_args(member)[1:] if isinstance(extra, Tag)]
        inner = as_model(member)
        if not tags and inner is not None and "type" in inner.model_fields:
            tags = list(get_args(inner.model_fields["type"].annotation))
        found |= dict.fromkeys(tags, _bare(member))
    return found


def as_model(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation stands for, be it optional; None for all else."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if _is_union(annotation):
        models = [model for model in map(as_model, get_args(annotation)) if model is not None]
        return models[0] if len(models) == 1 else None
    return None


def _bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


# --- the texts -----------------------------------------------------------------------------------


def _explain(error: ErrorDetails, spot: _Spot, *, suggest: bool) -> tuple[KeyPath, str, str]:
    """(path, what is wrong, what is allowed) of one error."""
    path, kind, value = spot.path, error["type"], error["input"]
    context = error.get("ctx", {})
    match kind:
        case "missing":
            return path, "is missing", (spot.setting.description or "") if spot.setting is not None else ""
        case "extra_forbidden":
            return path, "unknown key", _known_keys(str(path[-1]), spot, suggest=suggest)
        case "value_error":
            wrong, _, allowed = str(context["error"]).partition("; ")
            return path, wrong, allowed
        case "literal_error":
            return path, *_wrong_word(value, _words(spot, path), suggest=suggest)
        case "union_tag_not_found":
            if not isinstance(value, dict):
                return path, f"is {_kind(value)}", "a block of keys is expected"
            return (*path, "type"), "is missing", either(_types(spot, path))
        case "union_tag_invalid":
            word = value.get("type") if isinstance(value, dict) else None
            return (*path, "type"), *_wrong_word(word, _types(spot, path), suggest=suggest)
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return path, "is too small" if kind.startswith("greater") else "is too large", _range(spot.setting)
        case "too_short":
            return path, "is empty", "one item at least"
        case "string_too_short" | "string_too_long":
            return path, "is empty" if not value else f"has {len(value)} characters", _length(spot.setting)
    expected = _EXPECTED.get(kind)
    if spot.setting is not None and any(isinstance(one, Discriminator) for one in spot.setting.metadata):
        expected = spot.setting.description  # a word or a block
    if expected is None:
        return path, "is not valid", (spot.setting.description or "") if spot.setting is not None else ""
    if value is None:
        return path, "is empty", f"{expected}, or leave the key out"
    hint = ""
    if expected == "text" and isinstance(value, bool | int | Decimal):
        hint = "; put it in quotes"
    elif isinstance(value, str) and not isinstance(value, Expanded) and expected in ("a whole number", "true or false"):
        hint = " without quotes"
    return path, f"is {_kind(value)}", f"{expected} is expected{hint}"


def _kind(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true or false"
        case int() | Decimal():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "a block of keys"


def _wrong_word(value: object, words: list[str], *, suggest: bool) -> tuple[str, str]:
    if value is None:
        return "is empty", either(words)
    if not isinstance(value, str) or isinstance(value, Expanded) or len(value) > _LONGEST_WORD:
        wrong = f"is {_kind(value)} that is not allowed" if isinstance(value, str) else f"is {_kind(value)}"
        return wrong, either(words)
    return f"{shown(value)} is not allowed", f"{_likeness(value, words) if suggest else ''}{either(words)}"


def _words(spot: _Spot, path: KeyPath) -> list[str]:
    """The words of the literal that the setting, or its items, must be."""
    annotation = spot.setting.annotation if spot.setting is not None else _item(spot.top, path)
    words = _literals(annotation)
    return words if as_model(annotation) is None else [*words, "a block of keys"]


def _item(model: type[BaseModel], path: KeyPath) -> Any:
    here: Any = model
    for part in path:
        inner = as_model(here)
        if inner is not None and str(part) in inner.model_fields:
            here = inner.model_fields[str(part)].annotation
        elif get_origin(here) is tuple:
            here = get_args(here)[0]
    return here


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for member in get_args(annotation) for word in _literals(member)]


def _types(spot: _Spot, path: KeyPath) -> list[str]:
    """The types of the union that the entries of a dict are."""
    setting = spot.block.model_fields[str(path[-2])]
    return list(_members(get_args(setting.annotation)[1]))


def _known_keys(key: str, spot: _Spot, *, suggest: bool) -> str:
    keys = list(spot.block.model_fields)
    likeness = _likeness(key, keys) if suggest else ""
    if suggest and not likeness:
        elsewhere = [path for path in _every_path(spot.top) if path[-1] == key]
        likeness = f"did you mean {dotted(elsewhere[0])}? " if elsewhere else ""
    return likeness + (f"allowed: {', '.join(keys)}" if len(keys) <= _MOST_KEYS else "")


def _every_path(model: type[BaseModel], base: KeyPath = ()) -> Iterator[KeyPath]:
    for name, setting in model.model_fields.items():
        yield (*base, name)
        if (inner := as_model(setting.annotation)) is not None:
            yield from _every_path(inner, (*base, name))


def _likeness(word: str, known: list[str]) -> str:
    found = difflib.get_close_matches(word[:_LONGEST_WORD].lower(), known, n=1, cutoff=0.7)
    return f"did you mean {found[0]}? " if found else ""


def _range(setting: FieldInfo | None) -> str:
    low = high = ""
    metadata = setting.metadata if setting is not None else []
    unit = next((one.name for one in metadata if isinstance(one, Unit)), "")
    for one in metadata:
        match one:
            case annotated_types.Ge(ge=bound):
                low = f"at least {_spell(bound, unit)}"
            case annotated_types.Gt(gt=bound):
                low = f"more than {_spell(bound, unit)}"
            case annotated_types.Le(le=bound):
                high = f"at most {_spell(bound, unit)}"
            case annotated_types.Lt(lt=bound):
                high = f"less than {_spell(bound, unit)}"
    if low.startswith("at least") and high:
        return f"{low.removeprefix('at least ')} to {high.removeprefix('at most ')}"
    return ", ".join(filter(None, (low, high)))


def _spell(bound: Any, unit: str) -> str:
    match unit:
        case "seconds":
            return spell_seconds(bound)
        case "octets":
            return spell_octets(bound)
    return str(bound)


def _length(setting: FieldInfo | None) -> str:
    low, high = 0, 0
    for one in setting.metadata if setting is not None else ():
        match one:
            case annotated_types.MinLen(min_length=bound):
                low = bound
            case annotated_types.MaxLen(max_length=bound):
                high = bound
    if low and high:
        return f"{low} to {high} characters"
    return f"at most {high} characters" if high else f"at least {low} character{'' if low == 1 else 's'}"


def either(words: list[str]) -> str:
    """`json, xml or negotiate`."""
    words = [word if word == "a block of keys" else shown(word, plain=str.isidentifier) for word in words]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
