"""An HTTP/2 stream as gunicorn and the app see it: a request, its body, and a response.

gunicorn's policy decides what a request may hold, and its response checks what the app answers, as
for HTTP/1. Only how the bytes come and go is the connection's own.
"""

import io
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from gevent.event import Event
from gunicorn import util
from gunicorn.http.errors import (
    InvalidHeader,
    InvalidHeaderName,
    LimitRequestHeaders,
    ParseException,
)
from gunicorn.http.message import TOKEN_RE
from gunicorn.http.wsgi import Response as GunicornResponse
from gunicorn.http2.request import HTTP2Request
from h2 import events

from foobar_api.answer import ClientLeft, Refused, send
from foobar_api.http1 import FIELD, is_authority
from foobar_api.settings import Settings

if TYPE_CHECKING:
    from gunicorn.config import Config

    from foobar_api.connection import Connection


STREAM: Final = 28 * 2**10
"""Bytes that a request takes in memory beside its headers and body, with its greenlet; measured."""


class Owner(Protocol):
    """The connection that a stream belongs to."""

    settings: Settings

    def send_headers(
        self, stream: "Stream", headers: list[tuple[bytes, bytes]], *, end: bool
    ) -> None: ...
    def send(self, stream: "Stream", data: bytes, *, end: bool) -> None: ...
    def hold(self, stream: "Stream", size: int) -> None: ...
    def acknowledge(self, stream: "Stream", size: int) -> None: ...


class Stream:
    """A request and its response. gunicorn's request reads some of these attributes."""

    priority_weight = 16
    priority_depends_on = 0
    trailers = None
    expect_continue = False

    def __init__(self, owner: Owner, event: events.RequestReceived) -> None:
        self.stream_id = event.stream_id
        self.body_complete = event.stream_ended is not None
        self.answered = False
        """Whether the response has begun."""
        self.ended = False
        """Whether the whole response has been framed."""
        self.gone: str | None = None
        """Why nobody waits for the response."""
        self.greenlet: Any = None
        """The one that answers, once it runs."""
        self.pending = memoryview(b"")
        """What is to be sent next."""
        self.last = False
        """Whether nothing follows what is pending."""
        self.wakes = Event()
        self._owner = owner
        self._headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers
        ]
        self.head_size = sum(len(name) + len(value) for name, value in event.headers)
        self.max_head = owner.settings.max_head
        self._unread = bytearray()  # not a list: a client may send its body byte by byte
        self._received = 0
        self.held = 0
        """Bytes of the body that the app has."""
        self._body_until = monotonic() + owner.settings.body_timeout

    def get_pseudo_headers(self) -> dict[str, str]:
        return {name: value for name, value in self._headers if name.startswith(":")}

    def get_regular_headers(self) -> list[tuple[str, str]]:
        return [each for each in self._headers if not each[0].startswith(":")]

    # The request's body

    @property
    def is_short(self) -> bool:
        """Whether less came than was announced, which h2 sees in DATA frames alone."""
        announced = next((value for name, value in self._headers if name == "content-length"), "0")
        return self._received < int(announced)

    def feed(self, data: bytes) -> None:
        self._unread += data
        self._received += len(data)
        self.wakes.set()

    @property
    def unread(self) -> int:
        """Bytes of the body that have arrived, and the app has not read."""
        return len(self._unread)

    @property
    def size(self) -> int:
        """Bytes that the request takes in memory; its headers are kept twice, once for WSGI."""
        return STREAM + 2 * self.head_size + FIELD * len(self._headers) + self._received

    def receive(self, size: int) -> bytes:
        """Up to ``size`` bytes of the body; none at its end. Raises OSError and Refused."""
        while not self._unread:
            self.check()
            if self.body_complete:
                return b""
            if self.expect_continue:
                self.expect_continue = False
                self._owner.send_headers(self, [(b":status", b"100")], end=False)
            self.wait(self._body_until - monotonic())
        chunk = bytes(self._unread[:size])
        del self._unread[:size]
        self._owner.hold(self, len(chunk))
        self._owner.acknowledge(self, len(chunk))
        return chunk

    def check(self) -> None:
        """Raise ClientLeft if nobody waits for the response."""
        if self.gone:
            raise ClientLeft(self.gone)

    # The response

    def send_headers(self, headers: list[tuple[bytes, bytes]], *, end: bool) -> None:
        self.expect_continue = False
        self.answered = True
        self._owner.send_headers(self, headers, end=end)

    def send(self, data: bytes, *, end: bool) -> None:
        """Send ``data`` as fast as the client takes it. Raises OSError."""
        self._owner.send(self, data, end=end)

    def answer(self, refused: Refused, request_id: str) -> None:
        """Send the answer to a request that cannot be read. Raises OSError."""
        lines: list[tuple[str, str]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _: object = None, /
        ) -> Callable[[bytes], object]:
            lines.extend([(":status", status[:3]), *headers])
            return lambda data: None

        pieces = send(refused.answer, start_response, head=False, request_id=request_id)
        self.send_headers(encoded(lines), end=False)
        self.send(b"".join(pieces), end=True)

    def wait(self, seconds: float) -> None:
        """Until something changes for this stream. Raises OSError."""
        self.wakes.clear()
        if seconds <= 0 or not self.wakes.wait(seconds):
            raise TimeoutError("timed out")
        self.check()


