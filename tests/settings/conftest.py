"""A good configuration to break."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """The top file of a good configuration in a folder of the test's own."""
    shutil.copytree(Path(__file__).parent / "good", tmp_path, dirs_exist_ok=True)
    (tmp_path / "partners.htpasswd").chmod(0o600)
    return tmp_path / "gateway.yaml"
