"""`make bench`: the gateway beside the installed peers, in one run, and what it holds itself to.

Gateways of one worker each, log, metrics, limits and the journal (SQLite, full durability) on: the rig's rules with
`keep_alive: 2s` (as the peers have it), the same with `keep_alive: 0s` (the default), the shipped field types (phone,
e-mail), a journal that writes nothing, and PostgreSQL on loopback.
Beside the table: seconds from start to ready, and resident memory while 100,000 leads pass.
"""

import argparse
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import workload

HERE = Path(__file__).resolve().parent
STUB = 9100
KEY = secrets.token_hex(32)
GOAL = 0.45  # of aiohttp_tuned's CPU per lead

RULES = r"""
    first_name:  {type: string, required: true}
    last_name:   {type: string, required: true}
    email:       {type: string, required: true, pattern: '[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+'}
    phone:       {type: string, required: true, pattern: '(\+?1[-. ]?)?\(?[2-9][0-9]{2}\)?[-. ]?[2-9][0-9]{2}[-. ]?[0-9]{4}'}
    address:     {type: string, required: true}
    city:        {type: string, required: true}
    state:       {type: enum, required: true, values: [STATES]}
    postal_code: {type: string, required: true, pattern: '[0-9]{5}'}
    dob:         {type: date, required: true, formats: ["%Y-%m-%d"], min_age: 18}
    income:      {type: integer, required: true, min: 0, max: 1000000}
    loan_amount: {type: integer, required: true, min: 100, max: 50000}
    ip:          {type: string, required: true}
    user_agent:  {type: string, required: true}
    consent_ts:  {type: string, required: true}
    subid:       {type: string, required: true}
"""
SAMPLE = (
    RULES.replace("email:       {type: string", "email:       {type: email")
    .replace("phone:       {type: string", "phone:       {type: phone")
    .replace(
        "state:       {type: enum, required: true, values: [STATES]}", "state:       {type: us_state, required: true}"
    )
    .replace(
        "postal_code: {type: string, required: true, pattern: '[0-9]{5}'}",
        "postal_code: {type: postal_code, required: true}",
    )
)
SAMPLE = re.sub(r"(type: (?:email|phone), required: true), pattern: '[^']*'", r"\1", SAMPLE)
PROGRAM = r"""
program: bench
path: /leads
deadline: 8s
auth: {realm: bench, users: ../partners.htpasswd}
lead:
  accept: [form]
  replay: {window: 0s}
  fields: FIELDS
upstream:
  url: http://127.0.0.1:STUB/legacy
  keep_alive: KEEP
  max_in_flight: 1000
answers:
  - {when: {text: '^OK\|(?P<uniqueid>\d+)\|(?P<sale_amount>[^|]+)\|(?P<customerid>\d+)$'}, verdict: accepted}
  - {when: {text: 'Lead ID: (?P<uniqueid>\d+)'}, verdict: accepted}
"""
STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY "
    "NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY"
)
TARGETS = {  # name: (port, fields, keep_alive)
    "gateway": (8471, RULES, "2s"),
    "gateway_keep_alive_0s": (8473, RULES, "0s"),
    "gateway_sample_types": (8475, SAMPLE, "2s"),
    "gateway_without_journal": (8477, RULES, "2s"),
    "gateway_postgresql": (8479, RULES, "2s"),
}


def configure(folder, port, fields, keep_alive):
    """Write one gateway's configuration; returns its path."""
    from gateway.intake.passwords import hash_password

    (folder / "programs").mkdir(parents=True)
    users = folder / "partners.htpasswd"
    users.touch(mode=0o600)
    users.write_text(f"{workload.USER}:{hash_password(workload.PASSWORD)}\n")
    top = folder / "gateway.yaml"
    top.write_text(
        f"listen: 127.0.0.1:{port}\nadmin: 127.0.0.1:{port + 1}\nstate_dir: state\nid_key: {secrets.token_hex(16)}\n"
        "drain: {wait: 0s, finish: 5s}\nprograms: [programs/*.yaml]\n"
    )
    states = ", ".join(f'"{state}"' for state in STATES.split())
    text = (
        PROGRAM.replace("FIELDS", fields.replace("STATES", states))
        .replace("STUB", str(STUB))
        .replace("KEEP", keep_alive)
    )
    (folder / "programs" / "bench.yaml").write_text(text)
    return top


