"""The port of the metrics, which shares its process with the app and must take nothing from it.

It has few connections, each for one request and a short time. One beyond that takes the place of
the oldest, so that clients that say nothing cannot keep Prometheus out.
"""

import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any, Final

import gevent.socket
from gevent import get_hub
from gevent.pywsgi import LoggingLogAdapter, WSGIHandler, WSGIServer
from prometheus_client.exposition import choose_encoder

from foobar_api import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

CONNECTIONS: Final = 16
LIFETIME: Final = 5.0
"""Seconds that a connection has for its request and the answer."""


class _Handler(WSGIHandler):
    def read_request(self, raw_requestline: str) -> Any:
        try:
            return super().read_request(raw_requestline)
        except ValueError:
            raise
        except Exception as error:  # noqa: BLE001 - gevent takes all for the client's fault
            # It left, or sent too many fields or no version of HTTP. gevent answers 400, but
            # prints a traceback for what is no ValueError.
            raise ValueError(str(error) or type(error).__name__) from None


class Exporter(WSGIServer):
    # One at a time, so that those that make room have ended before the next one is accepted.
    max_accept = 1

    def __init__(self, listener: socket.socket) -> None:
        """Takes over ``listener``."""
        address = listener.getsockname()[0]
        super().__init__(
            gevent.socket.socket(listener.family, listener.type, fileno=listener.detach()),
            _one_request,
            log=None,
            handler_class=_Handler,
            error_log=LoggingLogAdapter(log, logging.INFO),
            # Without a name, the name server is asked for one.
            environ={"SERVER_NAME": address, "wsgi.multiprocess": True},
        )
        self._connections: dict[socket.socket, None] = {}

    def handle(self, sock: socket.socket, address: str) -> None:
        if len(self._connections) >= CONNECTIONS:
            _leave(next(iter(self._connections)))
        self._connections[sock] = None
        end = get_hub().loop.timer(LIFETIME)
        end.start(_leave, sock)
        try:
            super().handle(sock, address)
        except OSError as error:
            log.debug("metrics: %s", error)
        finally:
            end.close()
            del self._connections[sock]


def _leave(sock: socket.socket) -> None:
    """Have whoever reads from ``sock`` or writes to it find its end."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


_answer: Final = metrics.application()


def _one_request(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
    """The metrics in the format that the client accepts, and without their text for HEAD."""
    try:
        choose_encoder(environ.get("HTTP_ACCEPT", ""))
    except (TypeError, ValueError):  # prometheus_client compares the version as numbers
        del environ["HTTP_ACCEPT"]
    is_head = environ["REQUEST_METHOD"] == "HEAD"
    if is_head:
        environ["REQUEST_METHOD"] = "GET"

    def start(
        status: str, headers: list[tuple[str, str]], *_: object
    ) -> "Callable[[bytes], object]":
        return start_response(status, [*headers, ("Connection", "close")])

    body = _answer(environ, start)
    return [] if is_head else body
