"""A PostgreSQL server of the tests' own, from the binaries that Debian installs, and a wire to it that can be cut.

The server lives in a directory of its own under the system's temporary one, listens on a socket file there and on a
free port of 127.0.0.1, writes to disk as a real one does (`fsync` and `synchronous_commit` stay on) and is gone at
the end of the session. `postgres` and `initdb` refuse to run as root: then another user runs them. Each process of
pytest-xdist starts a server for itself, so that one test may stop or freeze its server under nobody else's feet.

    async def test_…(postgres_url):        # an empty database of this test's own
    async def test_…(postgres_server):     # the server itself: stop(), start(), freeze(), thaw()
"""

from __future__ import annotations

import asyncio
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

SUPERUSER = "gateway"
#: After a crash it syncs all its files first, which may take long on a busy disk.
START_S = 90.0
#: Small and quick to start; nothing here weakens what a commit promises.
SETTINGS = {
    "shared_buffers": "64MB",
    "max_connections": "50",
    "max_wal_size": "256MB",
    "jit": "off",
    "log_min_messages": "warning",
    "lc_messages": "C",
    "timezone": "UTC",
    "listen_addresses": "127.0.0.1",
    # A frozen server is thawed in the middle of what it did; it must not then wait for its archiver or its senders.
    "max_wal_senders": "0",
    "wal_level": "minimal",
}


class PostgresMissing(Exception):
    """No server can be started here; the text says what is missing."""


def binaries() -> Path:
    """Where the newest installed server's programs lie."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    raise PostgresMissing("PostgreSQL is not installed (apt-get install postgresql)")


def _other_user() -> pwd.struct_passwd | None:
    """Who runs the server when root runs the tests; None for the very user who does."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresMissing("PostgreSQL does not run as root, and there is no user postgres or nobody")


