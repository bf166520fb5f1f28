"""Counts, times and logs every request."""

import logging
import time
from collections.abc import Mapping
from typing import Final

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS: Final = Counter("http_requests", "Requests, by status.", ["route", "code"])
SECONDS: Final = Histogram("http_request_duration_seconds", "Seconds to the end.", ["route"])
QUIET: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds; only a bad answer is worth a line."""

log = logging.getLogger(__package__)


class Observed:
    """The app, observed; ``routes`` has the path of each endpoint, for labels."""

    def __init__(self, app: ASGIApp, routes: Mapping[object, str]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, code = time.perf_counter(), 500

        async def observe(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            self._note(scope, code, time.perf_counter() - start)

    def _note(self, scope: Scope, code: int, seconds: float) -> None:
        # What a client makes up gives no label, of which there may only be few.
        route = self._routes.get(scope.get("endpoint"), "none")
        REQUESTS.labels(route, code).inc()
        SECONDS.labels(route).observe(seconds)
        if route not in QUIET or code >= 500:
            fields = {
                "method": scope["method"],
                "path": scope["path"],
                "status": code,
                "seconds": round(seconds, 6),
                "client": (scope["client"] or ("unknown",))[0],
            }
            log.info("request", extra={"fields": fields})
