"""docs/ says what the code does: settings, dependencies and commands are compared with the real ones."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

from gateway.cli import COMMANDS
from tests.support.settings_reference import reference

ROOT = Path(__file__).parents[2]


def test_the_settings_reference_is_made_from_the_models() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == reference(), "run: python -m tests.support.settings_reference > docs/settings.md"


def test_every_dependency_has_its_line_of_why() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    optional = project["project"]["optional-dependencies"].values()
    declared = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *chain.from_iterable(optional),
    ]
    names = {re.split(r"[<>=\[; ]", one)[0].lower() for one in declared}
    page = (ROOT / "docs" / "dependencies.md").read_text()
    told = {
        name.strip().lower() for line in re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE) for name in line.split(",")
    }
    assert told - {"package", "---"} == names


def test_every_command_has_help_and_stands_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for name in COMMANDS:
        assert f"`{name}`" in changelog


def test_the_locks_name_no_host_and_pin_with_hashes() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert text.count("==") > 20
        assert "--hash=sha256:" in text


def test_version_loads_neither_the_server_nor_pydantic() -> None:
    code = (
        "import sys; from gateway.cli import gateway; gateway(['version'], standalone_mode=False); "
        "print([m for m in ('aiohttp', 'pydantic', 'lxml', 'uvloop', 'prometheus_client') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[1] == "[]"
