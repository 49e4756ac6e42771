"""The admin port: /metrics, /healthz and /readyz, on aiohttp's web server.

`/healthz` touches nothing. `/readyz` is red while starting, draining or locally broken, and never for an upstream: a
gateway taken out of service for that could not tell partners what is wrong. `/readyz?deep` looks at those too.
Neither needs a credential; /metrics does off loopback (`admin.users`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from gateway.intake.credentials import Authenticator, Denied
from gateway.observe.metrics import Metrics

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
    ) -> None:
        """`authenticator` None: /metrics needs no credential. `deep`: why a dependence is down, or "", by name."""
        self._metrics = metrics
        self._authenticator = authenticator
        self._ready = ready
        self._deep = deep

    def application(self) -> web.Application:
        """The three pages; anything else is 404."""
        application = web.Application(client_max_size=4096)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._render)
        return application

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        why_not = self._ready()
        lines, red = [why_not or "ready"], bool(why_not)
        if "deep" in request.query:
            states = await self._deep()
            lines += [f"{name}: {state or 'ok'}" for name, state in states.items()]
            red = red or any(states.values())
        return web.Response(text="\n".join(lines) + "\n", status=503 if red else 200)

    async def _render(self, request: web.Request) -> web.Response:
        if self._authenticator is not None:
            credential = await self._authenticator.check(request.headers.get("Authorization"), request.remote or "")
            if isinstance(credential, Denied):
                return web.Response(status=401, text="unauthorized\n", headers=_CHALLENGE)
        # Off the loop: a gateway with many partners has thousands of series.
        body, content_type = await asyncio.to_thread(self._metrics.render, request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})
