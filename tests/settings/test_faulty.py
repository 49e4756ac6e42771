"""Faulty configurations, each a file: `faulty/gateway/*.yaml` stands in as the top file of `good/`,
`faulty/program/*.yaml` as its program, and NAME.expected has the lines that `gateway check` prints for it.

A new case is a new pair of files.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.serve.compose import compose
from gateway.settings.load import load

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("faulty/*/*.yaml"))
SECRET = "canary-5d0a7c9be41f"


@pytest.fixture
def folder(good: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The good configuration's folder, which is the working directory."""
    (good.parent / "keys" / "empty").touch()
    monkeypatch.chdir(good.parent)
    monkeypatch.setenv("GATEWAY_TEST_SECRET", SECRET)
    monkeypatch.setenv("GATEWAY_TEST_EMPTY", "")
    monkeypatch.delenv("GATEWAY_TEST_UNSET", raising=False)
    return good.parent


def findings() -> list[str]:
    loaded = load(Path("gateway.yaml"))
    composition = compose(loaded)
    assert (composition is None) == loaded.failed
    return [str(problem) for problem in loaded.findings()]


def test_the_good_configuration_has_no_findings(folder: Path) -> None:
    assert findings() == []


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 60
    assert {case.with_suffix(".expected") for case in CASES} == set(HERE.glob("faulty/*/*.expected"))


@pytest.mark.parametrize("case", CASES, ids=[f"{case.parent.name}/{case.stem}" for case in CASES])
def test_a_faulty_file_is_told_with_place_key_cause_and_cure(case: Path, folder: Path) -> None:
    target = {"gateway": "gateway.yaml", "program": "programs/program.yaml"}[case.parent.name]
    shutil.copy(case, folder / target)
    lines = findings()
    assert "\n".join(lines) + "\n" == case.with_suffix(".expected").read_text(encoding="utf-8")
    for line in lines:
        assert SECRET not in line
        assert line.isprintable()
