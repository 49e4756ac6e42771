"""Commands as processes: a reader that goes away, a journal that is large, a person at a terminal, a gateway beside."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway.cli.journal.progress import Progress
from gateway.datapost.reasons import Reason
from gateway.intake.reference import References
from gateway.journal.operations import Note
from gateway.journal.sqlite import SqliteStore
from gateway.journal.values import Refusal
from tests.journal_cli.conftest import LEAD, Shop
from tests.support.canaries import PASSWORD
from tests.support.client import basic, exchange, request
from tests.support.process import command, serving

ROOT = Path(__file__).parents[2]
# Not getrusage: its most outlives exec, so it would be of the tests' own process.
_MEASURED = """
import atexit, re, sys
from pathlib import Path
from gateway.cli import gateway
most = lambda: re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
atexit.register(lambda: print(most(), file=sys.stderr))
gateway(sys.argv[1:])
"""


def fill(shop: Shop, count: int) -> None:
    """So many refusals."""
    references = References()

    async def write() -> None:
        store = SqliteStore(shop.folder / "state", floor_bytes=0)
        await store.open()
        for start in range(0, count, 5000):
            await store.commit([
                Note(Refusal(
                    reference=references.new(), program="auto", partner="acme", received_ms=1_700_000_000_000 + number,
                    reason=Reason.LEAD_INVALID, faults=("email=missing",),
                ))
                for number in range(start, min(start + 5000, count))
            ])  # fmt: skip
        await store.close()

    asyncio.run(write())


def searched(shop: Shop) -> tuple[int, int]:
    """Lines of a search, and the KiB of memory that it took at most."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, "journal", "search", "--json", "-c", str(shop.config)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return done.stdout.count("\n"), int(done.stderr)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told by Linux")
def test_a_search_needs_the_memory_of_a_few_rows_however_many_there_are(file_shop: Shop) -> None:
    fill(file_shop, 1000)
    few, little = searched(file_shop)
    fill(file_shop, 40_000)
    many, more = searched(file_shop)
    assert (few, many) == (1000, 41_000)
    # A record takes about 1 KiB: kept, they would be 40 MiB.
    assert more - little < 8 * 1024


def test_a_reader_that_goes_away_ends_a_search_without_a_traceback(file_shop: Shop) -> None:
    fill(file_shop, 5000)
    line = f"{sys.executable} -m gateway journal search -c {file_shop.config} | head -n 2"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.count("\n") == 2
    assert done.stderr == ""


def at_a_terminal(shop: Shop, *arguments: str, answer: bytes = b"") -> tuple[int, str]:
    """Exit code, and what somebody at a terminal sees."""
    near, far = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "journal", arguments[0], "-c", str(shop.config), *arguments[1:]],
        stdin=far, stdout=far, stderr=far, cwd=ROOT,
    )  # fmt: skip
    os.close(far)
    os.write(near, answer)
    seen = b""
    try:
        while piece := os.read(near, 4096):
            seen += piece
    except OSError:  # Linux tells the end of a terminal so
        pass
    finally:
        os.close(near)
    return process.wait(30), seen.decode()


@pytest.mark.parametrize(("answer", "erased"), [(b"n\n", False), (b"y\n", True)], ids=["no", "yes"])
def test_erasing_at_a_terminal_asks_first_and_says_how_many(file_shop: Shop, answer: bytes, erased: bool) -> None:
    reference = file_shop.take(Reason.ACCEPTED)
    code, seen = at_a_terminal(file_shop, "erase", "--field", "email=jane@example.com", "--why", "asked", answer=answer)
    assert "Erase 1 submission for good?" in seen
    assert code == (0 if erased else 1)
    assert file_shop.record(reference).erased is erased


def test_erasing_with_yes_asks_nobody(file_shop: Shop) -> None:
    reference = file_shop.take(Reason.ACCEPTED)
    code, seen = at_a_terminal(file_shop, "erase", "--reference", reference, "--why", "asked", "--yes")
    assert (code, "?" in seen) == (0, False)


def test_long_work_shows_how_far_it_is_on_a_terminal_and_nowhere_else(file_shop: Shop) -> None:
    file_shop.take(Reason.ACCEPTED)
    file_shop.set("journal", key="22" * 32 + "\n" + "11" * 32)
    code, seen = at_a_terminal(file_shop, "rotate")
    assert code == 0
    assert re.search(r"\rwrapping keys \[#{30}\] 100 %\r\n1 record key wrapped anew", seen), seen
    assert file_shop.run("reindex").stderr == ""
    assert "\rleads hashed 1" in at_a_terminal(file_shop, "reindex")[1]


def test_progress_off_a_terminal_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("nothing") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""


async def test_commands_work_beside_a_running_gateway(file_shop: Shop, tmp_path: Path) -> None:
    """The legacy is not there: leads are refused before anything is sent, and the journal has them."""
    top = str(file_shop.config)
    async with serving(file_shop.config, tmp_path / "log") as gateway:
        lead = request("/leads/auto", LEAD, authorization=basic("acme", PASSWORD))
        answer = await exchange(gateway.port, lead)
        assert answer.reason == "upstream_unreachable"
        reference = answer.headers["x-request-id"]
        code, out, said = await command("journal", "show", "-c", top, reference)
        assert code == 0, said
        assert "upstream_unreachable" in out
        for arguments in (("verify",), ("backup", str(tmp_path / "backup")), ("rotate",)):
            code, out, said = await command("journal", arguments[0], "-c", top, *arguments[1:])
            assert code == 0, out + said
        code, _, said = await command("journal", "erase", "-c", top, "--reference", reference, "--why", "asked")
        assert code == 0, said
        again = await exchange(gateway.port, lead)
        assert again.reason == "upstream_unreachable"
        assert await gateway.end() == 0


async def test_what_needs_the_gateway_stopped_is_refused_while_it_runs(file_shop: Shop, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    top = yaml.safe_load(file_shop.config.read_text())
    file_shop.config.write_text(yaml.safe_dump({**top, "admin": f"127.0.0.1:{port}"}))
    async with serving(file_shop.config, tmp_path / "log") as gateway:
        for arguments in (("reindex",), ("restore", str(tmp_path))):
            code, _, said = await command("journal", arguments[0], "-c", str(file_shop.config), *arguments[1:])
            assert (code, f"A gateway is running (it answers on port {port})" in said) == (1, True), said
        assert await gateway.end() == 0
    code, out, _ = await command("journal", "reindex", "-c", str(file_shop.config))
    assert (code, out) == (0, "0 leads hashed anew.\n")
