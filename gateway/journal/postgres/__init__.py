"""The journal's store in PostgreSQL."""

from gateway.journal.postgres.link import DriverMissing
from gateway.journal.postgres.store import PostgresStore

__all__ = ["DriverMissing", "PostgresStore"]
