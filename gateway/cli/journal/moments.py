"""Times as operators write and read them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo

import click

_AGO = re.compile(r"(\d{1,6})(m|h|d)")
_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def zone_of(zones: Iterable[tzinfo]) -> tzinfo:
    """Where a time without an offset is meant: the programs' zone when they share one, else UTC."""
    found = set(zones)
    return found.pop() if len(found) == 1 else UTC


def moment_ms(option: str, text: str | None, zone: tzinfo, now_ms: int) -> int | None:
    """POSIX milliseconds of a day, a time or how long ago. A day is its first moment. Wrong use for anything else."""
    if text is None:
        return None
    if ago := _AGO.fullmatch(text.strip()):
        return now_ms - int(ago[1]) * _MS[ago[2]]
    try:
        moment = datetime.fromisoformat(text.strip())
        return round((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            "is no time: 2026-03-01, 2026-03-01T14:30, 2026-03-01T14:30:00-05:00, or 90m, 36h, 7d ago.",
            param_hint=option,
        ) from None


def spelled(ms: int) -> str:
    """ISO 8601 in UTC, to the second: `2026-03-01T14:30:05Z`."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
