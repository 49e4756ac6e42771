"""What the journal's tests share."""

from tests.support.postgres import _postgres_session, postgres_server, postgres_url, wire

__all__ = ["_postgres_session", "postgres_server", "postgres_url", "wire"]
