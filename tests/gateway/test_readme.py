"""README.md is run: the demo is started as `make run` starts it, each `$ curl` line is sent, each output compared.

Ports are free ones, and references differ from run to run; everything else is to the letter.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.process import command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = [block.strip().splitlines() for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)]
CURLS = [(block[0].removeprefix("$ "), "\n".join(block[1:])) for block in BLOCKS if block[0].startswith("$ curl")]


def four_free_ports() -> tuple[int, int]:
    """The first of three ports in a row that were free a moment ago, and one more."""
    for start in range(20_000, 60_000, 7):
        try:
            sockets = [socket.create_server(("127.0.0.1", start + offset)) for offset in range(4)]
        except OSError:
            continue
        for sock in sockets:
            sock.close()
        return start, start + 3
    raise AssertionError("no free ports")


@asynccontextmanager
async def demo() -> AsyncIterator[tuple[int, str]]:
    """A running demo: its first port and what it printed."""
    port, admin = four_free_ports()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "demo", "--port", str(port), "--admin-port", str(admin), stdout=PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        printed = (await asyncio.wait_for(process.stdout.readuntil(b"Ready."), 60)).decode()
        yield port, printed
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def shell(line: str) -> str:
    """What a command line prints."""
    process = await asyncio.create_subprocess_shell(line, stdout=PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return out.decode()


def without_references(text: str) -> str:
    return re.sub(r"ref=01[0-9A-Z]{24}", "ref=01JD…", text)


def at(port: int, text: str) -> str:
    return text.replace(":8080", f":{port}").replace(":8082", f":{port + 2}")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_readmes_curl_lines_print_what_it_says() -> None:
    assert len(CURLS) >= 5
    async with demo() as (port, _):
        for line, expected in CURLS:
            assert without_references(await shell(at(port, line))).strip() == expected, line


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_every_curl_line_that_the_demo_prints_gets_an_answer() -> None:
    async with demo() as (_, printed):
        lines = re.findall(r"^  (curl .*)$", printed, re.MULTILINE)
        assert len(lines) == 5
        answers = [await shell(line.replace("curl", "curl -s", 1)) for line in lines]
        assert all("dataPostResponse" in answer for answer in answers)


async def test_the_readmes_way_to_put_it_in_place_works(tmp_path: Path) -> None:
    code, _, said = await command("init", "lead-gateway", cwd=tmp_path)
    assert code == 0, said
    code, out, said = await command("check", "-c", "lead-gateway/gateway.yaml", cwd=tmp_path)
    assert code == 0, out + said


def test_the_readme_names_both_commands_and_make_knows_them() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("run", "test"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
