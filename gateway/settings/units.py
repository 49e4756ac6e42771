"""Durations, sizes, paths, amounts and secrets as they are written in the configuration.

Validators here are strict about spelling (a bare `8` is no duration, `yes` no truth value), since a setting that
is read another way than it was meant costs money. Their ValueErrors read `what is wrong; what is allowed`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

DURATION_PATTERN = r"^(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?(ms|s|m|h|d)$"
SIZE_PATTERN = "^(0|[1-9][0-9]{0,11})(B|KiB|MiB|GiB)$"

_DURATION = re.compile(DURATION_PATTERN)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(SIZE_PATTERN)
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")


class Expanded(str):
    """Text that came out of `${env:…}` or `${file:…}`: it may be a secret, so nothing quotes it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Expanded(…)"


# --- durations and sizes -------------------------------------------------------------------------


def seconds(value: object) -> float:
    """`500ms`, `8s`, `2m`, `12h`, `30d` as seconds. Raises ValueError saying what is allowed.

    A float is taken as seconds: only Python callers have one, files do not (their decimals are `Decimal`).
    """
    if isinstance(value, float):
        return value
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return float(found[1] + (found[2] or "")) * _SECONDS[found[3]]
    if value == 0 and isinstance(value, int) and not isinstance(value, bool):
        return 0.0
    raise ValueError("is no duration; a number with a unit: 500ms, 8s, 2m, 12h, 30d")


def octets(value: object) -> int:
    """`64KiB`, `1MiB` as bytes. Raises ValueError saying what is allowed."""
    if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        return int(found[1]) * _BYTES[found[2]]
    raise ValueError("is no size; a number with a unit: 512B, 64KiB, 1MiB")


def _size(value: object, info: ValidationInfo) -> object:
    # A bare number is bytes to Python callers; in a file, which comes with a context, it lacks its unit.
    return octets(value) if info.context is not None or isinstance(value, str) else value


def spell_seconds(value: float) -> str:
    """The duration as people write it: 7.0 is `7s`, 0.25 `250ms`, 120.0 `2m`."""
    for unit in ("d", "h", "m"):
        if value >= _SECONDS[unit] and value % _SECONDS[unit] == 0:
            return f"{value / _SECONDS[unit]:.0f}{unit}"
    number, unit = (value * 1000, "ms") if 0 < value < 1 else (value, "s")
    return f"{number:.6f}".rstrip("0").rstrip(".") + unit


def spell_octets(value: int) -> str:
    """The size as people write it: 65536 is `64KiB`."""
    for unit in ("GiB", "MiB", "KiB"):
        if value >= _BYTES[unit] and value % _BYTES[unit] == 0:
            return f"{value // _BYTES[unit]}{unit}"
    return f"{value}B"


@dataclass(frozen=True, slots=True)
class Unit:
    """Marks a number's type, so that the ends of its range are told in its own spelling."""

    name: str  # seconds | octets


#: Seconds, as a float.
Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema(
        # The numeric bounds touch numbers only, the pattern text only: 0 is the one number that needs no unit.
        {
            "type": ["string", "integer"],
            "pattern": DURATION_PATTERN,
            "minimum": 0,
            "maximum": 0,
            "examples": ["8s"],
        }
    ),
    Unit("seconds"),
]
#: Bytes, as an int.
Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN, "examples": ["64KiB"]}),
    Unit("octets"),
]

# --- numbers, truth values, names, paths ---------------------------------------------------------


def _whole(value: object) -> object:
    return int(value) if isinstance(value, Expanded) and _WHOLE.fullmatch(value) else value


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, Expanded) else value


def _amount(value: object) -> object:
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    return value


#: A whole number: no `"32"`, no `3.0`, no `true`. Text that was expanded may be one.
Whole = Annotated[int, Strict(), BeforeValidator(_whole)]
#: `true` or `false`, and no other word for them.
Flag = Annotated[bool, Strict(), BeforeValidator(_flag)]
#: A decimal number kept as its text; whether it is one is checked where it is compiled.
Amount = Annotated[str, BeforeValidator(_amount), WithJsonSchema({"type": ["string", "number"]})]


def _file_path(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    if not value or "\0" in value:
        raise ValueError("is no path; the path of a file, relative to the file it is written in")
    return (info.context or {}).get("base", Path()) / value


#: The path of a file, relative to the file it stands in (validation context `base`).
FilePath = Annotated[Path, BeforeValidator(_file_path), WithJsonSchema({"type": "string", "minLength": 1})]


def spelled(pattern: str, message: str) -> tuple[AfterValidator, Any]:
    """Metadata of a text that must match `pattern` as a whole; message: `what is wrong; what is allowed`."""
    matches = re.compile(pattern, re.ASCII).fullmatch

    def check(value: str) -> str:
        if not matches(value):
            raise ValueError(message)
        return value

    return AfterValidator(check), Field(json_schema_extra={"pattern": f"^(?:{pattern})$"})


# --- secrets -------------------------------------------------------------------------------------


_REFERENCE_WANTED = 'text in quotes, best a reference: "${file:PATH}" or "${env:NAME}"'


@final
class Secret:
    """A value that never prints: not in repr, str, format, an error, or a dump. `reveal()` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = str(text)

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
    def _from_settings(cls, value: object) -> Secret:
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str):
            # Not told what it is: even that a password is a number says something about it.
            raise ValueError(f"is no text; {_REFERENCE_WANTED}")
        if not value:
            raise ValueError(f"is empty; {_REFERENCE_WANTED}")
        return cls(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._from_settings,
            serialization=core_schema.plain_serializer_function_ser_schema(repr, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}
