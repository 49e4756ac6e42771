"""The way from a configuration file to an open journal, the same for each command.

Decides what is told when there is no way: a wrong configuration is exit code 2, a journal that cannot be had 1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from gateway.journal.operations import Operation, Remember
from gateway.journal.port import Store
from gateway.journal.records import Query, Record
from gateway.serve.compose import Composition, Program, compose
from gateway.serve.journaling import JournalPlan
from gateway.settings.load import load
from gateway.settings.models import ProgramSettings

if TYPE_CHECKING:
    from gateway.journal.sealing import Sealer

#: Under this name the journal remembers which index key its hashes were made with.
INDEX_KEY = "index_key"


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration without errors. settings: the programs', by name."""

    composition: Composition
    settings: dict[str, ProgramSettings]

    @property
    def plan(self) -> JournalPlan:
        return self.composition.journal

    def program(self, name: str) -> Program:
        """The program of this name; wrong use when there is none."""
        if name not in self.composition.programs:
            raise click.UsageError(f"There is no program {name}; there are: {', '.join(self.composition.programs)}.")
        return self.composition.programs[name]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with."""

    configured: Configured
    sealer: Sealer
    store: Store

    async def commit(self, operation: Operation) -> object:
        """One operation in a transaction of its own; its result."""
        (result,) = await self.commit_all([operation])
        return result

    async def commit_all(self, operations: Sequence[Operation]) -> list[object]:
        """Several in one transaction; their results. Raises the first one's failure that could not be carried out."""
        results = await self.store.commit(operations)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return results

    @asynccontextmanager
    async def searching(self, query: Query) -> AsyncIterator[AsyncIterator[Record]]:
        """A search that ends with the block, whatever ends that: what it holds of the store is given back."""
        records = self.store.search(query)
        try:
            yield records
        finally:
            if isinstance(records, AsyncGenerator):
                await records.aclose()

    async def find(self, query: Query) -> Record | None:
        """The first of the rows that match."""
        async with self.searching(replace(query, limit=1)) as records:
            return await anext(records, None)


def configured(config: Path) -> Configured:
    """Read and compile a configuration; with an error in it, print what is wrong and end."""
    loaded = load(config)
    with _readable():
        composition = compose(loaded)
    if composition is None:
        for problem in loaded.findings():
            click.echo(str(problem), err=True)
        click.echo("The configuration is wrong; the journal was not opened.", err=True)
        raise SystemExit(2)
    return Configured(composition, {one.settings.program: one.settings for one in loaded.programs})


@contextmanager
def in_words() -> Iterator[None]:
    """A journal that cannot be had, told in a line and exit code 1."""
    from gateway.journal.postgres.link import DriverMissing
    from gateway.journal.sealing import BadKey
    from gateway.journal.sqlite.verifying import BackupFailed
    from gateway.journal.values import NotTaken, StoreUnavailable, WrongSchema

    try:
        yield
    except (StoreUnavailable, WrongSchema, DriverMissing, BadKey) as error:
        fail(f"the journal cannot be had: {error}")
    except (NotTaken, BackupFailed) as error:
        fail(f"nothing was done: {error}")


def local_folder(known: Configured) -> Path:
    """Where the journal's file is, or is to be; wrong use when the journal is none."""
    if not known.plan.local:
        raise click.UsageError("The journal is in PostgreSQL, which has its own tools for this: see docs/journal.md.")
    return known.plan.state_dir


def at_desk(config: Path, work: Callable[[Desk], Awaitable[int]]) -> NoReturn:
    """Open the journal, do the work and end with its exit code."""
    from gateway.journal.sqlite.store import FILE

    known = configured(config)
    plan = known.plan
    with _readable():
        # Opening a store makes what is not there: a journal is begun by `serve`, not by who looks for one.
        missing = plan.local and not (plan.state_dir / FILE).exists()
    if missing:
        fail(f"there is no journal in {plan.state_dir}: nothing was served from there yet")

    async def run() -> int:
        sealer, store = plan.sealer(), plan.store()
        await store.open()
        try:
            return await work(Desk(known, sealer, store))
        finally:
            await store.close()

    with in_words():
        code = asyncio.run(run())
    raise SystemExit(code)


@contextmanager
def _readable() -> Iterator[None]:
    """Of data that belongs to the gateway's user."""
    try:
        yield
    except PermissionError as error:
        fail(f"{error.filename} may not be read by this user: run this as the user that the gateway runs as")


def check_stopped(known: Configured) -> None:
    """End when a gateway of this configuration runs on this machine. Of other hosts nothing is known here."""
    from gateway.cli.healthcheck import ask, reachable

    host, port = known.composition.settings.administration.endpoint
    if port and not ask(reachable(host), port):
        fail(f"a gateway is running (it answers on port {port}): stop it first")


async def check_index_key(desk: Desk) -> None:
    """End unless the hashes in the journal are of the configured index key: nothing would be found by others."""
    name = desk.configured.plan.hashes.name
    if await desk.commit(Remember(INDEX_KEY, name)) != name:
        fail("the journal was written with another index_key: configure that one, or run gateway journal reindex")


def fail(text: str) -> NoReturn:
    """Say why and end with exit code 1."""
    click.echo(text[:1].upper() + text[1:], err=True)
    raise SystemExit(1)
