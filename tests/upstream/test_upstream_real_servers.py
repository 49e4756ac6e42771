"""Servers that nobody wrote for these tests: Python's own, and nginx where it is installed."""

from __future__ import annotations

import asyncio
import http.server
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from gateway.datapost.reasons import Delivery
from tests.support.edge import LEAD, open_edge, post

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers a lead with its own body, in one of the framings that the path names."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        else:
            if self.path == "/length":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if self.path == "/close":
                self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """With room for more than five connections at once."""

    request_queue_size = 256
    daemon_threads = True


@pytest.fixture(scope="module")
def python_server() -> Iterator[str]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("keep_alive", ["0s", "5s"])
@pytest.mark.parametrize("path", ["/length", "/chunked", "/close"])
async def test_pythons_server_is_understood(path: str, keep_alive: str, python_server: str) -> None:
    async with open_edge(python_server + path, keep_alive=keep_alive, max_in_flight=20) as upstream:
        for _ in range(3):
            exchanges = await asyncio.gather(*(post(upstream, LEAD + b"&n=%d" % number) for number in range(20)))
            for number, exchange in enumerate(exchanges):
                assert exchange.delivery is Delivery.ANSWERED
                assert exchange.answer is not None
                assert exchange.answer.body == LEAD + b"&n=%d" % number


CONFIGURATION = """
worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /ok {{ default_type text/plain; return 200 'OK|98|10.00|177'; }}
    location /moved {{ return 302 /thanks; }}
    location /nothing {{ return 204; }}
    location /gone {{ return 444; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if NGINX is None:
        pytest.skip("nginx is not installed")
    directory = tmp_path_factory.mktemp("nginx")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    (directory / "nginx.conf").write_text(CONFIGURATION.format(directory=directory, port=port))
    with subprocess.Popen([NGINX, "-p", directory, "-c", directory / "nginx.conf"]) as process:
        reachable(port)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def reachable(port: int) -> None:
    """Wait until something listens there."""
    for _ in range(2000):
        with socket.socket() as sock:
            sock.settimeout(0.01)
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
            threading.Event().wait(0.005)
    raise AssertionError("nginx did not come up")


@pytest.mark.parametrize("keep_alive", ["0s", "5s"])
@pytest.mark.parametrize(
    ("path", "delivery", "status"),
    [
        ("/ok", Delivery.ANSWERED, 200),
        ("/moved", Delivery.ANSWERED, 302),
        ("/nothing", Delivery.ANSWERED, 204),
        ("/gone", Delivery.SENT, None),
    ],
)
async def test_nginx_is_understood(
    path: str, delivery: Delivery, status: int | None, keep_alive: str, nginx: str
) -> None:
    async with open_edge(nginx + path, keep_alive=keep_alive, max_in_flight=20) as upstream:
        exchanges = await asyncio.gather(*(post(upstream) for _ in range(20)))
        exchanges += [await post(upstream) for _ in range(3)]
    assert {one.delivery for one in exchanges} == {delivery}
    assert {one.answer.status if one.answer else None for one in exchanges} == {status}
