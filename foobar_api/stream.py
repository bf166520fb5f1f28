"""An HTTP/2 stream as the app sees it: a request, its body, and a response.

What a request may hold, and what the app may answer, is decided as for HTTP/1. Only how the bytes
come and go is the connection's own.
"""

import io
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from gevent.event import Event
from gunicorn import SERVER
from h2 import events

from foobar_api import gateway, request
from foobar_api.answer import ClientLeft, Refused, send
from foobar_api.request import FIELD, TOKEN, combined, malformed, too_large

if TYPE_CHECKING:
    from foobar_api.settings import Settings


STREAM: Final = 28 * 2**10
"""Bytes that a request takes in memory beside its headers and body, with its greenlet; measured."""


class Owner(Protocol):
    """The connection that a stream belongs to."""

    settings: "Settings"

    def send_headers(
        self, stream: "Stream", status: int, fields: list[tuple[str, str]], *, end: bool
    ) -> None: ...
    def send(self, stream: "Stream", data: bytes, *, end: bool) -> None: ...
    def hold(self, stream: "Stream", size: int) -> None: ...
    def acknowledge(self, stream: "Stream", size: int) -> None: ...


class Stream:
    """A request and its response."""

    def __init__(self, owner: Owner, event: events.RequestReceived) -> None:
        self.stream_id = event.stream_id
        self.body_complete = event.stream_ended is not None
        self.expect_continue = False
        """Whether the client waits for an invitation to send the body."""
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
        self._headers: list[tuple[bytes, bytes]] = event.headers
        self._announced = next(
            (int(value) for name, value in self._headers if name == b"content-length"), 0
        )
        # Not what they take before they are read: a value of the compression table is there once,
        # however often the client refers to it.
        self._head_size = sum([len(name) + len(value) + FIELD for name, value in self._headers])
        self._unread = bytearray()  # not a list: a client may send its body byte by byte
        self._received = 0
        self.held = 0
        """Bytes of the body that the app has."""
        self._body_until = monotonic() + owner.settings.body_timeout

    # The request's body

    @property
    def is_short(self) -> bool:
        """Whether less came than was announced, which h2 sees in DATA frames alone."""
        return self._received < self._announced

    def take_headers(self) -> list[tuple[str, str]]:
        """The request's fields, pseudo-headers first; they are kept no longer."""
        headers, self._headers = self._headers, []
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]

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
        """Bytes that the request takes in memory once it is read."""
        return STREAM + self._head_size + self._received

    def receive(self, size: int) -> bytes:
        """Up to ``size`` bytes of the body; none at its end. Raises OSError and Refused."""
        while not self._unread:
            self.check()
            if self.body_complete:
                return b""
            if self.expect_continue:
                self.expect_continue = False
                self._owner.send_headers(self, HTTPStatus.CONTINUE, [], end=False)
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

    def send_headers(self, status: int, fields: list[tuple[str, str]], *, end: bool) -> None:
        """Send the first frame of the response. Raises OSError."""
        self.expect_continue = False
        self.answered = True
        self._owner.send_headers(self, status, fields, end=end)

    def send(self, data: bytes, *, end: bool) -> None:
        """Send ``data`` as fast as the client takes it. Raises OSError."""
        self._owner.send(self, data, end=end)

    def answer(self, refused: Refused, request_id: str) -> None:
        """Send the answer to a request that cannot be read. Raises OSError."""
        fields: list[tuple[str, str]] = []

        def start_response(
            _: str, headers: list[tuple[str, str]], __: object = None, /
        ) -> Callable[[bytes], object]:
            fields.extend(headers)
            return lambda data: None

        pieces = send(refused.answer, start_response, head=False, request_id=request_id)
        self.send_headers(refused.answer.status, fields, end=False)
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


class Request(request.Request):
    """A request as RFC 9113 has it, whose pseudo-headers h2 has checked."""

    __slots__ = ()

    def __init__(self, stream: Stream, settings: "Settings") -> None:
        """Raises Refused."""
        pseudo: dict[str, str] = {}
        pairs = []
        size = 0
        for name, value in stream.take_headers():
            size += len(name) + len(value)
            if name[0] == ":":
                pseudo[name] = value
            else:
                pairs.append((name.upper(), value))
        if size > settings.max_head:
            raise too_large(f"the fields have more than {settings.max_head} bytes")
        fields = combined(pairs, settings)
        # h2 has refused a name that is empty.
        if fields and not TOKEN.fullmatch("".join(fields)):
            raise malformed("the name of a field", ", ".join(fields))
        authority = pseudo.get(":authority")
        if authority:
            fields["HOST"] = authority  # which wins over Host (section 8.3.1)
        target = pseudo.get(":path") or authority or ""
        if len(target) > settings.max_line:
            raise Refused(
                HTTPStatus.REQUEST_URI_TOO_LONG, f"the path has more than {settings.max_line} bytes"
            )
        super().__init__(pseudo[":method"], target, fields)
        self.protocol = "HTTP/2.0"
        if stream.body_complete and stream.is_short:
            raise Refused(HTTPStatus.BAD_REQUEST, "the body is shorter than its content-length")
        stream.expect_continue = "EXPECT" in fields
        has_body = stream.unread or not stream.body_complete
        self.body = io.BufferedReader(_Body(stream)) if has_body else io.BytesIO()


class Response(gateway.Response):
    """Sends a response in the frames of its stream."""

    def __init__(self, request: Request, stream: Stream) -> None:
        super().__init__(request)
        self._stream = stream

    def _send(self, data: bytes) -> None:
        last = self.without_body or (self.length is not None and self.sent >= self.length)
        if not self.headers_sent:
            self.headers_sent = True
            own = [("server", SERVER), ("date", gateway.date())]
            # RFC 9113 section 8.2.2 forbids Upgrade.
            given = [field for field in self.fields if field[0] != "Upgrade"]
            self._stream.send_headers(self.code, own + given, end=last and not data)
        if not self._stream.ended and (data or last):
            self._stream.send(data, end=last)

    def close(self) -> None:
        super().close()
        # A response that is too short is left open, so that its stream is reset.
        if not self._stream.ended and not self.is_short:
            self._stream.send(b"", end=True)
