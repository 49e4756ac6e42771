"""The downstream edge as a whole: makes connections, bounds their number, and brings them to an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.intake.connection import Connection
from gateway.intake.limits import ABORT_TIME
from gateway.intake.reply import Dates
from gateway.intake.request import Handler
from gateway.settings.models import Limits


def _unheard(error: Exception) -> None:
    """The default for `crashed`: the answer `internal` is all that is known of it."""


class Intake:
    """All connections of one process. Made inside the running event loop that it will serve.

    limits: of this process (whoever runs several divides them). crashed: told of every exception that escaped the
    handler; its text may quote a lead and must not be logged, its type and place may.
    """

    def __init__(self, limits: Limits, handler: Handler, *, crashed: Callable[[Exception], None] = _unheard) -> None:
        self.limits, self.handler, self.crashed = limits, handler, crashed
        self.loop = asyncio.get_running_loop()
        self.dates = Dates()
        self.draining = False
        self._open: set[Connection] = set()
        self._leaving: set[Connection] = set()  # lost, while their handler works on
        self._per_address: dict[str, int] = {}
        self._drained = asyncio.Event()

    def factory(self) -> Connection:
        """The protocol factory for `loop.create_server`."""
        return Connection(self)

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._open)

    @property
    def busy(self) -> int:
        """Requests that are being worked on, those whose partner has left included."""
        return sum(connection.task is not None for connection in self._open) + len(self._leaving)

    def begin_drain(self) -> None:
        """Close idle connections now and every other one behind the answer to the request it has begun.

        Whoever is accepted from now on gets one answer. Stop listening before, or the drain need not end.
        """
        self.draining = True
        for connection in tuple(self._open):
            connection.close_idle()
        self._look()

    def interrupt(self) -> None:
        """Tell every handler that waits for a body that it will not come (`draining`)."""
        for connection in tuple(self._open):
            connection.interrupt()

    async def drained(self, within: float) -> bool:
        """Wait until no connection is open and no handler runs; False when `within` seconds have passed before."""
        try:
            async with asyncio.timeout(within):
                await self._drained.wait()
        except TimeoutError:
            return False
        return True

    async def abort(self) -> None:
        """End everything: handlers are cancelled, get a moment for a last answer, and connections are cut."""
        self.draining = True
        running = [one.task for one in (*self._open, *self._leaving) if one.task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=ABORT_TIME)
        for connection in tuple(self._open):
            connection.cut()
        self._look()

    # --- what connections tell ---

    def admit(self, connection: Connection) -> bool:
        """Count a connection in; False (and nothing counted) when there are too many, or too many of its address."""
        of_address = self._per_address.get(connection.address, 0)
        if len(self._open) >= self.limits.connections or of_address >= self.limits.connections_per_address:
            return False
        self._open.add(connection)
        self._per_address[connection.address] = of_address + 1
        return True

    def left(self, connection: Connection) -> None:
        """A connection is lost; its handler, if one runs, is not stopped by that."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        of_address = self._per_address[connection.address] - 1
        if of_address:
            self._per_address[connection.address] = of_address
        else:
            del self._per_address[connection.address]
        if connection.task is not None:
            self._leaving.add(connection)
        self._look()

    def finished(self, connection: Connection) -> None:
        """The handler of a lost connection has returned."""
        self._leaving.discard(connection)
        self._look()

    def _look(self) -> None:
        if self.draining and not self._open and not self._leaving:
            self._drained.set()
