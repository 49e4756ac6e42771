"""The admin port: /metrics, /healthz and /readyz, on aiohttp's web server.

`/healthz` touches nothing. `/readyz` is red while starting, draining or locally broken, and never for an upstream: a
gateway taken out of service for that could not tell partners what is wrong. `/readyz?deep` looks at those too: once
for all who ask meanwhile and shortly after, since it connects to every upstream and needs no credential.
/metrics needs one off loopback (`admin.users`). No answer says what software this is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.web_request import BaseRequest

from gateway.intake.credentials import Authenticator, Denied
from gateway.observe.metrics import Metrics

_SERVER = "gateway"
#: How long the last deep look is told, in seconds.
_LOOKED_S = 2.0
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="admin", charset="UTF-8"'}


class Admin:
    """What the admin port shows; `ready` says why it is not, or nothing."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        authenticator: Authenticator | None,
        ready: Callable[[], str],
        deep: Callable[[], Awaitable[Mapping[str, str]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`authenticator` None: /metrics needs no credential. `deep`: why a dependence is down, or "", by name.

        clock: seconds that only go forward.
        """
        self._metrics = metrics
        self._authenticator = authenticator
        self._ready = ready
        self._deep = deep
        self._clock = clock
        self._looking: asyncio.Task[tuple[Mapping[str, str], float]] | None = None

    def runner(self) -> web.AppRunner:
        """The three pages; anything else is 404. Opening ports and cleaning up are the caller's."""
        return _Runner(self._application(), access_log=None, handle_signals=False)

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=4096)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._render)
        application.on_response_prepare.append(_neutral)
        application.on_cleanup.append(self._stop_looking)
        return application

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        why_not = self._ready()
        lines, red = [why_not or "ready"], bool(why_not)
        if "deep" in request.query:
            states = await self._look()
            lines += [f"{name}: {state or 'ok'}" for name, state in states.items()]
            red = red or any(states.values())
        return web.Response(text="\n".join(lines) + "\n", status=503 if red else 200)

    async def _look(self) -> Mapping[str, str]:
        """The last deep look, or the one that is under way, or a new one."""
        task = self._looking
        if task is None or (task.done() and (_failed(task) or self._clock() - task.result()[1] >= _LOOKED_S)):
            task = self._looking = asyncio.create_task(self._look_now(), name="deep look")
        # Whoever leaves does not end the look, which others wait for.
        return (await asyncio.shield(task))[0]

    async def _look_now(self) -> tuple[Mapping[str, str], float]:
        return await self._deep(), self._clock()

    async def _stop_looking(self, application: web.Application) -> None:
        if self._looking is not None:
            self._looking.cancel()

    async def _render(self, request: web.Request) -> web.Response:
        if self._authenticator is not None:
            credential = await self._authenticator.check(request.headers.get("Authorization"), request.remote or "")
            if isinstance(credential, Denied):
                return web.Response(status=401, text="unauthorized\n", headers=_CHALLENGE)
        # Off the loop: a gateway with many partners has thousands of series.
        body, content_type = await asyncio.to_thread(self._metrics.render, request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})


def _failed(task: asyncio.Task[tuple[Mapping[str, str], float]]) -> bool:
    return task.cancelled() or task.exception() is not None


class _Handler(web.RequestHandler):
    """aiohttp's, but for what it answers to what is no request: it would quote the line and name its version."""

    __slots__ = ()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # logs it
        text = HTTPStatus(status).phrase.lower()
        response = web.Response(status=status, text=f"{text}\n", headers={"Server": _SERVER})
        response.force_close()
        return response


class _Pages(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    """Serves with `_Handler`; aiohttp has no setting for that."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Pages(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )


async def _neutral(request: BaseRequest, response: web.StreamResponse) -> None:
    response.headers["Server"] = _SERVER
