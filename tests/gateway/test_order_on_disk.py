"""What the kernel is asked, and in which order: a lead is on disk before it is sent, its outcome before it is told.

kill -9 cannot show a missing sync, since the page cache survives it; the system calls can.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL
from pathlib import Path

import pytest

from tests.support.client import basic, exchange, request
from tests.support.process import serving
from tests.support.running import LEAD, OK, PATH, USER, write_configuration
from tests.support.upstreams import ScriptedUpstream, answering

_CALLS = "fsync,fdatasync,connect,write,sendto,sendmsg,writev"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
async def test_a_lead_is_synced_before_it_is_sent_and_its_outcome_before_it_is_told(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    async with (
        ScriptedUpstream(answering(OK)) as legacy,
        serving(write_configuration(tmp_path, legacy.url), tmp_path / "log") as gateway,
    ):
        submission = request(PATH, LEAD, authorization=basic(USER, "pass-kanarienvogel-word"))
        await exchange(gateway.port, submission)  # the password is known from here on
        tracer = await asyncio.create_subprocess_exec(
            "strace", "-f", "-qq", "-s", "32", "-e", f"trace={_CALLS}", "-o", str(trace),
            "-p", str(gateway.process.pid),
            stdout=DEVNULL, stderr=DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(20):
            while not traced(gateway.process.pid):
                if tracer.returncode is not None:
                    pytest.skip("processes cannot be traced here")
                await asyncio.sleep(0)
        answer = await exchange(gateway.port, submission)
        assert answer.reason == "accepted"
        tracer.send_signal(signal.SIGINT)
        await tracer.wait()
        assert await gateway.end() == 0
    order = [kind for line in trace.read_text().splitlines() if (kind := what(line, legacy.port))]
    sent, told = order.index("sent upstream"), order.index("told the partner")
    assert "sync" in order[: order.index("connect")], order
    assert order.index("connect") < sent
    assert "sync" in order[sent:told], order


def traced(pid: int) -> bool:
    """Whether a tracer has taken hold of the process."""
    return re.search(r"^TracerPid:\s+[1-9]", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE) is not None


def what(line: str, port: int) -> str:
    """What a traced call is to us, "" for nothing."""
    if re.search(r"\b(fsync|fdatasync)\(", line):
        return "sync"
    if "connect(" in line and f"htons({port})" in line:
        return "connect"
    if '"POST /legacy' in line:
        return "sent upstream"
    if '"HTTP/1.1 200' in line:
        return "told the partner"
    return ""
