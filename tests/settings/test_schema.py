"""The JSON Schema that editors use: it compiles, takes what `check` takes, and refuses what it can know to be wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from gateway.settings.schema import gateway_schema, program_schema

ROOT = Path(__file__).parents[2]
TOPS = [
    ROOT / "config" / "gateway.yaml",
    ROOT / "gateway" / "settings" / "templates" / "gateway.yaml",
    ROOT / "gateway" / "cli" / "demo" / "config" / "gateway.yaml",
]
PROGRAMS = [
    *sorted((ROOT / "config" / "programs").glob("*.yaml")),
    ROOT / "gateway" / "settings" / "templates" / "example.yaml",
    ROOT / "gateway" / "cli" / "demo" / "config" / "auto-insurance.yaml",
]


def data_of(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def validator(schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator(schema)


@pytest.mark.parametrize("schema", [gateway_schema(), program_schema()], ids=["gateway", "program"])
def test_a_schema_is_json_schema_2020_12(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"]
    assert jsonschema_rs.meta.is_valid(schema)


@pytest.mark.parametrize("schema", [gateway_schema(), program_schema()], ids=["gateway", "program"])
def test_a_schema_has_only_words_of_json_schema(schema: dict[str, Any]) -> None:
    known = {
        "$schema", "$defs", "$ref", "title", "description", "default", "examples", "type", "properties", "required",
        "additionalProperties", "items", "anyOf", "oneOf", "enum", "const", "pattern", "minimum", "maximum",
        "exclusiveMinimum", "minLength", "maxLength", "minItems",
    }  # fmt: skip

    def words(node: Any, *, names: bool = False) -> set[str]:
        if isinstance(node, list):
            return {word for one in node for word in words(one)}
        if not isinstance(node, dict):
            return set()
        found: set[str] = set() if names else set(node)
        for key, value in node.items():
            if key not in ("default", "examples", "enum"):
                found |= words(value, names=not names and key in ("properties", "$defs"))
        return found

    assert words(schema) <= known


@pytest.mark.parametrize("file", TOPS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_shipped_top_file_is_valid(file: Path) -> None:
    assert [str(one) for one in validator(gateway_schema()).iter_errors(data_of(file))] == []


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_shipped_program_is_valid(file: Path) -> None:
    assert [str(one) for one in validator(program_schema()).iter_errors(data_of(file))] == []


def changed(data: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    data = copy.deepcopy(data)
    here = data
    *holders, last = path.split(".")
    for key in holders:
        here = here.setdefault(key, {})
    here[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "valid"),
    [
        ("listen", "127.0.0.1:80", True),
        ("listen", {"address": "127.0.0.1:80"}, True),
        ("listen", ["127.0.0.1:80"], False),
        ("limits.body", "64KiB", True),
        ("limits.body", 65536, False),
        ("limits.body", "${env:BODY}", True),
        ("limits.fields", 200, True),
        ("limits.fields", "200", False),
        ("limits.fields", 0, False),
        ("limits.fields", "${env:FIELDS}", True),
        ("limits.colour", "red", False),
        ("drain.wait", 0, True),
        ("drain.wait", 5, False),
        ("drain.wait", "5 s", False),
        ("log.level", "info", True),
        ("log.level", "inof", False),
        ("log.level", "${file:level}", True),
        ("programs", [], False),
        ("programs", "programs/*.yaml", False),
        ("id_key", None, False),
        ("workers", 4, False),
    ],
)
def test_the_schema_of_the_top_file_takes_and_refuses(path: str, value: object, valid: bool) -> None:
    assert validator(gateway_schema()).is_valid(changed(data_of(TOPS[0]), path, value)) is valid


@pytest.mark.parametrize(
    ("path", "value", "valid"),
    [
        ("program", "Auto", False),
        ("auth", "none", True),
        ("auth", "basic", False),
        ("auth", {"realm": "x"}, False),
        ("lead.accept", ["form", "jsno"], False),
        ("lead.fields.email", {"type": "email", "required": True}, True),
        ("lead.fields.email", {"type": "email", "min_age": 18}, False),
        ("lead.fields.email", {"type": "emial"}, False),
        ("lead.fields.email", {}, False),
        ("lead.fields.dob", {"type": "date", "min_age": 151}, False),
        ("lead.fields.x", {"type": "decimal", "min": 0.5, "max": "10"}, True),
        ("lead.fields.x", {"type": "string", "max_length": 0}, False),
        ("upstream.send", "encode", False),
        ("upstream.timeouts.totl", "3s", False),
        ("answers", [{"verdict": "rejected"}], True),
        ("answer.sale_amount.money.currency", "usd", False),
    ],
)
def test_the_schema_of_a_program_takes_and_refuses(path: str, value: object, valid: bool) -> None:
    assert validator(program_schema()).is_valid(changed(data_of(PROGRAMS[0]), path, value)) is valid


def test_defaults_are_spelled_as_in_the_file() -> None:
    limits = gateway_schema()["$defs"]["Limits"]["properties"]
    assert limits["body"]["default"] == "64KiB"
    assert limits["header_time"]["default"] == "5s"
    assert limits["connections"]["default"] == 10_000
    assert "default" not in gateway_schema()["properties"]["limits"]