class PostgresServer:
    """One private server. `start` after `stop` finds the same data on the same port."""

    def __init__(self, **settings: str) -> None:
        self._bin = binaries()
        self._user = _other_user()
        self._settings = {**SETTINGS, **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._used = ""
        self.port = _free_port()
        # Not pytest's own directory: only its owner can enter that one, and a socket's path has to be short.
        self.directory = Path(tempfile.mkdtemp(prefix="pg-"))
        if self._user is not None:
            os.chown(self.directory, self._user.pw_uid, self._user.pw_gid)
        self._data = self.directory / "data"
        self._log = self.directory / "log"
        try:
            self._make_cluster()
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def _make_cluster(self) -> None:
        arguments = ("--pgdata", str(self._data), "--username", SUPERUSER, "--auth=trust", "--encoding=UTF8")
        subprocess.run(
            (self._bin / "initdb", *arguments, "--no-locale", "--no-sync"),
            check=True, capture_output=True, timeout=60, **self._as_user(),
        )  # fmt: skip

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {"cwd": self.directory}
        return {
            "cwd": self.directory,
            "user": self._user.pw_uid,
            "group": self._user.pw_gid,
            "extra_groups": [],
            "env": {"PATH": os.environ.get("PATH", ""), "HOME": str(self.directory)},
        }

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until it takes connections; nothing to do when it runs."""
        if self.running:
            return
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                (self._bin / "postgres", "-D", self._data, "-k", self.directory, "-p", str(self.port), *settings),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_user(),
            )  # fmt: skip
        ready = (
            self._bin / "pg_isready",
            "-q",
            "-h",
            self.directory,
            "-p",
            str(self.port),
            "-U",
            SUPERUSER,
            "-d",
            "postgres",
        )
        end = time.monotonic() + START_S
        while subprocess.run(ready, timeout=START_S).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop(signal.SIGQUIT)
                raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT asks it to close its connections, SIGQUIT is a crash that the next start recovers from."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(20)

    def restart(self, number: int = signal.SIGINT) -> None:
        self.stop(number)
        self.start()

    def freeze(self) -> None:
        """Stop all its processes where they stand: connections stay open and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: int) -> None:
        assert self._process is not None
        # The server first, so that it has no more children in between.
        os.kill(self._process.pid, number)
        for child in _children(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, number)

    def url(self, database: str = "postgres", *, port: int = 0) -> str:
        """The address as `journal.url` takes it; with a port, by way of whoever listens there."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{port or self.port}/{database}"

    def create_database(self) -> str:
        """A new, empty database; its name."""
        name = f"journal_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def empty_database(self) -> str:
        """One without a journal: the same each time, as whoever was connected to it is put out. Its name."""
        if not self._used:
            self._used = self.create_database()
        others = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._used}'"  # noqa: S608
        self.sql(f"{others}")
        self.sql("SET client_min_messages = error; DROP SCHEMA IF EXISTS journal CASCADE", self._used)
        return self._used

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql prints for one statement, bare."""
        psql = (self._bin / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", self.directory, "-p", str(self.port))
        done = subprocess.run(
            (*psql, "-U", SUPERUSER, "-d", database, "-c", statement), capture_output=True, timeout=60, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{statement}: {done.stderr}")
        return done.stdout.strip()

    def close(self) -> None:
        """Stop it and remove its files."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)


def _free_port() -> int:
    """Below those that the kernel gives to connections, so that none of them takes it while the server is away."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _children(parent: int) -> list[int]:
    """The processes whose parent it is; one that ends meanwhile is left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # "pid (name) state ppid …": the name may hold blanks and parentheses.
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


@dataclass(eq=False)
class _Pair:
    """A client's connection and ours to the server. deaf, dumb: nothing goes to the client, to the server any more."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    deaf: bool = False
    dumb: bool = False


class Wire:
    """A TCP way to the server on which things go wrong when a certain message of the client's comes by.

    Each of these happens once. `cut_before`: the connection breaks, the message reaches nobody. `cut_after`: it
    reaches the server, whose answer reaches nobody. `swallow`: the connection stays, and nothing gets through any more.
    `call_before`: something else happens first. Besides, `cut` breaks all there is, and `refusing` all there will be.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._plans: list[tuple[bytes, Callable[[_Pair], bool]]] = []
        self.port = 0
        self.connections = 0
        self.refusing = False

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, database: str) -> str:
        return self._server.url(database, port=self.port)

    def cut_before(self, words: bytes) -> None:
        self._plans.append((words, lambda pair: False))

    def cut_after(self, words: bytes) -> None:
        def plan(pair: _Pair) -> bool:
            pair.deaf = True
            return True

        self._plans.append((words, plan))

    def swallow(self, words: bytes) -> None:
        def plan(pair: _Pair) -> bool:
            pair.dumb = True
            return True

        self._plans.append((words, plan))

    def call_before(self, words: bytes, action: Callable[[], object]) -> None:
        def plan(pair: _Pair) -> bool:
            action()
            return True

        self._plans.append((words, plan))

    def cut(self) -> None:
        for pair in tuple(self._pairs):
            pair.near.transport.abort()
            pair.far.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            if self.refusing:
                raise ConnectionError
            back, far = await asyncio.open_connection("127.0.0.1", self._server.port)
        except OSError:
            near.transport.abort()
            return
        pair = _Pair(near, far)
        self._pairs.add(pair)
        tasks = {
            asyncio.create_task(self._there(reader, pair), name="wire to the server"),
            asyncio.create_task(self._back(back, pair), name="wire from the server"),
        }
        self._tasks |= tasks
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks -= tasks
        self._pairs.discard(pair)
        near.transport.abort()
        far.close()  # what the server has not been sent yet is sent

    async def _there(self, reader: asyncio.StreamReader, pair: _Pair) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if not self._goes_on(data, pair):
                    return
                if not pair.dumb:
                    pair.far.write(data)
                    await pair.far.drain()

    def _goes_on(self, data: bytes, pair: _Pair) -> bool:
        for plan in [plan for plan in self._plans if plan[0] in data]:
            self._plans.remove(plan)
            if not plan[1](pair):
                return False
        return True

    async def _back(self, reader: asyncio.StreamReader, pair: _Pair) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if pair.deaf:
                    return
                pair.near.write(data)
                await pair.near.drain()


#: Of this process: several conftest files may import the fixtures below, and each is then a fixture of its own.
_servers: list[PostgresServer] = []


@pytest.fixture(scope="session")
def _postgres_session() -> Iterator[PostgresServer]:
    """The session's server; starts when the first test asks for it."""
    if not _servers:
        try:
            _servers.append(PostgresServer())
        except PostgresMissing as missing:
            pytest.skip(str(missing))
    yield _servers[0]
    _servers[0].close()


@pytest.fixture
def postgres_server(_postgres_session: PostgresServer) -> Iterator[PostgresServer]:
    """The session's server, running; a test may stop or freeze it, the next one finds it whole."""
    _postgres_session.start()
    yield _postgres_session
    if _postgres_session.running:
        _postgres_session.thaw()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """Where a database without a journal is, this test's own."""
    return postgres_server.url(postgres_server.empty_database())


@pytest.fixture
async def wire(postgres_server: PostgresServer) -> AsyncIterator[Wire]:
    """A way to the server that can be cut."""
    async with Wire(postgres_server) as way:
        yield way
