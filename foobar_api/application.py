"""The WSGI application: its routes, and what every answer has in common.

Whatever a request holds, its answer is one of HTTP's, in bounded time and memory, and never a
traceback.
"""

import json
import logging
import mmap
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from foobar_api import VERSION, data, echo, host
from foobar_api.answer import HTML, JSON, TEXT, YAML, Answer, ClientLeft, Refused, send
from foobar_api.negotiation import best
from foobar_api.report import PAGE_POLICY, Report, Request
from foobar_api.session import session_of
from foobar_api.settings import WRITE_AHEAD, Settings, duration, load, switch

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

READ: Final = ("GET", "HEAD")
ANY: Final = (*READ, "POST", "PUT", "PATCH", "DELETE")

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Route:
    """``handle`` is called for ``methods``, and told which of ``offers`` the client wants."""

    handle: Callable[["WSGIEnvironment", str], Answer]
    offers: tuple[str, ...] = (TEXT,)
    methods: tuple[str, ...] = READ


class Limit:
    """How many may do something at a time, in this worker."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = 0

    def __enter__(self) -> None:
        if self._now >= self._most:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._most} others do the same already; try again",
                [("Retry-After", "1")],
            )
        self._now += 1

    def __exit__(self, *_: object) -> None:
        self._now -= 1

    def during(self, body: Iterable[bytes]) -> "Iterable[bytes]":
        """``body``, which counts from now on until it is closed."""
        self.__enter__()
        return _Counted(body, self)


class _Counted:
    # No generator: one that was never begun would not notice that it is closed.
    def __init__(self, body: Iterable[bytes], limit: Limit) -> None:
        self._body = body
        self._limit: Limit | None = limit

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        if self._limit:
            self._limit.__exit__()
            self._limit = None


class Application:
    """The app for one set of settings."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
        self.settings = settings
        self.draining = False
        """Whether ``/readyz`` says no; set by the worker that was told to stop."""
        # Shared by the workers, which are forked after this: any may be told, any asked.
        self._health = mmap.mmap(-1, 2)
        self._set_health(HTTPStatus.OK)
        self._environment = environment
        self._where = host.where(environment)
        self._revision = environment.get("FOOBAR_API_REVISION", "")
        self._host = host.Recent(seconds=5)
        self._openapi = files(__package__).joinpath("openapi.yaml").read_bytes()
        self._waits = Limit(settings.max_waits)
        self._streams = Limit(settings.max_streams)
        self._sockets = Limit(settings.max_sockets)
        health = (*READ, "POST") if settings.allow_health else READ
        self.routes: Final[Mapping[str, Route]] = {
            "/": Route(self._report, (TEXT, HTML, JSON), ANY),
            "/api": Route(lambda environ, _: self._api(environ), (JSON,), ANY),
            "/bench": Route(lambda *_: Answer(b"1")),
            "/data": Route(lambda environ, _: self._data(environ)),
            "/echo": Route(lambda environ, _: self._echo(environ)),
            "/health": Route(lambda environ, _: self._get_or_set_health(environ), methods=health),
            "/livez": Route(lambda *_: Answer(b"ok\n")),
            "/readyz": Route(lambda *_: self._ready()),
            "/version": Route(lambda *_: self._version(), (JSON,)),
            "/openapi.yaml": Route(lambda *_: Answer(self._openapi, YAML), (YAML,)),
        }

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        asked = environ.get("HTTP_X_REQUEST_ID", "")
        identity = asked if _REQUEST_ID.fullmatch(asked) else os.urandom(8).hex()
        environ["foobar_api.request_id"] = identity
        try:
            answer = self._answer(environ)
        except Refused as refused:
            answer = refused.answer
        except ClientLeft:
            raise  # to the server, since nobody is there to answer
        except Exception:
            log.exception("request %s failed", identity)
            answer = Answer(b"internal error\n", status=HTTPStatus.INTERNAL_SERVER_ERROR)
        head = environ["REQUEST_METHOD"] == "HEAD"
        return send(answer, start_response, head=head, request_id=identity)

    def _answer(self, environ: "WSGIEnvironment") -> Answer:
        path = environ.get("PATH_INFO") or "/"
        route = self.routes.get(path)
        if route is None and self.settings.any_path:
            path, route = "/", self.routes["/"]
        if len(environ.get("RAW_URI", "")) > self.settings.max_line:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG, "the path and query are too long")
        method = environ["REQUEST_METHOD"]
        if method == "CONNECT":
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, "this is no proxy; CONNECT is not supported")
        if route is None:
            if path == "*" and method == "OPTIONS":
                return Answer(status=HTTPStatus.NO_CONTENT)
            raise Refused(HTTPStatus.NOT_FOUND, "not found; /openapi.yaml lists what there is")
        environ["foobar_api.route"] = path
        if method not in route.methods:
            allowed = [("Allow", ", ".join((*route.methods, "OPTIONS")))]
            if method == "OPTIONS":
                return Answer(status=HTTPStatus.NO_CONTENT, headers=allowed)
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} has no {method}", allowed)
        if int(environ.get("CONTENT_LENGTH") or 0) > self.settings.max_body:
            raise _too_large(self.settings.max_body)
        media = best(environ.get("HTTP_ACCEPT", ""), route.offers)
        if media is None:
            raise Refused(
                HTTPStatus.NOT_ACCEPTABLE, f"{path} is to be had as {', '.join(route.offers)}"
            )
        return route.handle(environ, media)

    # Endpoints

    def _report(self, environ: "WSGIEnvironment", media: str) -> Answer:
        query = _query(environ)
        self._wait(environ, query.get("wait", ""))
        report = self._about(environ, query)
        vary = [("Vary", "Accept")]
        if media == HTML:
            policy = ("Content-Security-Policy", PAGE_POLICY)
            return Answer(
                report.page(), HTML, headers=[*vary, policy, ("Referrer-Policy", "no-referrer")]
            )
        return Answer(report.json() if media == JSON else report.text(), media, headers=vary)

    def _api(self, environ: "WSGIEnvironment") -> Answer:
        return Answer(self._about(environ, _query(environ)).json(), JSON)

    def _about(self, environ: "WSGIEnvironment", query: Mapping[str, str]) -> Report:
        shown = self.settings.allow_env and _truth(query.get("env", ""))
        return Report(
            name=self.settings.name,
            where=self._where,
            host=self._host(),
            session=session_of(environ),
            request=Request.of(environ, self._body(environ)),
            environment=self._environment if shown else {},
        )

    def _wait(self, environ: "WSGIEnvironment", text: str) -> None:
        try:
            seconds = duration(text)
        except ValueError:
            return  # as whoami does
        # Counted apart: how long it takes is the client's choice.
        environ["foobar_api.route"] = "/?wait"
        if seconds > self.settings.max_wait:
            raise Refused(HTTPStatus.BAD_REQUEST, f"waits for at most {self.settings.max_wait:g}s")
        with self._waits:
            # Where our worker serves, a client that leaves frees its place among the waiting.
            pause = getattr(environ.get("gunicorn.socket"), "pause", time.sleep)
            pause(seconds)

    def _data(self, environ: "WSGIEnvironment") -> Answer:
        query = _query(environ)
        number = query.get("size", "")
        size = int(number) if re.fullmatch(r"[+-]?\d{1,18}", number, re.ASCII) else 1
        size = max(size, 0) * data.UNITS.get(query.get("unit", "").lower(), 1)
        if size > self.settings.max_data:
            raise Refused(HTTPStatus.BAD_REQUEST, f"gives at most {self.settings.max_data} bytes")
        if _truth(query.get("attachment", "")):
            # Only GET has ranges, and no If-Range can match what has no validator.
            ranges = environ["REQUEST_METHOD"] == "GET" and "HTTP_IF_RANGE" not in environ
            answer = data.attachment(size, environ.get("HTTP_RANGE", "") if ranges else "")
        else:
            answer = Answer(data.content(size), length=size)
        if (answer.length or 0) > WRITE_AHEAD:
            answer.body = self._streams.during(answer.pieces())
        return answer

    def _echo(self, environ: "WSGIEnvironment") -> Answer:
        try:
            upgradable = (environ.get("SERVER_PROTOCOL"), environ["REQUEST_METHOD"])
            if upgradable != ("HTTP/1.1", "GET") or session_of(environ) is None:
                raise echo.HandshakeError("ask for it by GET over HTTP/1.1")  # noqa: TRY301
            if environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ:
                raise echo.MalformedError("ask for it without a body")
            headers, connection = echo.accept(
                environ.get("RAW_URI", "/echo"), Request.of(environ, b"").all_headers()
            )
        except echo.HandshakeError as error:
            upgrade = [
                ("Connection", "upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")
            ]  # fmt: skip
            raise Refused(
                error.status,
                f"/echo is a WebSocket: {error}",
                upgrade if error.status == HTTPStatus.UPGRADE_REQUIRED else (),
            ) from None

        sock: echo.Socket = environ["gunicorn.socket"]

        def echoed() -> Iterator[bytes]:
            yield b""  # the headers go out
            echo.serve(
                sock, connection,
                max_message=self.settings.max_message, idle=self.settings.keep_alive,
            )  # fmt: skip

        return Answer(
            self._sockets.during(echoed()),
            status=HTTPStatus.SWITCHING_PROTOCOLS,
            headers=headers,
        )

    def _get_or_set_health(self, environ: "WSGIEnvironment") -> Answer:
        if environ["REQUEST_METHOD"] == "POST":
            body = self._body(environ)
            try:
                status = HTTPStatus(json.loads(body))
            except (ValueError, TypeError, RecursionError):
                status = HTTPStatus.CONTINUE
            if status < HTTPStatus.OK:
                raise Refused(
                    HTTPStatus.BAD_REQUEST, "send a status of HTTP from 200 on, such as 503"
                )
            self._set_health(status)
            log.info("health set to %d", status)
            return Answer()
        if self.draining:
            return Answer(b"draining\n", status=HTTPStatus.SERVICE_UNAVAILABLE)
        return Answer(status=HTTPStatus(int.from_bytes(self._health[:2])))

    def _set_health(self, status: HTTPStatus) -> None:
        self._health[:2] = status.to_bytes(2)

    def _ready(self) -> Answer:
        if self.draining:
            return Answer(b"draining\n", status=HTTPStatus.SERVICE_UNAVAILABLE)
        return Answer(b"ok\n")

    def _version(self) -> Answer:
        said = {"version": VERSION, "revision": self._revision, "python": self._host().python}
        return Answer(json.dumps(said).encode() + b"\n", JSON)

    def _body(self, environ: "WSGIEnvironment") -> bytes:
        """The request's body. Refuses one that is too long, whether it says so or not.

        What goes wrong here is the client's doing. Elsewhere, an OSError is a fault of the app.
        """
        most = self.settings.max_body
        length = environ.get("CONTENT_LENGTH")
        if not length and not environ.get("wsgi.input_terminated"):
            return b""  # a server that does not say where an unannounced body ends
        try:
            body: bytes = environ["wsgi.input"].read(int(length) if length else most + 1)
        except TimeoutError:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the body took too long") from None
        except OSError as error:
            raise ClientLeft(str(error)) from error
        if len(body) > most:
            raise _too_large(most)
        return body


def _too_large(most: int) -> Refused:
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {most} bytes")


def _query(environ: "WSGIEnvironment") -> dict[str, str]:
    """The query, the first of each name, as Go reads it."""
    text = environ.get("QUERY_STRING", "")
    if not text:
        return {}
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
        found.setdefault(name, value)
    return found


def _truth(text: str) -> bool:
    try:
        return switch(text)
    except ValueError:
        return False


def from_environment() -> Application:
    """For gunicorn, when it is started by itself."""
    return Application(load([], os.environ))
