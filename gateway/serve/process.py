"""A composition, running: ports are opened, signals are heard, and a stop goes in order.

A stop: readiness turns red; `drain.wait` (load balancers look away; Ctrl-C skips it); no new connections, idle
ones close; up to `drain.finish` for what is in flight; what is left then is answered `draining` when nothing of it
was sent, `outcome_unknown` when something was. A second signal skips what is left of the waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Mapping

from aiohttp import web

from gateway import __version__
from gateway.datapost.reasons import OUTCOMES, Delivery, Outcome, Reason
from gateway.intake import Intake
from gateway.intake.credentials import Authenticator, Verifier
from gateway.journal.backup import AFTER_RESTORE, RESTORED
from gateway.journal.engine import Journal
from gateway.journal.operations import Remember
from gateway.journal.retention import Retention
from gateway.observe.given_ids import GivenIds
from gateway.observe.log import SubmissionLog
from gateway.observe.metrics import AtZero, Metrics, ProgramMetrics
from gateway.pipeline import Lane, Pipeline
from gateway.serve.admin import Admin
from gateway.serve.compose import Composition
from gateway.serve.journaling import JournalWatch
from gateway.upstream import State, Upstream

_BACKLOG = 1024
_LAG_EVERY_S = 0.5
#: What is cut off gets this long to write its answer.
_LAST_WORDS_S = 1.0
#: Made and not yet gone, before the garbage collector looks at them.
_YOUNG_OBJECTS = 10_000


#: What alerts are about: the rate of accepted leads, and every state a lead can end in.
_AT_ZERO = AtZero((Reason.ACCEPTED,), ((Delivery.NOT_SENT, Outcome.NONE), *OUTCOMES.values()))


class Restored(Exception):
    """The journal comes from a backup, and nobody has said yet that this is known."""

    def __init__(self, taken: str) -> None:
        super().__init__(AFTER_RESTORE.format(taken=taken))


class Server:
    """One gateway process: `start`, then `until_stopped`, and `close` in any case."""

    def __init__(
        self, composition: Composition, log: SubmissionLog | None = None, *, after_restore: bool = False
    ) -> None:
        """after_restore: an operator knows that the journal comes from a backup, and what that means for claims."""
        settings = composition.settings
        self._after_restore = after_restore
        self._composition = composition
        self._settings = settings
        self.log = log if log is not None else SubmissionLog(settings.log.level)
        self._metrics = Metrics(partners=settings.metrics.partners, at_zero=_AT_ZERO)
        self.lanes: dict[str, Lane] = {}
        self._verifier = Verifier()
        self._journal: Journal | None = None
        self._pipeline: Pipeline | None = None
        self._intake: Intake | None = None
        self._socket: socket.socket | None = None
        self._listener: asyncio.Server | None = None
        self._admin: web.AppRunner | None = None
        self._lag: asyncio.Task[None] | None = None
        self._retention: asyncio.Task[None] | None = None
        self._why_not_ready = "starting"
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self.port = 0
        self.admin_port = 0

    async def start(self) -> None:
        """Open the journal and both ports.

        Raises OSError (with the address in `filename`) when a port cannot be had; StoreUnavailable, WrongSchema,
        WrongIndexKey, DriverMissing, BadKey or Restored when the journal cannot be.
        """
        loop = asyncio.get_running_loop()
        settings = self._settings
        host, port = settings.listening.endpoint
        listener = self._socket = _listen(host, port)
        self.port = listener.getsockname()[1]
        self.log.start(loop)
        plan = self._composition.journal
        watch = JournalWatch(self.log, self._metrics)
        self._journal = journal = Journal(plan.store(), plan.sealer(), plan.hashes, watch)
        await journal.start()
        await self._look_whether_restored(journal)
        retention = Retention(journal.store, content_ms=int(plan.retain_s * 1000))
        self._retention = loop.create_task(retention.run(), name="retention")
        for program in self._composition.programs.values():
            authenticator = None
            if program.users is not None:
                authenticator = Authenticator(program.users, self._verifier)
            users = program.users.names if program.users is not None else ()
            metrics = self._metrics.program(
                program.name, users=users, rules=program.answers.rules, fields=program.fields
            )
            self.lanes[program.path] = Lane(
                name=program.name,
                deadline_s=program.deadline_s,
                timezone=program.timezone,
                realm=program.realm,
                authenticator=authenticator,
                allowed=program.allowed,
                decode=program.decode,
                check=program.check,
                answers=program.answers,
                contract=program.contract,
                upstream=Upstream(program.upstream, on_circuit=self._on_circuit(metrics)),
                given_ids=GivenIds(),
                metrics=metrics,
                reserve=program.reserve,
            )
        self._pipeline = Pipeline(
            self.lanes,
            client_address=self._composition.client_address,
            client_scheme=self._composition.client_scheme,
            in_flight=settings.limits.in_flight,
            metrics=self._metrics,
            log=self.log,
            journal=journal,
        )
        self._intake = Intake(settings.limits, self._pipeline, crashed=self.log.bug)
        self._metrics.watch(
            connections=lambda: self._intake.connections if self._intake else 0,
            log_dropped=lambda: self.log.dropped,
            unknown=lambda: {name: (found.count, found.oldest_ms) for name, found in journal.unknown.items()},
        )
        await self._open_admin()
        self._lag = loop.create_task(self._measure_lag(), name="event loop lag")
        self._listener = await loop.create_server(self._intake.factory, sock=listener, backlog=_BACKLOG)
        self._why_not_ready = ""
        # What is here now stays; the collector need not look at it again with every full round.
        gc.collect()
        gc.freeze()
        # A few dozen leads at once hold more young objects than Python's own threshold, and leave no cycles behind.
        gc.set_threshold(_YOUNG_OBJECTS)

    async def _look_whether_restored(self, journal: Journal) -> None:
        """Raises Restored for a journal that knows less than happened, unless an operator said that this is known."""
        [taken] = await journal.store.commit([Remember(RESTORED, "", replace=self._after_restore)])
        if taken:
            raise Restored(str(taken))

    async def _open_admin(self) -> None:
        admin = self._settings.administration
        users = self._composition.admin_users
        authenticator = Authenticator(users, self._verifier) if users is not None else None
        pages = Admin(self._metrics, authenticator=authenticator, ready=self._red, deep=self._deep)
        self._admin = pages.runner()
        await self._admin.setup()
        sock = _listen(*admin.endpoint)
        self.admin_port = sock.getsockname()[1]
        await web.SockSite(self._admin, sock).start()

    def _on_circuit(self, metrics: ProgramMetrics) -> Callable[[State, str], None]:
        def on_circuit(state: State, cause: str) -> None:
            """Tell that the circuit before a program's upstream has changed."""
            metrics.circuit_state = state.value
            self.log.circuit(metrics.name, state.name.lower(), cause)

        return on_circuit

    def _red(self) -> str:
        """Why this process should get no leads now, or nothing. A journal on this machine is part of it."""
        if not self._why_not_ready and self._journal is not None and not self._journal.healthy:
            return "the journal cannot be written" if self._composition.journal.local else ""
        return self._why_not_ready

    async def _deep(self) -> Mapping[str, str]:
        """Whether each upstream takes connections; nothing is sent on them."""
        states = await asyncio.gather(*(lane.upstream.reachable() for lane in self.lanes.values()))
        found = {f"upstream of {lane.name}": state for lane, state in zip(self.lanes.values(), states, strict=True)}
        up = self._journal is not None and self._journal.healthy
        return {"journal": "" if up else "cannot be written", **found}

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self._metrics.lag(loop.time() - due)

    @property
    def ready_line(self) -> str:
        """The one line that `serve` prints."""
        host = self._settings.listening.endpoint[0]
        admin = self._settings.administration.endpoint[0]
        count = len(self.lanes)
        return (
            f"gateway {__version__} ready: {_url(host, self.port)} ({count} program{'' if count == 1 else 's'}), "
            f"admin {_url(admin, self.admin_port)}"
        )

    async def until_stopped(self) -> int:
        """Serve until SIGTERM or Ctrl-C, then stop in order. 0: nothing was cut off; 1: something was."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        try:
            await self._stop.wait()
            return await self._drain()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _signalled(self, number: int) -> None:
        if self._stop.is_set() or number == signal.SIGINT:
            self._hurry.set()
        self._stop.set()

    async def _drain(self) -> int:
        if self._intake is None or self._pipeline is None or self._listener is None:
            return 0
        self._why_not_ready = "draining"
        drain = self._settings.drain
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), drain.wait)
        self._listener.close()
        self._intake.begin_drain()
        self._hurry.clear()
        finished = asyncio.create_task(self._intake.drained(drain.finish), name="drain")
        again = asyncio.create_task(self._hurry.wait(), name="second signal")
        await asyncio.wait({finished, again}, return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        if finished.done() and finished.result():
            return 0
        finished.cancel()
        # Out of time: what has not gone out is refused, what has is of unknown outcome; both are told so.
        self._pipeline.draining.set()
        self._intake.interrupt()
        await asyncio.gather(*(lane.upstream.close() for lane in self.lanes.values()))
        await self._intake.drained(_LAST_WORDS_S)
        return 1

    async def close(self) -> None:
        """Close whatever is open; may be called at any time, more than once."""
        if self._listener is not None:
            self._listener.close()
        elif self._socket is not None:  # the start did not come so far
            self._socket.close()
        if self._intake is not None:
            await self._intake.abort()
        for lane in self.lanes.values():
            await lane.upstream.close()
        self._verifier.close()
        if self._journal is not None:
            await self._journal.close()
        for task in (self._lag, self._retention):
            if task is not None:
                task.cancel()
        if self._admin is not None:
            await self._admin.cleanup()
        self.log.close()


def _listen(host: str, port: int) -> socket.socket:
    """A bound TCP socket. Raises OSError naming the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        error.filename = f"{host}:{port}"
        raise
    return sock


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
