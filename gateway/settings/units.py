"""Durations, sizes and secrets as they are written in the configuration."""

from __future__ import annotations

import re
from typing import Annotated, Any, final

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

_DURATION = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(0|[1-9][0-9]*)(B|KiB|MiB|GiB)")
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def seconds(value: object) -> float:
    """`500ms`, `8s`, `2m`, `12h`, `30d` as seconds. Raises ValueError saying what is allowed."""
    if isinstance(value, float):
        return value
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return float(found[1] + (found[2] or "")) * _SECONDS[found[3]]
    if value == 0 and isinstance(value, int) and not isinstance(value, bool):
        return 0.0
    raise ValueError("is no duration; a number with a unit: 500ms, 8s, 2m, 12h, 30d")


def octets(value: object) -> int:
    """`64KiB`, `1MiB` as bytes. Raises ValueError saying what is allowed."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        return int(found[1]) * _BYTES[found[2]]
    raise ValueError("is no size; a number with a unit: 512B, 64KiB, 1MiB")


#: Seconds, as a float.
Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": r"^(0|[1-9][0-9]*)(\.[0-9]+)?(ms|s|m|h|d)$", "examples": ["8s"]}),
]
#: Bytes, as an int.
Size = Annotated[
    int,
    BeforeValidator(octets),
    WithJsonSchema({"type": "string", "pattern": "^(0|[1-9][0-9]*)(B|KiB|MiB|GiB)$", "examples": ["64KiB"]}),
]


@final
class Secret:
    """A value that never prints: not in repr, str, format, an error, or a dump. `reveal()` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself; the caller keeps it out of everything that is printed."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        wrap = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        return core_schema.union_schema([core_schema.is_instance_schema(cls), wrap], mode="left_to_right")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string"}