class _Body(io.RawIOBase):
    """A request's body, as the standard library's buffered reader wants it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._stream.receive(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Request(HTTP2Request):
    """A request under gunicorn's policy for headers. Raises ParseException."""

    def __init__(self, stream: Stream, cfg: "Config", client: tuple[str, int]) -> None:
        if stream.head_size > stream.max_head:
            raise LimitRequestHeaders(f"headers above {stream.max_head} bytes")
        try:
            super().__init__(stream, cfg, client)
        except ValueError as error:
            raise ParseException(str(error)) from None
        for name, _ in self.headers:
            if not TOKEN_RE.fullmatch(name):
                raise InvalidHeaderName(name)
        if not is_authority(self.get_header("HOST") or ""):
            raise InvalidHeader("HOST")
        if stream.body_complete and stream.is_short:
            raise ParseException("the body is shorter than its content-length")
        has_body = stream.unread or not stream.body_complete
        self.body = io.BufferedReader(_Body(stream)) if has_body else io.BytesIO()

    def _peer_is_trusted_proxy(self) -> bool:
        """Nobody's X-Forwarded headers count."""
        return False


class Response(GunicornResponse):
    """Frames what gunicorn makes of the app's response."""

    def __init__(self, req: Request, sock: "Connection", cfg: "Config", stream: Stream) -> None:
        super().__init__(req, sock, cfg)
        self._stream = stream

    def is_chunked(self) -> bool:
        return False

    def can_sendfile(self) -> bool:
        return False

    def send_headers(self) -> None:
        if self._stream.answered:
            return
        self.headers_sent = True
        fields = {"server": self.version, "date": util.http_date()}
        given = [(name.lower(), value) for name, value in self.headers]
        for name, _ in given:
            fields.pop(name, None)
        lines = [(":status", str(self.status_code)), *given, *fields.items()]
        self._stream.send_headers(
            # RFC 9113 section 8.2.2 forbids the one that gunicorn lets pass.
            encoded(line for line in lines if line[0] != "upgrade"),
            end=self._omits_body or self.response_length == 0,
        )

    def _emit_body(self, data: bytes) -> None:
        last = self.response_length is not None and self.sent >= self.response_length
        if data or last:
            self._stream.send(data, end=last)

    def close(self) -> None:
        self.send_headers()
        if not self._stream.ended:
            self._stream.send(b"", end=True)


def encoded(lines: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Header fields as they are sent."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in lines]
