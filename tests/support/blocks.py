"""Blocks of the answers language, compiled from YAML with its positions, and answers for them to read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from gateway.answers import Answers, LegacyAnswer, compile_answers
from gateway.settings.problems import Problem
from gateway.settings.tree import read

HERE = Path(__file__).parent.parent / "answers"
CASES = sorted((HERE / "corpus").glob("*.json"))
BLOCKS = sorted((HERE / "blocks").glob("*.yaml"))


@dataclass(frozen=True)
class Compiled:
    """What came out of a block: the reader, or what is wrong with it."""

    answers: Answers | None
    problems: list[Problem]

    @property
    def errors(self) -> list[str]:
        """Without file, line and column."""
        return [_text(problem) for problem in self.problems if not problem.warning]

    @property
    def warnings(self) -> list[str]:
        return [_text(problem) for problem in self.problems if problem.warning]


def _text(problem: Problem) -> str:
    return f"{problem.key}: {problem.wrong}{'; ' + problem.allowed if problem.allowed else ''}"


def compile_file(file: Path, *, max_answer: int = 1 << 20) -> Compiled:
    problems: list[Problem] = []
    tree = read(file, problems, verbatim="answers")
    answers = compile_answers(tree.data["answers"], tree.report(problems).at("answers"), max_answer=max_answer)
    return Compiled(answers, problems)


def answer(
    body: str | bytes = "", status: int = 200, headers: dict[str, str] | None = None, **more: str
) -> LegacyAnswer:
    """An answer; further headers by name with _ for -."""
    named = {**(headers or {}), **{name.replace("_", "-"): value for name, value in more.items()}}
    return LegacyAnswer(status, tuple(named.items()), body.encode() if isinstance(body, str) else body)


def case_of(file: Path) -> tuple[LegacyAnswer, dict[str, object]]:
    """One corpus case: the answer, and what is expected of it."""
    case = json.loads(file.read_text(encoding="utf-8"))
    headers = tuple(case["headers"].items())
    return LegacyAnswer(case["status"], headers, case["body"].encode()), case["expected"]
