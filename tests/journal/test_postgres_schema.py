"""The versions of the PostgreSQL schema: made, brought up to date, refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.journal.operations import Remember
from gateway.journal.postgres import PostgresStore
from gateway.journal.postgres.link import migrations
from gateway.journal.values import StoreUnavailable, WrongSchema
from tests.support.postgres import PostgresServer


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    return postgres_server.empty_database()


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The steps of a gateway that is one version ahead."""
    for number, text in enumerate(migrations(), 1):
        (tmp_path / f"{number:04d}.sql").write_text(text)
    (tmp_path / f"{number + 1:04d}.sql").write_text("ALTER TABLE remembered ADD COLUMN since_ms bigint;\n-- no more")
    return tmp_path


async def opened_and_closed(store: PostgresStore) -> None:
    await store.open()
    await store.close()


async def test_an_empty_database_gets_the_schema_by_opening_it_and_keeps_what_is_written(
    postgres_server: PostgresServer, database: str
) -> None:
    store = PostgresStore(postgres_server.url(database))
    await store.open()
    assert await store.commit([Remember("name", "value")]) == ["value"]
    await store.close()
    again = PostgresStore(postgres_server.url(database))
    await again.open()
    assert await again.commit([Remember("name", "other")]) == ["value"]
    await again.close()


async def test_many_hosts_that_open_an_empty_database_at_once_make_one_schema(
    postgres_server: PostgresServer, database: str
) -> None:
    await asyncio.gather(*(opened_and_closed(PostgresStore(postgres_server.url(database))) for _ in range(6)))
    assert postgres_server.sql("SELECT count(*) FROM journal.schema_version", database) == str(len(migrations()))


async def test_an_older_schema_is_refused_until_it_is_migrated_and_then_keeps_what_it_held(
    postgres_server: PostgresServer, database: str, later: Path
) -> None:
    old = PostgresStore(postgres_server.url(database))
    await old.open()
    await old.commit([Remember("name", "value")])
    await old.close()
    new = PostgresStore(postgres_server.url(database), schema=later)
    with pytest.raises(WrongSchema, match="run gateway journal migrate"):
        await new.open()
    assert await new.migrate() == (len(migrations()), len(migrations()) + 1)
    assert await new.migrate() == (len(migrations()) + 1, len(migrations()) + 1)
    await new.open()
    assert await new.commit([Remember("name", "other")]) == ["value"]
    await new.close()


async def test_a_newer_schema_is_refused_also_by_migrate(
    postgres_server: PostgresServer, database: str, later: Path
) -> None:
    await opened_and_closed(PostgresStore(postgres_server.url(database), schema=later))
    old = PostgresStore(postgres_server.url(database))
    with pytest.raises(WrongSchema, match="run the gateway that made it, or a newer one"):
        await old.open()
    with pytest.raises(WrongSchema, match="run the gateway that made it, or a newer one"):
        await old.migrate()


async def test_a_schema_that_became_newer_while_we_were_away_is_refused_when_we_connect_again(
    postgres_server: PostgresServer, database: str, later: Path
) -> None:
    old = PostgresStore(postgres_server.url(database))
    await old.open()
    await PostgresStore(postgres_server.url(database), schema=later).migrate()
    postgres_server.restart()
    with pytest.raises(StoreUnavailable, match="newer"):
        await old.commit([Remember("name", "value")])
    await old.close()


async def test_a_step_that_fails_leaves_the_version_before(
    postgres_server: PostgresServer, database: str, later: Path
) -> None:
    await opened_and_closed(PostgresStore(postgres_server.url(database)))
    [*_, last] = sorted(later.iterdir())
    last.write_text("CREATE TABLE half (a integer);\nALTER TABLE nowhere ADD COLUMN b integer;")
    with pytest.raises(StoreUnavailable, match="42P01"):
        await PostgresStore(postgres_server.url(database), schema=later).migrate()
    assert postgres_server.sql("SELECT to_regclass('journal.half') IS NULL", database) == "t"
    await opened_and_closed(PostgresStore(postgres_server.url(database)))


async def test_a_role_that_may_only_read_and_write_rows_can_use_a_schema_that_is_there(
    postgres_server: PostgresServer, database: str
) -> None:
    await opened_and_closed(PostgresStore(postgres_server.url(database)))
    postgres_server.sql(
        "DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA journal TO plain; "
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA journal TO plain",
        database,
    )
    plain = PostgresStore(postgres_server.url(database).replace("gateway@", "plain@"))
    await plain.open()
    assert await plain.commit([Remember("name", "value")]) == ["value"]
    await plain.close()


def test_steps_that_are_not_numbered_without_gaps_are_a_bug(tmp_path: Path) -> None:
    (tmp_path / "0001.sql").touch()
    (tmp_path / "0003.sql").touch()
    with pytest.raises(ValueError, match="gaps"):
        migrations(tmp_path)
