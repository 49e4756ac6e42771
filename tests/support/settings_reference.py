"""docs/settings.md, made from the models: `python -m tests.support.settings_reference > docs/settings.md`."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.settings import models
from gateway.settings.units import Duration, Secret, Size

HEAD = """\
# Settings

Every setting there is. Durations are written `500ms`, `8s`, `2m`, `12h`, `30d`; sizes `512B`, `64KiB`, `1MiB`.
`${env:NAME}` and `${file:PATH}` stand for secrets; relative paths are relative to the file they stand in.
`gateway check` reports all that is wrong at once; `gateway schema` prints the JSON Schema that editors complete from.
"""


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """(key, what it takes, default, meaning) of each setting below a block, in order."""
    hints = typing.get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        if not (prefix.endswith("<name>.") and name == "type"):
            yield from _rows(f"{prefix}{name}", hints[name], field)


def _rows(key: str, hint: object, field: FieldInfo) -> Iterator[tuple[str, str, str, str]]:
    blocks = [one for one in _parts(hint) if isinstance(one, type) and issubclass(one, BaseModel)]
    if key == "lead.fields":
        yield f"{key}.<name>", "a field, see below", "", "the fields of a lead; their order is the order of faults"
        return
    if not blocks or len(_parts(hint)) > 1:
        yield (
            key,
            _takes(hint, field),
            _default(field),
            field.description or (blocks[0].__doc__ or "" if blocks else ""),
        )
    for block in blocks:
        yield from rows(block, f"{key}.")


def _parts(hint: object) -> list[object]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [part for one in typing.get_args(hint) for part in _parts(one)]
    return [hint]


def _takes(hint: object, field: FieldInfo) -> str:
    texts = []
    for part in _parts(hint):
        origin = typing.get_origin(part)
        if part is Duration:
            texts.append("duration")
        elif part is Size:
            texts.append("size")
        elif part is type(None):
            texts.append("null")
        elif origin is typing.Literal:
            texts += [f"`{word}`" for word in typing.get_args(part)]
        elif origin is tuple:
            texts.append(f"list of {_takes(typing.get_args(part)[0], field)}")
        elif part is Secret:
            texts.append("secret")
        elif part is Path:
            texts.append("path")
        elif isinstance(part, type) and issubclass(part, BaseModel):
            texts.append("block")
        else:
            texts.append({str: "text", int: "number", bool: "true or false"}.get(part, "see docs/answers.md"))  # type: ignore[call-overload]
    return " or ".join(texts)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None or value == () or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(str(one) for one in value)}]`"
    text = str(value)
    if isinstance(value, float):
        text = f"{value:g}s"
    elif field.description and isinstance(value, int) and value >= 1024 and value % 1024 == 0:
        text = f"{value // 1024}KiB" if value < 1024**2 else f"{value // 1024**2}MiB"
    return f"`{text}`"


def _table(rows_: Iterator[tuple[str, str, str, str]]) -> str:
    lines = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {takes} | {default} | {meaning} |" for key, takes, default, meaning in rows_]
    return "\n".join(lines)


def reference() -> str:
    """The whole page."""
    parts = [HEAD, "## gateway.yaml\n", _table(rows(models.GatewaySettings)), "\n## programs/*.yaml\n"]
    parts += [
        _table(rows(models.ProgramSettings)),
        "\n## Fields\n",
        "Every field may say:\n",
        _table(rows(models.FieldSettings)),
    ]
    union = typing.get_args(typing.get_args(models.AnyField)[0])
    parts.append("\nand beside that, by its `type`:\n")
    lines = ["| type | key | takes | default | meaning |", "|---|---|---|---|---|"]
    common = set(models.FieldSettings.model_fields)
    for model in union:
        word = typing.get_args(typing.get_type_hints(model, include_extras=True)["type"])[0]
        own = [row for row in rows(model) if row[0] not in common and row[0] != "type"]
        lines += [f"| `{word}` | `{key}` | {takes} | {default} | {meaning} |" for key, takes, default, meaning in own]
        if not own:
            lines.append(f"| `{word}` | | | | |")
    parts.append("\n".join(lines))
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