class Started:
    """A process of ours; `end` ends it."""

    def __init__(self, *command, log=None):
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log or subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def answering(port, seconds=20):
    """Wait until something answers HTTP on the port; seconds it took."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        try:
            workload.post(f"http://127.0.0.1:{port}/", b"")
            return time.monotonic() - begun
        except OSError:
            time.sleep(0.01)
    sys.exit(f"nothing answers on port {port}")


def resident(pid):
    """Megabytes in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory(url, pid, leads, scratch):
    """Megabytes at ten points while at least that many leads pass, and how many did."""
    script = scratch / "leads.lua"
    script.write_text(workload.wrk_script("valid"))
    points, passed = [resident(pid)], 0
    while passed < leads:
        text = subprocess.run(
            ["wrk", "-t", "1", "-c", "32", "-d", "2s", "-s", str(script), url], capture_output=True, text=True
        ).stdout
        found = re.search(r"RESULT requests=([0-9]+)", text)
        if not found:
            sys.exit(f"wrk said: {text[-300:]}")
        passed += int(found[1])
        points.append(resident(pid))
    return points, passed


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("peers", nargs="*", default=["aiohttp_tuned", "protocols", "nginx_lua", "go", "fastify"])
    ap.add_argument("--quick", action="store_true", help="one short round")
    ap.add_argument("--leads", type=int, default=100_000, help="for the memory figure; 0 leaves it out")
    args = ap.parse_args()
    running, server = [], None
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as name:
        scratch = Path(name)
        os.chmod(scratch, 0o755)
        try:
            running.append(Started(sys.executable, str(HERE / "run.py"), "--stub-only", "--stub-port", str(STUB)))
            answering(STUB)
            command = [
                sys.executable,
                str(HERE / "run.py"),
                *args.peers,
                "--base",
                "aiohttp_tuned",
                "--pin-target",
                "--stub-port",
                str(STUB),
                "--scenarios",
                "valid,invalid",
                "--rate",
                "0",
            ]
            command += (
                ["--runs", "1", "--seconds", "3", "--short", "2"]
                if args.quick
                else ["--runs", "3", "--seconds", "5", "--short", "3"]
            )
            pids = {}
            for target, (port, fields, keep_alive) in TARGETS.items():
                top = configure(scratch / target, port, fields, keep_alive)
                log = open(scratch / target / "log", "wb")
                if target == "gateway_postgresql":
                    if (server := server or postgresql()) is None:
                        continue
                    with top.open("a") as file:
                        file.write(
                            f"journal: {{url: {server.url(server.create_database())}, key: {KEY}, index_key: {KEY}}}\n"
                        )
                program = ["-m", "gateway", "serve", "-c"]
                if target == "gateway_without_journal":
                    program = [str(HERE / "without_journal.py")]
                one = Started(sys.executable, *program, str(top), log=log)
                running.append(one)
                answering(port)
                print(f"{target}: start to first answer {time.monotonic() - one.begun:.2f} s", flush=True)
                pids[target] = one.process.pid
                command += [
                    "--target",
                    f"{target}=http://127.0.0.1:{port}/leads",
                    "--target-pid",
                    f"{target}={one.process.pid}",
                ]
            figures = scratch / "figures.json"
            subprocess.run([*command, "--json", str(figures)], check=True)
            verdict(json.loads(figures.read_text()))
            if args.leads:
                points, passed = memory(
                    f"http://127.0.0.1:{TARGETS['gateway'][0]}/leads", pids["gateway"], args.leads, scratch
                )
                print(
                    f"memory over {passed} leads: {' '.join(f'{p:.0f}' for p in points)} MB (goal: under 100 and flat)"
                )
        finally:
            for one in reversed(running):
                one.end()
            if server is not None:
                server.close()


def postgresql():
    """A private server from the installed binaries, as the tests start it; None without them."""
    sys.path.insert(0, str(HERE.parent))
    from tests.support.postgres import PostgresMissing, PostgresServer

    try:
        server = PostgresServer()
    except PostgresMissing as missing:
        print(f"skipped gateway_postgresql: {missing}", flush=True)
        return None
    server.start()
    return server


def verdict(figures):
    """Print the ratios that the project holds itself to."""
    rates = {
        name: sorted(run["rps"] for run in found["runs"]["valid"])[len(found["runs"]["valid"]) // 2]
        for name, found in figures.items()
        if found["runs"].get("valid")
    }
    bare = rates.get("gateway_without_journal")
    for name, goal in (("gateway", 0.6), ("gateway_postgresql", 0.4)):
        if bare and name in rates:
            print(
                f"{name}: {rates[name]:.0f} leads/s, {rates[name] / bare:.2f} of those without journal (goal: {goal})"
            )
    us = {
        name: sorted(run["us"] for run in found["runs"]["valid"])[len(found["runs"]["valid"]) // 2]
        for name, found in figures.items()
        if found["runs"].get("valid")
    }
    base = us.get("aiohttp_tuned")
    for name in TARGETS:
        if base and name in us:
            goal = f" (goal: at most {GOAL})" if name == "gateway" else " (told)"
            print(f"{name}: {us[name]:.1f} µs a lead, {us[name] / base:.2f} × aiohttp_tuned{goal}")


if __name__ == "__main__":
    main()
