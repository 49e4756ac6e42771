"""Long work, told on a terminal while it goes on and nowhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

import click

_EVERY_S = 0.1
_WIDTH = 30


class Progress:
    """A line on stderr that is written over: a bar when the total is known, else a count. Silent off a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = sys.stderr.isatty()
        self._next = 0.0
        self._done, self._total = 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown and self._next:
            self._draw()
            click.echo(err=True)

    def __call__(self, done: int, total: int = 0) -> None:
        """So much is done. total: 0 when it is not known."""
        self._done, self._total = done, total
        if self._shown and (now := time.monotonic()) >= self._next:
            self._next = now + _EVERY_S
            self._draw()

    def _draw(self) -> None:
        if self._total:
            filled = _WIDTH * min(self._done, self._total) // self._total
            bar = f"[{'#' * filled}{'-' * (_WIDTH - filled)}] {100 * self._done // self._total:3d} %"
        else:
            bar = f"{self._done:,}"
        click.echo(f"\r{self._what} {bar}", nl=False, err=True)
