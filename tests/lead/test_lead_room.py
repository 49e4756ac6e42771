from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("room", ["gateway.lead", "gateway.answers", "gateway.datapost"])
def test_a_decision_room_loads_no_network_library(room):
    """In a fresh interpreter, so that nothing else has loaded it before."""
    program = (
        f"import sys, {room}; print(*sorted({{'aiohttp', 'uvloop', 'structlog', 'sqlite3'}} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_hostile_documents_leave_no_memory_behind():
    """lxml keeps every element name ever seen; a partner must not be able to grow the process."""
    program = """
import resource
from gateway.lead import compile_decoder
from gateway.settings.models import LeadSettings

decode = compile_decoder(LeadSettings(), max_fields=1000)

def read(round: int) -> None:
    names = [f"n{round}_{n}_{'x' * 40}" for n in range(900)]
    decode("text/xml", ("<l>" + "".join(f"<{name}/>" for name in names) + "</l>").encode())
    decode("application/json", ("{" + ",".join(f'"{name}":1' for name in names) + "}").encode())
    decode("application/x-www-form-urlencoded", "&".join(names).encode())

for round in range(50):
    read(round)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for round in range(50, 350):
    read(round)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=100)
    # Kept names would be 270,000 of some 100 bytes: over 25,000 KiB.
    assert int(done.stdout) < 8_000
