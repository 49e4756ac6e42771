"""Blocks for the tests of the answers room."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.answers import Answers
from tests.support.blocks import Compiled, compile_file


@pytest.fixture
def compiled(tmp_path: Path) -> Callable[..., Compiled]:
    """Compile the YAML text of a block as a program file would hold it."""

    def compile_text(text: str, **options: int) -> Compiled:
        file = tmp_path / "program.yaml"
        file.write_text(
            "answers:\n" + textwrap.indent(textwrap.dedent(text).strip("\n"), "  ") + "\n", encoding="utf-8"
        )
        return compile_file(file, **options)

    return compile_text


@pytest.fixture
def reader(compiled: Callable[..., Compiled]) -> Callable[..., Answers]:
    """The reader of a block that has nothing wrong with it."""

    def make(text: str, **options: int) -> Answers:
        made = compiled(text, **options)
        assert made.errors == []
        assert made.answers is not None
        return made.answers

    return make
