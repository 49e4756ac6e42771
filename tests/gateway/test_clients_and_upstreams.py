"""Real clients (curl, PHP, Node, Python) and real upstreams (nginx, PHP's server) with the gateway between them."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.canaries import EMAIL, PASSWORD
from tests.support.contract import validate_answer
from tests.support.running import OK, PATH, USER, running
from tests.support.upstreams import ScriptedUpstream, answering

AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

CLIENTS = {
    "curl": ("curl", ["-s", "-u", f"{USER}:{PASSWORD}", "-d", f"email={EMAIL}&state=CA", "TARGET"]),
    "curl with Expect": (
        "curl",
        ["-s", "-u", f"{USER}:{PASSWORD}", "-H", "Expect: 100-continue", "-d", f"email={EMAIL}&state=CA", "TARGET"],
    ),
    "curl, chunked JSON": (
        "curl",
        ["-s", "-u", f"{USER}:{PASSWORD}", "-H", "Transfer-Encoding: chunked", "-H", "Content-Type: application/json",
         "-d", json.dumps({"email": EMAIL, "state": "CA"}), "TARGET"],
    ),
    "curl, HTTP/1.0": ("curl", ["-s", "-0", "-u", f"{USER}:{PASSWORD}", "-d", f"email={EMAIL}&state=CA", "TARGET"]),
    "PHP": (
        "php",
        ["-r", f"""
         echo file_get_contents("TARGET", false, stream_context_create(["http" => ["method" => "POST",
           "header" => "Authorization: {AUTHORIZATION}\\r\\nContent-Type: application/x-www-form-urlencoded",
           "content" => http_build_query(["email" => "{EMAIL}", "state" => "CA"])]]));"""],
    ),
    "Node": (
        "node",
        ["-e", f"""
         fetch("TARGET", {{method: "POST", headers: {{Authorization: "{AUTHORIZATION}"}},
           body: new URLSearchParams({{email: "{EMAIL}", state: "CA"}})}})
           .then(r => r.text()).then(t => process.stdout.write(t))"""],
    ),
    "Python": (
        "python3",
        ["-c", f"""
import urllib.request
r = urllib.request.Request("TARGET", data=b"email={EMAIL}&state=CA", headers={{"Authorization": "{AUTHORIZATION}"}})
print(urllib.request.urlopen(r).read().decode(), end="")"""],
    ),
}  # fmt: skip


async def output(program: str, *arguments: str) -> bytes:
    """What a program prints; fails with what it said when it does not end well."""
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, said.decode()
    return out


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_real_client_submits_a_lead(tmp_path: Path, client: str) -> None:
    program, arguments = CLIENTS[client]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    async with ScriptedUpstream(answering(OK)) as legacy, running(tmp_path, legacy.url) as gateway:
        url = f"http://127.0.0.1:{gateway.port}{PATH}"
        body = await output(program, *(argument.replace("TARGET", url) for argument in arguments))
        members = validate_answer(body, "application/json; charset=utf-8")
        assert members["valid"] is True
        assert legacy.requests == 1


@asynccontextmanager
async def nginx(folder: Path, port: int) -> AsyncIterator[None]:
    configuration = f"""
        daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{}}
        http {{
          access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
          fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
          server {{
            listen 127.0.0.1:{port};
            location /plain {{ default_type text/plain; return 200 "OK|98|10.00|177"; }}
            location /moved {{ return 302 /thank-you?lead=98; }}
          }}
        }}"""
    (folder / "nginx.conf").write_text(configuration)
    async with server("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), port=port):
        yield


@asynccontextmanager
async def php(folder: Path, port: int) -> AsyncIterator[None]:
    (folder / "lead.php").write_text(
        '<?php header("Content-Type: text/html"); if ($_POST["state"] !== "CA") { http_response_code(500); }\n'
        'echo "<html><body><h1>Thank you</h1><p>Lead ID: ", 90 + strlen($_POST["state"]) * 4, "</p></body></html>";'
    )
    async with server("php", "-S", f"127.0.0.1:{port}", "-t", str(folder), port=port):
        yield


@asynccontextmanager
async def server(program: str, *arguments: str, port: int) -> AsyncIterator[None]:
    """A server of ours, until the block ends; waits until it takes connections."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while True:
                assert process.returncode is None, f"{program} ended"
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0)
                else:
                    writer.close()
                    break
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


PAGE = [{"when": {"css": "h1", "word": "thank you"}, "verdict": "accepted", "uniqueid": {"text": r"Lead ID: (\d+)"}}]
MOVED = [
    {
        "when": {"header": "location", "matches": "/thank-you"},
        "verdict": "accepted",
        "uniqueid": {"header": "location", "query": "lead"},
    }
]


@pytest.mark.parametrize("keep_alive", ["0s", "2s"])
async def test_nginx_is_read(tmp_path: Path, port: int, keep_alive: str) -> None:
    async with (
        nginx(tmp_path, port),
        running(
            tmp_path, f"http://127.0.0.1:{port}/plain", program={"upstream": {"keep_alive": keep_alive}}
        ) as gateway,
    ):
        for _ in range(3):
            assert (await gateway.post()).members["uniqueid"] == "98"


async def test_a_redirect_of_nginx_is_read_and_not_followed(tmp_path: Path, port: int) -> None:
    async with (
        nginx(tmp_path, port),
        running(tmp_path, f"http://127.0.0.1:{port}/moved", program={"answers": MOVED}) as gateway,
    ):
        assert (await gateway.post()).members["uniqueid"] == "98"


async def test_a_page_of_phps_own_server_is_read(tmp_path: Path, port: int) -> None:
    async with (
        php(tmp_path, port),
        running(tmp_path, f"http://127.0.0.1:{port}/lead.php", program={"answers": PAGE}) as gateway,
    ):
        assert (await gateway.post()).members["uniqueid"] == "98"
