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
from gateway.journal.sqlite.store import FILE
from gateway.observe.log import SubmissionLog
from gateway.observe.metrics import Metrics
from gateway.observe.words import Severity
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

    @property
    def local(self) -> bool:
        """Whether the store is a file of this machine."""
        return self.url == _SQLITE

    def sealer(self) -> Sealer:
        """For what is written and read. Raises BadKey when there is no key yet."""
        if self.ring is None:
            raise BadKey("there is no journal key yet: it is made when the gateway first runs")
        return Sealer(self.ring)

    def store(self) -> Store:
        """The store, not open yet. Raises DriverMissing when PostgreSQL is asked for without its driver."""
        if self.local:
            from gateway.journal.sqlite import SqliteStore

            return SqliteStore(self.state_dir)
        from gateway.journal.postgres import PostgresStore

        return PostgresStore(self.url)


class JournalWatch:
    """Tells log and metrics what happens in the journal; what somebody must look at is an error with its reference."""

    def __init__(self, log: SubmissionLog, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics

    def _tell(self, event: str, severity: Severity, reference: str = "", why: str = "") -> None:
        self._metrics.journal(event)
        self._log.journal(event, severity, reference, why)

    def committed(self, seconds: float, operations: int) -> None:
        """A transaction is durable."""
        self._metrics.committed(seconds)

    def unavailable(self, why: str) -> None:
        """The store cannot be had from now on."""
        self._metrics.journal_up = False
        self._tell("journal_unavailable", "error", why=why)

    def available(self) -> None:
        """The store is back."""
        self._metrics.journal_up = True
        self._tell("journal_available", "info")

    def deferred(self, reference: str) -> None:
        """A settlement could not be written in time: its partner is answered first."""
        self._tell("journal_settlement_deferred", "error", reference)

    def caught_up(self, reference: str) -> None:
        """A deferred settlement is written now."""
        self._tell("journal_settlement_caught_up", "info", reference)

    def lost(self, reference: str, why: str) -> None:
        """A settlement is given up; people must find out its outcome."""
        self._tell("journal_settlement_lost", "error", reference, why)

    def recovered(self, reference: str) -> None:
        """A submission whose process died has an unknown outcome now."""
        self._tell("journal_recovered", "warning", reference)

    def unreadable(self, reference: str) -> None:
        """What is kept of a submission does not open: a key is missing, or bytes were changed."""
        self._tell("journal_unreadable", "error", reference)

    def dropped_note(self) -> None:
        """A refusal was not written; counted only, since there may be thousands."""
        self._metrics.journal("journal_note_dropped")

    def bug(self, bug: BaseException) -> None:
        """Something of ours is broken."""
        self._log.bug(bug)


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
    if url != _SQLITE and (journal.key is None or journal.index_key is None):
        # Hosts that share a journal must share its keys: none of them may make its own.
        report.error("key and index_key are missing", "both, since a shared journal needs the same on every host")
        create = False
    key = journal.key.reveal() if journal.key is not None else _kept(folder, "journal", create, report)
    index_key = journal.index_key.reveal() if journal.index_key is not None else _kept(folder, "index", create, report)
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


def _kept(folder: Path, name: str, create: bool, report: Report) -> str | None:
    """The key that was made below the state folder; made now if `create`, None if it is not there."""
    path = folder / _KEYS / name
    try:
        if create and not path.exists():
            if (folder / FILE).exists():
                report.error(f"the journal in {folder} was written with a key that is gone: {path}", "the key put back")
                return None
            _make(path)
        return path.read_text()
    except FileNotFoundError:
        return None
    except OSError as error:
        report.error(
            f"the key in {path} cannot be had: {os.strerror(error.errno or 0)}", "a state_dir of the gateway's own"
        )
        return None


def _make(path: Path) -> None:
    """Write a fresh key, durably; another process that starts at the same moment may have been first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(new_key() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
