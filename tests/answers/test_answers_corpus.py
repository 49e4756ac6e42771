"""The proof of the language: 114 documented answers of 56 lead systems, each system read by one short block."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from gateway.answers import Answers
from gateway.datapost.values import Verdict
from tests.support.blocks import BLOCKS, CASES, case_of, compile_file

MEMBERS = ("uniqueid", "sale_amount", "customerid", "email", "note")
VALID = {
    Verdict.ACCEPTED: True,
    Verdict.REJECTED: False,
    Verdict.DUPLICATE: False,
    Verdict.ERROR: "error",
}


@cache
def answers_of(file: Path) -> Answers:
    compiled = compile_file(file)
    assert compiled.problems == []
    assert compiled.answers is not None
    return compiled.answers


def block_of(case: Path) -> Path:
    return case.parent.parent / "blocks" / f"{case.stem.partition('-')[0]}.yaml"


def test_the_corpus_is_whole() -> None:
    assert len(CASES) == 114
    assert {block_of(case) for case in CASES} == set(BLOCKS)
    assert len(BLOCKS) == 56


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_an_answer_of_a_real_system_is_read_exactly(case: Path) -> None:
    answer, expected = case_of(case)
    reading = answers_of(block_of(case)).read(answer)
    assert reading.verdict is not None
    found: dict[str, object] = {"valid": VALID[reading.verdict]}
    for member in MEMBERS:
        if (value := getattr(reading, member)) is not None:
            found[member] = value
    for values in (found, expected):
        if "sale_amount" in values:
            values["sale_amount"] = Decimal(str(values["sale_amount"]))
    assert found == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_an_explanation_tells_the_same_reading_and_names_a_source_for_each_member(case: Path) -> None:
    answer, _ = case_of(case)
    answers = answers_of(block_of(case))
    explanation = answers.explain(answer)
    assert explanation.reading == answers.read(answer)
    assert {origin.member for origin in explanation.members} == {
        member for member in MEMBERS if getattr(explanation.reading, member) is not None
    }
    assert [missed.rule for missed in explanation.missed] == list(
        answers.rules[: answers.rules.index(explanation.rule)]
    )


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.stem)
def test_a_system_needs_a_short_block(block: Path) -> None:
    lines = [line for line in block.read_text(encoding="utf-8").splitlines() if line.strip()[:1] != "#"]
    assert len(lines) <= 12
