"""The journal, composed: its keys, its store, and who is told what happens in it.

Keys that the configuration does not name are made below `state_dir` when the gateway first runs, and only then: a
journal whose key is gone is not begun anew.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gateway.journal.keys import Hashes
from gateway.journal.port import Store
from gateway.journal.sealing import BadKey, KeyRing, Sealer, new_key
from gateway.settings.models import GatewaySettings
from gateway.settings.problems import Report

_SQLITE = "sqlite"
_KEYS = "keys"
#: What stands in for a key that will only be made when the gateway first runs, so that `check` can compile.
_STAND_IN = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalPlan:
    """A journal that could be opened."""

    url: str  # `sqlite`, or `postgresql://…`: holds a password
    state_dir: Path
    ring: KeyRing | None  # None: its key is made when the gateway first runs
    hashes: Hashes
    index: tuple[str, ...]
    retain_s: float

    def sealer(self) -> Sealer:
        """For what is written and read. Raises BadKey when there is no key yet."""
        if self.ring is None:
            raise BadKey("there is no journal key yet: it is made when the gateway first runs")
        return Sealer(self.ring)

    def store(self) -> Store:
        """The store, not open yet. Raises DriverMissing when PostgreSQL is asked for without its driver."""
        if self.url == _SQLITE:
            from gateway.journal.sqlite import SqliteStore

            return SqliteStore(self.state_dir)
        from gateway.journal.postgres import PostgresStore

        return PostgresStore(self.url)


def state_dir(settings: GatewaySettings) -> Path:
    """Where data lives: the setting, else $STATE_DIRECTORY (as service managers give it), else `var`."""
    if settings.state_dir is not None:
        return Path(settings.state_dir)
    return Path(os.environ.get("STATE_DIRECTORY", "var").partition(":")[0])


def compose_journal(settings: GatewaySettings, report: Report, *, create: bool = False) -> JournalPlan:
    """Compile the `journal` block; `report` stands at it. create: make the keys that are to be made."""
    journal, folder = settings.journal, state_dir(settings)
    url = journal.url.reveal() if journal.url is not None else _SQLITE
    if url != _SQLITE and not url.startswith(("postgresql://", "postgres://")):
        report.at("url").error("is no journal", "sqlite, or postgresql://user@host/database")
    key = journal.key.reveal() if journal.key is not None else _kept(folder, "journal", create)
    index_key = journal.index_key.reveal() if journal.index_key is not None else _kept(folder, "index", create)
    ring = None
    if key is not None:
        try:
            ring = KeyRing.load(key)
        except BadKey as error:
            report.at("key").error(str(error), "lines as `gateway init` writes them")
    try:
        hashes = Hashes(index_key.strip().encode() if index_key is not None else _STAND_IN)
    except ValueError:
        report.at("index_key").error("is shorter than 16 bytes", "a key as `gateway init` writes it")
        hashes = Hashes(_STAND_IN)
    return JournalPlan(
        url=url, state_dir=folder, ring=ring, hashes=hashes, index=journal.index, retain_s=journal.retain
    )


def _kept(folder: Path, name: str, create: bool) -> str | None:
    """The key that was made below the state folder; made now if `create`, None if it is not there."""
    path = folder / _KEYS / name
    try:
        return path.read_text()
    except FileNotFoundError:
        if not create:
            return None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = new_key() + "\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return text
