from __future__ import annotations

from pathlib import Path

import pytest

from gateway.lead import compile_checker
from gateway.settings.models import LeadSettings
from gateway.settings.problems import Place, Problem, Report


def problems_of(fields: dict[str, dict[str, object]]) -> list[Problem]:
    found: list[Problem] = []
    report = Report(lambda path, key: Place(Path("p.yaml"), 2 if key else 1, 1), found, ("lead",))
    compile_checker(LeadSettings.model_validate({"fields": fields}), report)
    return found


LENGTHS = {"min_length": 6, "max_length": 5}
RE2 = "RE2 syntax; it has no look-around and no back-references"
NUMBER = "digits with at most one point, such as 0, 1000 or -2.50"
DIRECTIVES = "%Y, %m and %d once each, %% for a percent sign"
INCOMPLETE = "does not say year, month and day once each"
NEVER = "can never be sent: values are trimmed before they are compared"
NAMES = "1 to 64 letters, digits and _ . : - ; any other spelling goes under aliases"


@pytest.mark.parametrize(
    ("field", "key", "wrong", "allowed"),
    [
        ({"type": "integer", "min": 5, "max": 4}, "min", "is above max (4)", "at most 4"),
        ({"type": "decimal", "min": "5.01", "max": "5"}, "min", "is above max (5)", "at most 5"),
        ({"type": "decimal", "min": "1_000"}, "min", "is no decimal number", NUMBER),
        ({"type": "decimal", "max": "NaN"}, "max", "is no decimal number", NUMBER),
        ({"type": "decimal", "max": "1,5"}, "max", "is no decimal number", NUMBER),
        ({"type": "string", **LENGTHS}, "min_length", "is more than max_length (5)", "at most 5"),
        ({"type": "string", "pattern": "(?=a)b"}, "pattern", "is no RE2 pattern: invalid perl operator: (?=", RE2),
        ({"type": "string", "pattern": r"(a)\1"}, "pattern", r"is no RE2 pattern: invalid escape sequence: \1", RE2),
        (
            {"type": "string", "pattern": "a{1001}"},
            "pattern",
            "is no RE2 pattern: invalid repetition size: {1001}",
            RE2,
        ),
        ({"type": "string", "pattern": "["}, "pattern", "is no RE2 pattern: missing ]: [", RE2),
        ({"type": "email", "pattern": "("}, "pattern", "is no RE2 pattern: missing ): (", RE2),
        (
            {"type": "phone", "region": "ZZ"},
            "region",
            "is no region with phone numbers",
            "an ISO 3166 code such as US, CA or GB",
        ),
        (
            {"type": "date", "formats": ["%d %b %Y"]},
            "formats[0]",
            "the strptime directive %b is not supported",
            DIRECTIVES,
        ),
        (
            {"type": "date", "formats": ["%Y-%m-%d", "%y%m%d"]},
            "formats[1]",
            "the strptime directive %y is not supported",
            DIRECTIVES,
        ),
        (
            {"type": "date", "formats": ["%Y%m%d%"]},
            "formats[0]",
            "the strptime directive % is not supported",
            DIRECTIVES,
        ),
        ({"type": "date", "formats": ["%Y-%m"]}, "formats[0]", INCOMPLETE, DIRECTIVES),
        ({"type": "date", "formats": ["%Y-%m-%d-%d"]}, "formats[0]", INCOMPLETE, DIRECTIVES),
        ({"type": "date", "formats": [""]}, "formats[0]", INCOMPLETE, DIRECTIVES),
        (
            {"type": "date", "formats": ["%Y年%m%d"]},
            "formats[0]",
            "holds a character that is not printable ASCII",
            DIRECTIVES,
        ),
        ({"type": "date", "min_age": 66, "max_age": 65}, "min_age", "is above max_age (65)", "at most 65"),
        ({"type": "enum", "values": ["a", "b", "a"]}, "values[2]", "a stands here twice", ""),
        ({"type": "enum", "values": ["a "]}, "values[0]", NEVER, ""),
        ({"type": "enum", "values": ["a", ""]}, "values[1]", NEVER, ""),
        ({"type": "string", "aliases": ["it"]}, "aliases[0]", "already names the field it", ""),
        ({"type": "string", "aliases": ["x", "x"]}, "aliases[1]", "already names the field it", ""),
    ],
)
def test_a_setting_that_cannot_work_is_an_error_at_its_key(field, key, wrong, allowed):
    (problem,) = problems_of({"it": field})
    assert (problem.key, problem.wrong, problem.allowed) == (f"lead.fields.it.{key}", wrong, allowed)
    assert not problem.warning


def test_an_alias_belongs_to_one_field():
    fields = {
        "a": {"type": "string", "aliases": ["b", "x"]},
        "b": {"type": "string", "aliases": ["x"]},
    }
    assert [(problem.key, problem.wrong) for problem in problems_of(fields)] == [
        ("lead.fields.a.aliases[0]", "already names the field b"),
        ("lead.fields.b.aliases[0]", "already names the field a"),
    ]


@pytest.mark.parametrize("name", ["", "contact[email]", "first name", "é", "a=b", "x" * 65, 'a"b', "a&b"])
def test_a_field_that_a_note_could_not_name_is_an_error_at_its_key(name):
    (problem,) = problems_of({name: {"type": "string"}})
    assert (problem.wrong, problem.allowed) == ("is no name for a field", NAMES)
    assert problem.place.line == 2


@pytest.mark.parametrize("name", ["email", "address.zip", "Loan-Amount_2", "ns:x", "x" * 64])
def test_names_of_letters_digits_and_four_signs_are_taken(name):
    assert problems_of({name: {"type": "string"}}) == []


def test_two_date_formats_that_fit_the_same_texts_are_a_warning():
    (problem,) = problems_of({"dob": {"type": "date", "formats": ["%m/%d/%Y", "%Y-%m-%d", "%d/%m/%Y"]}})
    assert problem.warning
    assert problem.key == "lead.fields.dob.formats[2]"
    assert problem.wrong == "fits the same dates as %m/%d/%Y, which stands before it"


def test_all_errors_of_all_fields_are_told_at_once():
    fields = {
        "a": {"type": "integer", "min": 2, "max": 1, "pattern": "(", "min_length": 3, "max_length": 1},
        "b": {"type": "phone", "region": "XX", "pattern": "["},
        "c": {"type": "date", "formats": ["%H", "%j"], "min_age": 2, "max_age": 1},
    }
    assert [problem.key.removeprefix("lead.fields.") for problem in problems_of(fields)] == [
        "a.min", "a.min_length", "a.pattern",
        "b.region", "b.pattern",
        "c.formats[0]", "c.formats[1]", "c.min_age",
    ]  # fmt: skip
