"""The way to the server: one connection as the journal wants it, the schema's versions, and what errors mean.

Decides session settings, what is refused when connecting (a newer schema, a server that does not write to disk), and
which errors say that the store cannot be had. The only module that imports asyncpg, an optional dependency, and only
when a connection is made.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from types import ModuleType
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway.journal.values import StoreUnavailable, WrongSchema

SCHEMA = "journal"
#: Who creates or changes the schema holds it: 63 bits of our own choosing, of this database.
_MIGRATING = 0x6461746170_6F73
#: statement_timeout, lock_timeout
_TOO_LONG = ("57014", "55P03")
_numbered = re.compile(r"(\d{4})\.sql").fullmatch

Row = Sequence[Any]


class Link(Protocol):
    """What the journal uses of an asyncpg connection."""

    async def execute(self, query: str, *args: object) -> str: ...
    async def fetch(self, query: str, *args: object) -> list[Row]: ...
    async def fetchval(self, query: str, *args: object) -> Any: ...
    def cursor(self, query: str, *args: object, prefetch: int, timeout: float) -> AsyncIterator[Row]: ...
    def transaction(self, *, isolation: str = ..., readonly: bool = ...) -> Any: ...
    def is_closed(self) -> bool: ...
    async def close(self) -> None: ...
    def terminate(self) -> None: ...


class DriverMissing(Exception):
    """The optional dependency for PostgreSQL is not installed; the text says how to get it."""


class NoAnswer(StoreUnavailable):
    """It took too long; trying again at once would take as long again."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is. dsn: as asyncpg takes it, several hosts included. statements: how many it keeps prepared."""

    dsn: str
    statements: int


def address(url: str) -> Address:
    """`journal.url` for the driver. `?statement_cache_size=0` is ours, for a pooler that cannot prepare statements."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    statements = next((value for name, value in query if name == "statement_cache_size"), "100")
    if not statements.isdecimal():
        raise ValueError("statement_cache_size is not a number")
    rest = urlencode([pair for pair in query if pair[0] != "statement_cache_size"])
    return Address(urlunsplit(parts._replace(query=rest)), int(statements))


def driver() -> ModuleType:
    """asyncpg, imported when it is needed."""
    try:
        import asyncpg  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise DriverMissing(
            "a journal in PostgreSQL needs the package asyncpg: pip install 'data-post-gateway[postgres]'"
        ) from None
    module: ModuleType = asyncpg
    return module


def _session(timeout_s: float) -> dict[str, str]:
    """Settings of the one connection that writes. The server gives up before the client does, so that it is free."""
    return {
        "application_name": "data-post-gateway",
        "search_path": SCHEMA,
        "statement_timeout": _ms(0.8 * timeout_s),
        "lock_timeout": _ms(0.6 * timeout_s),
        # A process that stands still in the middle of a transaction must not keep other hosts from its keys.
        "idle_in_transaction_session_timeout": _ms(0.8 * timeout_s),
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        # All its statements are look-ups by key, whatever the statistics say of a table that is still small.
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_bitmapscan": "off",
        "max_parallel_workers_per_gather": "0",
        "jit": "off",
    }


def _ms(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))


#: Of a connection that reads for as long as somebody looks at what it reads, in the order of the index.
_READING = {
    "application_name": "data-post-gateway reading",
    "search_path": SCHEMA,
    "enable_seqscan": "off",
    "jit": "off",
}


@asynccontextmanager
async def guarded(timeout_s: float | None) -> AsyncIterator[None]:
    """Whatever says that the server cannot be had now leaves as StoreUnavailable, and without its text.

    The driver's texts quote values ("Key (key)=(…) already exists"), hence `from None`.
    """
    asyncpg = driver()
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except asyncpg.PostgresError as error:
        if error.sqlstate is None or error.sqlstate.startswith("08"):
            raise StoreUnavailable("PostgreSQL cannot be reached") from None
        kind = NoAnswer if error.sqlstate in _TOO_LONG else StoreUnavailable
        raise kind(f"PostgreSQL refused (SQLSTATE {error.sqlstate})") from None
    except TimeoutError:
        raise NoAnswer("PostgreSQL does not answer") from None
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        raise StoreUnavailable("PostgreSQL cannot be reached") from None


async def connect(where: Address, timeout_s: float, *, reading: bool = False) -> Link:
    """A new connection. Raises StoreUnavailable."""
    async with guarded(timeout_s):
        link: Link = await driver().connect(
            where.dsn,
            timeout=timeout_s,
            statement_cache_size=where.statements,
            server_settings=_READING if reading else _session(timeout_s),
        )
    return link


# --- the schema -------------------------------------------------------------------------------------------------


def migrations(directory: Traversable | None = None) -> list[str]:
    """The schema's steps in order; step n makes version n of version n-1."""
    where = directory or resources.files("gateway.journal") / "schema" / "postgres"
    steps = sorted((item.name, item) for item in where.iterdir() if _numbered(item.name))
    if [int(name[:4]) for name, _ in steps] != list(range(1, len(steps) + 1)):
        raise ValueError("the schema's steps are not numbered without gaps")
    return [item.read_text(encoding="utf-8") for _, item in steps]


_VERSIONS = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.schema_version (
  version integer NOT NULL PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now()
)"""
_HAS_VERSION = f"INSERT INTO {SCHEMA}.schema_version (version)"
_HIGHEST_VERSION = f"SELECT coalesce(max(version), 0) FROM {SCHEMA}.schema_version"  # noqa: S608


async def version(link: Link) -> int:
    """The version of the schema that is there; 0 for none."""
    if await link.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.schema_version") is None:
        return 0
    return int(await link.fetchval(_HIGHEST_VERSION))


async def check(link: Link, wanted: int) -> None:
    """Raises WrongSchema for another version than the wanted one, StoreUnavailable where a commit may be lost."""
    if await link.fetchval("SELECT current_setting('fsync')") != "on":
        raise StoreUnavailable("PostgreSQL runs with fsync off and may lose what it has committed")
    # What the server's owner chose stays, unless it means that a commit may be lost.
    await link.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    found = await version(link)
    if found > wanted:
        raise WrongSchema(
            f"the journal's schema has version {found} and this gateway knows {wanted}: "
            "run the gateway that made it, or a newer one"
        )
    if found < wanted:
        raise WrongSchema(
            f"the journal's schema has version {found} and this gateway needs {wanted}: run gateway journal migrate"
        )


async def migrate(link: Link, steps: Sequence[str], *, only_new: bool = False) -> int:
    """Bring the schema to the last of the steps, and give the version that was there before.

    Safe to run from several hosts at once: one does it, the others wait and find it done. Each step is a transaction.
    Changes the connection's settings; it serves nothing else after it. only_new: nothing is done unless there is no
    journal yet. Raises WrongSchema for a newer schema.
    """
    if only_new and (before := await version(link)):
        return before
    await link.execute("SET statement_timeout = 0")  # a step may take its time; so may waiting for another host's
    await link.execute("SET lock_timeout = 0")
    await link.execute(f"SELECT pg_advisory_lock({_MIGRATING})")  # until this connection ends
    before = await version(link)
    if before > len(steps):
        await check(link, len(steps))
    if only_new and before:
        return before
    for number, step in enumerate(steps[before:], before + 1):
        await link.execute(f"BEGIN; {_VERSIONS}")
        await link.execute(step)
        await link.execute(f"{_HAS_VERSION} VALUES ({number}); COMMIT")
    return before
