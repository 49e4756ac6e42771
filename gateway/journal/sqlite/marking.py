"""Index hashes: who carries what is searched for. The table is read from end to end, so that no lead pays for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from gateway.journal.sqlite.packing import pack_hashes, unpack_hashes


def marked(db: sqlite3.Connection, index: Sequence[bytes], *, above: int = 0) -> Iterator[int]:
    """Ids above `above` of rows that carry every one of these index hashes, ascending."""
    wanted = set(index)
    conditions = " AND ".join("instr(hashes, ?)" for _ in index)
    for id, packed in db.execute(
        f"SELECT id, hashes FROM marks WHERE id > ? AND {conditions} ORDER BY id",  # noqa: S608
        (above, *(pack_hashes((one,)) for one in index)),
    ):
        # A hash might stand across the border of two others.
        if wanted <= unpack_hashes(packed):
            yield id
