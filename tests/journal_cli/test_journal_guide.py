"""docs/journal.md is run: each `$` line in a shell, on a journal with these four leads, each output compared.

`gateway` is this checkout's, `systemctl` restarts nothing. What differs from run to run stands for itself: times of
settling and of what was done by hand, and ids of fresh keys. All else is to the letter.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.cli.journal import COMMANDS
from gateway.datapost.reasons import Reason
from tests.journal_cli.conftest import KEY, LEAD, Shop, a_shop
from tests.support.postgres import PostgresServer, binaries

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "journal.md").read_text(encoding="utf-8")
BLOCKS = [block.strip("\n") for block in re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)]

JANE, JOHN, ANN, EVE = (
    "01KJN9185R1RPX835KJ7PCT5ZJ",
    "01KJNENFR8PS3FPN4CGJJM9F28",
    "01KJNGMED09HYDXB0EGQGGWWE3",
    "01KJNKG8W856AZMHBVG7BMD1SS",
)


def steps(block: str) -> list[tuple[str, str]]:
    """(command line, what it prints) of a block."""
    return [(line, printed) for line, _, printed in (part.partition("\n") for part in block.split("$ ")[1:])]


def masked(text: str) -> str:
    """Without what differs from run to run."""
    text = re.sub(r"\b(settled|changed|settle|erase)( +)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", r"\1\2TIME", text)
    return re.sub(r"\bkey [0-9a-f]{8}\b", "key KEY", text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the guide's commands are run: a configuration, a journal, the legacy's list, and who answers to names."""
    folder = tmp_path_factory.mktemp("guide")
    shop = a_shop(folder / "config", "sqlite", name="auto-insurance")
    (folder / "config" / "keys").mkdir()
    (folder / "config" / "keys" / "journal").write_text(f"{KEY}\n")
    shop.set("journal", key="${file:keys/journal}")
    leads(shop)
    (folder / "legacy.txt").write_text("98\n100\n")
    programs = folder / "programs"
    programs.mkdir()
    for name, line in (("gateway", f'exec {sys.executable} -m gateway "$@"'), ("systemctl", 'test "$1" = restart')):
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    return folder


def leads(shop: Shop) -> None:
    """What the journal of the guide holds."""

    def lead(name: str, phone: str) -> dict[str, str]:
        return {**LEAD, "email": f"{name}@example.com", "phone": phone, "click_id": f"Xk3-{name}"}

    took = {"program": "auto-insurance"}
    shop.take(Reason.ACCEPTED, LEAD, at="2026-03-01T18:02:11+00:00", reference=JANE, **took)
    shop.take(
        Reason.ACCEPTED, lead("john", "(415) 555-2672"), at="2026-03-01T19:40:37+00:00", reference=JOHN,
        legacy_id="99", **took,
    )  # fmt: skip
    shop.take(
        Reason.OUTCOME_UNKNOWN, lead("ann", "(415) 555-2673"), at="2026-03-01T20:15:00+00:00", reference=ANN, **took
    )
    shop.take(
        Reason.LEGACY_REJECTED, lead("eve", "(415) 555-2674"), at="2026-03-01T21:05:09+00:00", reference=EVE, **took
    )


def shell(line: str, place: Path) -> str:
    """What a command line prints, on either stream; it must succeed."""
    env = {
        "PATH": f"{place / 'programs'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        "USER": "jane",
        "LOGNAME": "jane",
        "HOME": str(place),
    }
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=place, env=env, text=True, timeout=60,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}"
    return done.stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_drill_works_and_prints_what_the_guide_says(place: Path) -> None:
    assert len(BLOCKS) >= 6
    for block in BLOCKS:
        for line, printed in steps(block):
            assert masked(shell(line, place)).strip("\n") == masked(printed).strip("\n"), line


def test_the_guides_way_to_back_up_postgresql_brings_all_but_erased_leads_back(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    if not (tools := binaries()).joinpath("pg_dump").exists():
        pytest.skip("pg_dump is not installed")
    shop = a_shop(tmp_path / "shop", postgres_url)
    kept, erased = shop.take(Reason.ACCEPTED), shop.take(Reason.ACCEPTED, {**LEAD, "email": "john@example.com"})
    rows, keys = re.findall(r"^    (pg_dump .*) leads$", GUIDE, re.MULTILINE)
    (mark,) = re.findall(r"^    psql leads -c \"(.*)\"$", GUIDE, re.MULTILINE)

    def run(line: str) -> None:
        subprocess.run([tools / line.split()[0], *line.split()[1:]], check=True, cwd=tmp_path, capture_output=True)

    run(f"{rows} {postgres_url}")
    shop.run("erase", "--reference", erased, "--why", "asked")
    run(f"{keys} {postgres_url}")
    restored = postgres_server.url(postgres_server.create_database())
    for dump in ("rows.dump", "keys.dump"):
        run(f"pg_restore --dbname {restored} {dump}")
    subprocess.run([tools / "psql", restored, "-c", mark], check=True, capture_output=True)
    shop.set("journal", url=restored)
    assert shop.run("show", "--body", kept).exit_code == 0
    opened = shop.run("show", "--body", erased)
    assert (opened.exit_code, "john" in opened.output) == (1, False)
    served = subprocess.run(
        [sys.executable, "-m", "gateway", "serve", "-c", str(shop.config)],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert served.returncode == 1
    assert "--after-restore" in served.stderr


def test_each_step_takes_at_most_three_commands() -> None:
    assert all(1 <= len(steps(block)) <= 3 for block in BLOCKS)


def test_the_guide_speaks_of_every_command_and_every_setting() -> None:
    for name in COMMANDS:
        assert f"gateway journal {name}" in GUIDE, name
    for words in ("journal.key", "journal.index_key", "journal.index", "attribution", "--after-restore", "state_dir"):
        assert words in GUIDE, words
    for example in re.findall(r"^    (attribution: .*)$", GUIDE, re.MULTILINE):
        assert yaml.safe_load(example) == {"attribution": {"click_id": "click_id"}}


def test_every_command_has_help() -> None:
    for name in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "journal", name, "--help"],
            capture_output=True, text=True, check=True, cwd=ROOT,
        )  # fmt: skip
        assert "Exit code" in done.stdout or name in ("unknown", "backup", "restore", "migrate"), name


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = (
        "import sys; from gateway.cli import gateway; gateway(['journal', '--help'], standalone_mode=False); "
        "print([m for m in sys.modules if m.startswith(('gateway.cli.journal.', 'pydantic', 'asyncpg', 'sqlite3'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
