"""The JSON Schema (2020-12) that editors check and complete configuration files with.

It says what the models say, in the spelling of the file: defaults with their units, and `"${env:NAME}"` wherever a
number or one of some words may stand. Ranges of durations and sizes are beyond a schema; `gateway check` has them.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gateway.settings.models import GatewaySettings, ProgramSettings, Settings
from gateway.settings.units import DURATION_PATTERN, SIZE_PATTERN, spell_octets, spell_seconds

_REFERENCE: JsonSchemaValue = {"type": "string", "pattern": r"\$\{(env|file):[^{}]+\}"}
#: How pydantic leaves a bound that stands behind a validator of ours -> JSON Schema's word for it.
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


class _EditorSchema(GenerateJsonSchema):
    """Without titles for each key, which editors would show before its description."""

    schema_dialect = "https://json-schema.org/draft/2020-12/schema"

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        # `discriminator` is OpenAPI's word, not JSON Schema's; the members' `type` constants say the same.
        return {key: value for key, value in super().tagged_union_schema(schema).items() if key != "discriminator"}

    def generate(self, schema: CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        return {"$schema": self.schema_dialect, **super().generate(schema, mode)}


def gateway_schema() -> dict[str, Any]:
    """The schema of the top file, `gateway.yaml`."""
    schema = _schema(GatewaySettings, "gateway.yaml")
    # The model leaves the key out for callers that need no hashes; a file never may.
    schema["required"] = sorted({*schema["required"], "id_key"})
    key = schema["properties"]["id_key"]
    schema["properties"]["id_key"] = {"description": key["description"], **key["anyOf"][0]}
    return schema


def program_schema() -> dict[str, Any]:
    """The schema of a program file."""
    return _schema(ProgramSettings, "A program of the gateway")


def _schema(model: type[Settings], title: str) -> dict[str, Any]:
    schema = model.model_json_schema(schema_generator=_EditorSchema)
    for block in (schema, *schema.get("$defs", {}).values()):
        block["properties"] = {name: _as_written(one) for name, one in block.get("properties", {}).items()}
    return {"$schema": schema.pop("$schema"), **schema, "title": title}


def _as_written(setting: dict[str, Any]) -> dict[str, Any]:
    """The schema of one setting as files spell it."""
    about: dict[str, Any] = {key: setting.pop(key) for key in ("description", "default", "examples") if key in setting}
    match about.get("default"):
        case None | dict():  # a block's defaults are those of its keys
            about.pop("default", None)
        case int() | float() as default if setting.get("pattern") == DURATION_PATTERN:
            about["default"] = spell_seconds(default)
        case int() as default if setting.get("pattern") == SIZE_PATTERN:
            about["default"] = spell_octets(default)
    return {**about, **_or_reference(setting)}


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    schema = {_BOUNDS.get(key, key): value for key, value in schema.items()}
    if "items" in schema:
        return {**schema, "items": _or_reference(schema["items"])}
    if "anyOf" in schema:
        choices = [choice for one in schema["anyOf"] for choice in _choices(_or_reference(one))]
        return {"anyOf": [choice for place, choice in enumerate(choices) if choice not in choices[:place]]}
    restricted = "enum" in schema or "pattern" in schema or schema.get("type") in ("integer", "boolean")
    return {"anyOf": [schema, _REFERENCE]} if restricted else schema


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    choices: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return choices
