"""`gateway healthcheck`: whom it asks, and what it makes of the answer. Real sockets."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import gateway
from gateway.cli.healthcheck import _configured, ask

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


class Admin:
    """Answers one request with these bytes; keeps what was asked."""

    def __init__(self, answer: bytes, family: socket.AddressFamily = socket.AF_INET) -> None:
        self.listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
        self.port: int = self.listener.getsockname()[1]
        self.answer = answer
        self.asked = b""
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        with connection:
            self.asked = connection.recv(65536)
            connection.sendall(self.answer)

    def close(self) -> None:
        # Closing alone does not wake a thread that is waiting in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


@contextmanager
def admin(answer: bytes = OK, family: socket.AddressFamily = socket.AF_INET) -> Iterator[Admin]:
    made = Admin(answer, family)
    try:
        yield made
    finally:
        made.close()


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(gateway, ["healthcheck", *map(str, arguments)])


def configuration(folder: Path, text: str) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(text)
    return path


def test_a_gateway_that_answers_200_is_alive() -> None:
    with admin() as asked:
        done = run("--url", f"http://127.0.0.1:{asked.port}")
    assert (done.exit_code, done.output) == (0, "")
    assert asked.asked.startswith(b"GET /healthz HTTP/1.1\r\n")


def test_another_page_may_be_asked_for() -> None:
    with admin() as asked:
        done = run("--url", f"http://127.0.0.1:{asked.port}/readyz?deep")
    assert done.exit_code == 0
    assert asked.asked.startswith(b"GET /readyz?deep HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "answered 503", id="503"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", "answered 204", id="204"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "answered 302", id="302"),
        pytest.param(b"SSH-2.0-x\r\n", "does not speak HTTP", id="not HTTP"),
        pytest.param(b"", "cannot be reached: RemoteDisconnected", id="nothing"),
    ],
)
def test_any_other_answer_is_1_with_the_reason_on_stderr(answer: bytes, said: str) -> None:
    with admin(answer) as asked:
        done = run("--url", f"http://127.0.0.1:{asked.port}")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"127.0.0.1:{asked.port} {said}\n")


def test_nobody_listening_is_1() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        done = run("--url", f"http://127.0.0.1:{port}")
    assert (done.exit_code, done.stderr) == (1, f"127.0.0.1:{port} cannot be reached: Connection refused\n")


def test_silence_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert ask("127.0.0.1", silent.getsockname()[1], timeout_s=0.05) == "did not answer within 0.05 s"


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:1", "127.0.0.1:1", "http://", "http://[::1", "http://h:x", "http://h/a b", ""]
)
def test_what_is_no_http_address_is_wrong_use(url: str) -> None:
    done = run("--url", url)
    assert done.exit_code == 2
    assert "must be an http:// address" in done.stderr


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda port: f"admin: 127.0.0.1:{port}", id="text"),
        pytest.param(lambda port: f"admin: {{address: 127.0.0.1:{port}, users: admin.htpasswd}}", id="block"),
        pytest.param(lambda port: f"admin: 0.0.0.0:{port}", id="every address"),
        pytest.param(lambda port: f"admin: localhost:{port}", id="name"),
        pytest.param(lambda port: "admin: ${env:ADMIN_ADDRESS}", id="environment"),
        pytest.param(
            lambda port: f"admin: 127.0.0.1:{port}\nlimits: {{boddy: 1}}\nprograms: [none.yaml]", id="other mistakes"
        ),
    ],
)
def test_the_admin_port_is_taken_from_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Callable[[int], str]
) -> None:
    with admin() as asked:
        monkeypatch.setenv("ADMIN_ADDRESS", f"127.0.0.1:{asked.port}")
        done = run("-c", configuration(tmp_path, written(asked.port)))
    assert (done.exit_code, done.output) == (0, "")


def test_every_ipv6_address_is_asked_on_loopback(tmp_path: Path) -> None:
    with admin(family=socket.AF_INET6) as asked:
        done = run("-c", configuration(tmp_path, f'admin: "[::]:{asked.port}"'))
    assert (done.exit_code, done.output) == (0, "")


@pytest.mark.parametrize(
    "text",
    ["admin: nonsense", "admin: 127.0.0.1:0", "admin: {users: f, address: [1]}", "admin: [", "", "admin: 7", "admin:"],
)
def test_a_configuration_without_an_admin_port_is_1(tmp_path: Path, text: str) -> None:
    path = configuration(tmp_path, text)
    done = run("-c", path)
    assert (done.exit_code, done.stderr) == (
        1,
        f"{path} names no admin port to ask; see gateway check, or use --url\n",
    )


def test_a_configuration_that_says_nothing_about_it_has_the_usual_admin_port(tmp_path: Path) -> None:
    assert _configured(configuration(tmp_path, "programs: [none.yaml]")) == ("127.0.0.1", 9090, "/healthz")


def test_a_configuration_that_is_not_there_is_1(tmp_path: Path) -> None:
    assert run("-c", tmp_path / "none.yaml").exit_code == 1


def test_with_an_address_no_more_than_the_command_line_is_loaded() -> None:
    code = (
        "import sys; from gateway.cli import gateway\n"
        "try: gateway(['healthcheck', '--url', 'http://127.0.0.1:1'])\n"
        "except SystemExit: print([m for m in ('aiohttp', 'pydantic', 'yaml', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
