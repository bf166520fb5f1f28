"""WSGI (PEP 3333) between a connection and the app: a request's environ, and its response.

gunicorn has both as well. Its own took longer than the app, the log and TLS together, because they
provide for much that one app and two protocols do not need.
"""

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from gunicorn.util import http_date

if TYPE_CHECKING:
    from _typeshed import OptExcInfo

    from foobar_api.connection import Connection
    from foobar_api.request import Request

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_WITHOUT_BODY: Final = frozenset([*range(100, 200), 204, 304])


def base_environ(server: tuple[str, int]) -> dict[str, Any]:
    """What is the same for all requests at the address ``server``."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        # Other servers leave it to the app to read no more than the request has.
        "wsgi.input_terminated": True,
        "SCRIPT_NAME": "",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
    }


def environ_of(
    request: "Request", connection: "Connection", base: dict[str, Any]
) -> dict[str, Any]:
    """The environ of a request; ``base`` stays as it is."""
    session = connection.session
    host, port = session.client
    path = request.path
    environ = {
        **base,
        "wsgi.url_scheme": "https" if session.tls else "http",
        "wsgi.input": request.body,
        # A WebSocket takes the connection over, and any request may ask for its session.
        "gunicorn.socket": connection,
        "REQUEST_METHOD": request.method,
        "RAW_URI": request.target,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path,
        "QUERY_STRING": request.query,
        "SERVER_PROTOCOL": request.protocol,
        "REMOTE_ADDR": host,
        "REMOTE_PORT": str(port),
    }
    for name, value in request.fields.items():
        key = name.replace("-", "_")
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        environ[key] = value
    return environ


class Response(ABC):
    """What the app answers to a request; each protocol sends it in its own way."""

    def __init__(self, request: "Request") -> None:
        self.status: str | None = None
        """Code and reason, once the app has begun."""
        self.code: int = HTTPStatus.INTERNAL_SERVER_ERROR.value
        """The code for logs and metrics."""
        self.fields: list[tuple[str, str]] = []
        self.length: int | None = None
        """Bytes of the body; None if the app does not say."""
        self.without_body = request.method == "HEAD"
        self.upgrade = False
        """Whether another protocol may follow on the connection."""
        self.headers_sent = False
        self.sent = 0
        """Bytes of the body that were written."""

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: "OptExcInfo | None" = None, /
    ) -> Callable[[bytes], object]:
        """As PEP 3333 has it. Raises ValueError of a header that would break out of its line."""
        if exc_info and exc_info[1]:
            if self.headers_sent:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self.status is not None:
            raise AssertionError("the response has begun already")
        if _CONTROL.search(status + "".join([name + value for name, value in headers])):
            raise ValueError("a response header has a control character")
        self.status = status
        self.code = int(status[:3])
        if self.code in _WITHOUT_BODY:
            self.without_body = True
        self.fields.clear()
        for field in headers:
            name = field[0].lower()
            if name == "connection":
                self.upgrade = field[1].lower() == "upgrade"
                continue  # whether it persists is not the app's to say
            if name == "content-length":
                self.length = int(field[1])
            self.fields.append(field)
        return self.write

    @property
    def is_short(self) -> bool:
        """Whether less of the body was written than was announced."""
        return not self.without_body and self.sent < (self.length or 0)

    def write(self, data: bytes) -> None:
        """Send a part of the body, of which no more leaves than was announced. Raises OSError."""
        if self.without_body:
            data = b""
        elif self.length is not None and len(data) > self.length - self.sent:
            data = data[: self.length - self.sent]
        self.sent += len(data)
        self._send(data)

    def close(self) -> None:
        """Send what the app has left to the end. Raises OSError."""
        if not self.headers_sent:
            self._send(b"")

    @abstractmethod
    def _send(self, data: bytes) -> None:
        """Send ``data``, behind the headers if they were not sent yet."""


def date() -> str:
    """The time, as headers have it."""
    return _date(int(time()))


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return str(http_date(second))
