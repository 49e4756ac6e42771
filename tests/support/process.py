"""`gateway` commands as processes of their own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Serving:
    """A running `gateway serve`, and the ports its first line names."""

    process: Process
    port: int
    admin_port: int
    ready_line: str

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 30)


async def command(
    *arguments: str, cwd: Path | None = None, stdin: bytes = b"", env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `gateway ARGUMENTS…`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *arguments,
        stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=cwd, env={**os.environ, "PYTHONPATH": str(Path.cwd()), **(env or {})},
    )  # fmt: skip
    out, said = await asyncio.wait_for(process.communicate(stdin), 60)
    return process.returncode or 0, out.decode(), said.decode()


@asynccontextmanager
async def serving(configuration: Path, log: Path) -> AsyncIterator[Serving]:
    """`gateway serve` on the ports of the configuration; stdout and stderr go to `log` after the first line."""
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "serve", "-c", str(configuration), stdout=PIPE, stderr=said
        )
        assert process.stdout is not None
        try:
            line = "first"
            async with asyncio.timeout(30):
                while line and not line.startswith("gateway "):  # log lines of a recovery may come before
                    line = (await process.stdout.readline()).decode()
            ports = [int(port) for port in re.findall(r"http://\S+?:(\d+)", line)]
            assert len(ports) == 2, f"{line!r} {log.read_text()}"
            reader = asyncio.create_task(_keep(process.stdout, log.with_suffix(".out")), name="stdout of the gateway")
            yield Serving(process, ports[0], ports[1], line)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await reader


async def _keep(stream: asyncio.StreamReader, path: Path) -> None:
    path.write_bytes(await stream.read())
