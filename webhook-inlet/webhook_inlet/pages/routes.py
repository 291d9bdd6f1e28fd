"""Every page but those that take posts: health, metrics, status and the log."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from webhook_inlet.pages.access import has_token
from webhook_inlet.pages.log_pages import LogPages, answer, no_token
from webhook_inlet.pages.metrics import ServiceCollector, registry
from webhook_inlet.pages.readers import LineCounts, Readers
from webhook_inlet.pages.status import Observer, status
from webhook_inlet.pages.status_html import SECURITY_HEADERS, page
from webhook_inlet.store import StoreError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from webhook_inlet.service import Service

#: `/metrics` is open to everybody: however often it is asked, it is made once a second, from a look at the store that
#: is at most so many seconds old and is waited for no longer than that
METRICS_SECONDS = 1.0
LOOK_MAX_AGE = 10.0
LOOK_TIMEOUT = 2.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

log = logging.getLogger("webhook_inlet")


def pages(service: Service) -> ASGIApp:
    """The application for everything but `/in/...`."""
    readers, counts = Readers(), LineCounts(service.store)
    own, lines = OwnPages(service, Observer(service, readers, counts)), LogPages(service, readers, counts)
    routes = [
        Route("/healthz", own.healthz),
        Route("/readyz", own.readyz),
        Route("/metrics", own.metrics),
        Route("/status", own.status),
        Route("/log/v1/{inlet}", _Endpoint(lines.lanes), methods=["GET"]),
        Route("/log/v1/{inlet}/{lane}/{segment}", _Endpoint(lines.segment), methods=["GET"]),
    ]
    return Guarded(Router(routes, redirect_slashes=False))


class _Endpoint:
    """An endpoint that sends by itself; Starlette would take a plain method for one that returns a response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class OwnPages:
    """What the inlet says about itself."""

    def __init__(self, service: Service, observer: Observer) -> None:
        self._service = service
        self._observer = observer
        self._collector = ServiceCollector(service)
        self._registry = registry(self._collector)
        self._metrics: tuple[float, bytes] | None = None
        self._making_metrics = asyncio.Lock()

    async def healthz(self, _request: Request) -> Response:
        """200 while the event loop turns."""
        return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})

    async def readyz(self, _request: Request) -> Response:
        """200 if posts are stored, else 503 with the reason."""
        problem = self._service.not_ready()
        return PlainTextResponse(
            f"not ready: {problem}\n" if problem else "ready\n",
            503 if problem else 200,
            {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        )

    async def metrics(self, _request: Request) -> Response:
        """The text format of Prometheus."""
        async with self._making_metrics:
            if self._metrics is None or time.monotonic() - self._metrics[0] > METRICS_SECONDS:
                await self._look()
                self._metrics = time.monotonic(), generate_latest(self._registry)
            return Response(self._metrics[1], headers={"Content-Type": METRICS_TYPE, "Cache-Control": "no-store"})

    async def _look(self) -> None:
        """Renews what the metrics know of the store. What it does not say in time is left as it was."""
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                looks = {name: await self._observer.look(name, LOOK_MAX_AGE) for name in list(self._service.inlets)}
                self._collector.unread = {name: look.unread for name, look in looks.items()}
                self._collector.free_bytes = self._service.store.free_bytes()
        except TimeoutError:
            log.warning("the store did not answer within %g s; the metrics show an older look at it", LOOK_TIMEOUT)

    async def status(self, request: Request) -> Response:
        """For people as HTML, for programs as JSON."""
        accept = request.headers.get("accept", "")
        wants_html = "text/html" in accept
        if not has_token(request, self._service, basic=True):
            refused = no_token()
            if wants_html:
                refused.headers.append("WWW-Authenticate", 'Basic realm="webhook-inlet", charset="UTF-8"')
            return refused
        now = await status(self._observer)
        if not wants_html:
            return answer(200, **now)
        refresh = request.query_params.get("refresh") != "off"
        html = await asyncio.to_thread(page, now, time.time(), refresh)
        return Response(html, headers=SECURITY_HEADERS, media_type="text/html")


class Guarded:
    """Answers 503 with a sentence if a page fails, and logs where, without the error's own text.

    That text may name anything, a secret included.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            where = "; ".join(f"{frame.name} line {frame.lineno}" for frame in frames[-4:])
            log.error("a page failed: %s (%s)", type(error).__name__, where)
            if scope["type"] != "http" or began:
                raise ConnectionAbortedError("a page failed after its answer had begun") from None
            words = str(error) if isinstance(error, StoreError) else f"The inlet failed ({type(error).__name__})."
            await answer(503, error=f"{words} Try again; if it stays, look at the inlet's log.")(scope, receive, send)
