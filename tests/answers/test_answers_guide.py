"""The guide to the language: each block in it compiles, each answer below one is read as the guide says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.answers import Answers, LegacyAnswer
from gateway.cli.explain import _raw
from tests.support.blocks import compile_file

GUIDE = Path(__file__).parent.parent.parent / "docs" / "answers.md"
FENCE = re.compile(r"^```(yaml|http|reading)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCES = [(found[1], found[2]) for found in FENCE.finditer(GUIDE.read_text(encoding="utf-8"))]
BLOCKS = [text for kind, text in FENCES if kind == "yaml"]
MEMBERS = ("uniqueid", "sale_amount", "customerid", "email", "note")


def compiled(text: str, folder: Path) -> Answers:
    file = folder / "program.yaml"
    file.write_text(text, encoding="utf-8")
    made = compile_file(file)
    assert made.problems == []
    assert made.answers is not None
    return made.answers


def summary(answers: Answers, given: LegacyAnswer) -> str:
    reading = answers.read(given)
    words = [reading.verdict.value if reading.verdict else "none"]
    return " ".join(words + [f"{name}={value}" for name in MEMBERS if (value := getattr(reading, name)) is not None])


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_of_the_guide_compiles_without_a_warning(block: str, tmp_path: Path) -> None:
    compiled(block, tmp_path)


def test_the_answers_of_the_guide_are_read_as_it_says(tmp_path: Path) -> None:
    answers, given, count = None, None, 0
    for kind, text in FENCES:
        if kind == "yaml":
            answers = compiled(text, tmp_path)
        elif kind == "http":
            given = _raw(text.encode())
        else:
            assert answers is not None
            assert given is not None
            assert summary(answers, given) == text.strip()
            count += 1
    assert count >= 6
