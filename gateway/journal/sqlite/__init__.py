"""The journal in a file of this host: SQLite, one writer thread a process, several processes on one file."""

from gateway.journal.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
