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

from foobar_api import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

CONNECTIONS: Final = 16
LIFETIME: Final = 5.0
"""Seconds that a connection has for its request and the answer."""


class _Handler(WSGIHandler):
    def read_request(self, raw_requestline: str) -> Any:
        try:
            return super().read_request(raw_requestline)
        except OSError as error:
            # A client that leaves is no fault of this server, for which gevent would take it.
            raise ValueError(error.strerror) from None


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
    return _answer(
        environ,
        lambda status, headers, *_: start_response(status, [*headers, ("Connection", "close")]),
    )
