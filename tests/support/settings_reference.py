"""docs/settings.md, made from the models: `python -m tests.support.settings_reference > docs/settings.md`."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.settings import models
from gateway.settings.units import (
    Amount,
    Duration,
    FilePath,
    Flag,
    Secret,
    Size,
    Unit,
    Whole,
    spell_octets,
    spell_seconds,
)

HEAD = """\
# Settings

Every setting there is. Durations are written `500ms`, `8s`, `2m`, `12h`, `30d`; sizes `512B`, `64KiB`, `1MiB`.
`${env:NAME}` and `${file:PATH}` stand for secrets; relative paths are relative to the file they stand in.
`gateway check` reports all that is wrong at once; `gateway schema` prints the JSON Schema that editors complete from.

A dot leads into a block: `limits.body` is written `limits: {body: 64KiB}`. `[]` stands for each block of a list.
What is `required` is so where its block is written.
"""

#: What a setting of this type takes. `Annotated` types are known by identity: what they are made of says less.
_KINDS: tuple[tuple[object, str], ...] = (
    (Duration, "duration"),
    (Size, "size"),
    (Whole, "number"),
    (Amount, "number"),
    (Flag, "true or false"),
    (FilePath, "path"),
    (Secret, "secret"),
    (str, "text"),
    (type(None), "null"),
    (typing.Any, "see docs/answers.md"),
)

Row = tuple[str, str, str, str]


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    """(key, what it takes, default, meaning) of each setting below a block, in order."""
    hints = typing.get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        yield from _rows(f"{prefix}{name}", hints[name], field)


def _rows(key: str, hint: object, field: FieldInfo) -> Iterator[Row]:
    if key == "lead.fields":
        yield f"{key}.<name>", "a field, see below", "", "the fields of a lead; their order is the order of faults"
        return
    parts = list(_parts(hint))
    blocks = [one for one in parts if _is_block(one)]
    listed = [inner for one in parts for inner in _listed(one) if _is_block(inner)]
    if parts != blocks:
        yield key, _takes(hint), _default(field), field.description or ""
    for block, below in [*((one, f"{key}.") for one in blocks), *((one, f"{key}[].") for one in listed)]:
        yield from rows(typing.cast("type[BaseModel]", block), below)


def _parts(hint: object) -> Iterator[object]:
    """The alternatives of a type, each without what is annotated but for the kinds that have a name here."""
    if any(hint is kind for kind, _ in _KINDS):
        yield hint
    elif typing.get_origin(hint) is typing.Annotated:
        yield from _parts(typing.get_args(hint)[0])
    elif typing.get_origin(hint) in (typing.Union, types.UnionType):
        for one in typing.get_args(hint):
            yield from _parts(one)
    else:
        yield hint


def _listed(part: object) -> list[object]:
    """What a list is a list of."""
    return list(_parts(typing.get_args(part)[0])) if typing.get_origin(part) is tuple else []


def _is_block(part: object) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


def _takes(hint: object) -> str:
    return " or ".join(word for part in _parts(hint) for word in _words(part))


def _words(part: object) -> list[str]:
    for kind, word in _KINDS:
        if part is kind:
            return [word]
    if typing.get_origin(part) is typing.Literal:
        return [f"`{word}`" for word in typing.get_args(part)]
    if typing.get_origin(part) is tuple:
        return [f"list of {_takes(typing.get_args(part)[0])}"]
    if _is_block(part):
        return ["block"]
    raise TypeError(f"the reference has no word for {part}")


def _default(field: FieldInfo) -> str:
    """The default as it would be written in the file."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None or value == () or isinstance(value, BaseModel):
        return ""
    units = {one.name for one in field.metadata if isinstance(one, Unit)}
    if "seconds" in units:
        return f"`{spell_seconds(value)}`"
    if "octets" in units:
        return f"`{spell_octets(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(str(one) for one in value)}]`"
    if isinstance(value, str | int):
        return f"`{value}`"
    raise TypeError(f"the reference cannot write {type(value).__name__}")


def _table(found: Iterator[Row]) -> str:
    lines = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {takes} | {default} | {meaning} |" for key, takes, default, meaning in found]
    return "\n".join(lines)


def reference() -> str:
    """The whole page."""
    parts = [HEAD, "## gateway.yaml\n", _table(rows(models.GatewaySettings)), "\n## programs/*.yaml\n"]
    parts += [
        _table(rows(models.ProgramSettings)),
        "\n## Fields\n",
        "Every field says its `type`, and may say:\n",
        _table(rows(models.FieldSettings)),
    ]
    parts.append("\nand beside that, by its type:\n")
    lines = ["| type | key | takes | default | meaning |", "|---|---|---|---|---|"]
    common = set(models.FieldSettings.model_fields)
    for model in _parts(models.AnyField):
        block = typing.cast("type[BaseModel]", model)
        word = typing.get_args(typing.get_type_hints(block, include_extras=True)["type"])[0]
        own = [row for row in rows(block) if row[0] not in common and row[0] != "type"]
        lines += [f"| `{word}` | `{key}` | {takes} | {default} | {meaning} |" for key, takes, default, meaning in own]
        if not own:
            lines.append(f"| `{word}` | | | | |")
    parts.append("\n".join(lines))
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
