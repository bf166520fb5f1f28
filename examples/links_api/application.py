"""The requests that links-api answers; README.md lists them."""

import hmac
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from links_api import store
from links_api.observed import Observed
from links_api.settings import Settings
from links_api.store import Link, Links

log = logging.getLogger(__package__)

LONGEST_BODY: Final = 4096
MOST_LISTED: Final = 1000
LONGEST_LIFE: Final = 10 * 365 * 86_400
"""Seconds."""
URL: Final = re.compile("https?://[!-~]{1,2000}")
NAME: Final = re.compile("(?!(links|livez|readyz|metrics)$)[a-z0-9-]{1,64}")
"""Not those whose paths lead elsewhere."""


def links_of(request: Request) -> Links:
    links: Links = request.app.state.links
    return links


def authorize(request: Request) -> None:
    """Raises HTTPException if the request does not have the token."""
    # Read at each request, because kubelet replaces the file when the Secret changes.
    expected = b"Bearer " + request.app.state.token_file.read_bytes().strip()
    given = request.headers.get("authorization", "").encode()
    if not hmac.compare_digest(given, expected):
        raise HTTPException(401, "needs the token", {"WWW-Authenticate": "Bearer"})


async def body_of(request: Request) -> Any:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise HTTPException(413, f"at most {LONGEST_BODY} bytes", {"Connection": "close"})
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is no JSON") from error


def link_of(name: str, body: Any) -> Link:
    """Raises HTTPException for what is no link."""
    if not NAME.fullmatch(name):
        raise HTTPException(400, "a name has 1 to 64 lower-case letters, digits and hyphens")
    match body:
        case {"url": str(url)} if URL.fullmatch(url):
            seconds = body.get("seconds")
        case _:
            raise HTTPException(400, '"url" has to be an absolute URL of http or https')
    valid = seconds is None or (type(seconds) is int and 0 < seconds <= LONGEST_LIFE)
    if not valid or body.keys() - {"url", "seconds"}:
        raise HTTPException(400, 'besides "url" there may be "seconds", a whole number')
    expires = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
    return Link(name, url, expires)


def as_json(link: Link) -> dict[str, str | None]:
    expires = link.expires.isoformat(timespec="seconds") if link.expires else None
    return {"name": link.name, "url": link.url, "expires": expires}


async def put_link(request: Request) -> Response:
    authorize(request)
    link = link_of(request.path_params["name"], await body_of(request))
    created = await links_of(request).put(link)
    return JSONResponse(as_json(link), 201 if created else 200)


async def list_links(request: Request) -> Response:
    authorize(request)
    links = await links_of(request).first(MOST_LISTED)
    return JSONResponse({"links": [as_json(link) for link in links]})


async def follow(request: Request) -> Response:
    name = request.path_params["name"]
    url = await links_of(request).url(name) if NAME.fullmatch(name) else None
    if url is None:
        raise HTTPException(404, "no such link")
    return RedirectResponse(url, 302)


async def livez(request: Request) -> Response:
    return Response()


async def readyz(request: Request) -> Response:
    """Whether the database answers, and has been migrated."""
    await links_of(request).check()
    return Response()


async def metrics(request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def unavailable(request: Request, error: Exception) -> Response:
    log.warning("%s %s: %r", request.method, request.url.path, error)
    return JSONResponse({"error": "not available now"}, 503, {"Retry-After": "5"})


async def refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


ROUTES: Final = (
    Route("/livez", livez),
    Route("/readyz", readyz),
    Route("/metrics", metrics),
    Route("/links", list_links),
    Route("/links/{name}", put_link, methods=["PUT"]),
    Route("/{name}", follow),
)


def application(settings: Settings) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with store.connected(settings.database_url) as links:
            app.state.links = links
            app.state.token_file = settings.token_file
            yield

    return Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        middleware=[
            Middleware(Observed, routes={route.endpoint: route.path for route in ROUTES}),
        ],
        exception_handlers={
            HTTPException: refused,
            OSError: unavailable,
            asyncpg.PostgresError: unavailable,
            asyncpg.InterfaceError: unavailable,
        },
    )
