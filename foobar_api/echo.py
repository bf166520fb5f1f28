"""``/echo``: a WebSocket that sends back what it is sent.

The handshake and the frames are wsproto's, the bytes those of the connection that gunicorn hands
to the app. wsproto puts no limits on a client; those are here.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from time import monotonic
from typing import Final, Protocol

import h11
from wsproto.connection import Connection as WebSocket
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.handshake import H11Handshake
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from foobar_api.fairness import Rate, give_way

READ: Final = 16384
TURN: Final = 50
"""Frames that are handled before other clients have their turn."""
NOISE_SECONDS: Final = 10.0
MAX_NOISE: Final = 1000
"""Frames that a client may send in NOISE_SECONDS though they carry nothing: pings, pongs, and empty
fragments."""
CLOSING: Final = 2.0
"""Seconds that a client has to answer a Close which it did not cause."""
CLOSING_BYTES: Final = 65536
"""What it may send before."""

_NOISY: Final = CloseConnection(CloseReason.POLICY_VIOLATION, "too many frames that carry nothing")

_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
_ASKS: Final = frozenset({
    "Connection", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Protocol",
    "Sec-Websocket-Version", "Upgrade",
})  # fmt: skip
"""Fields of the handshake, by the names that WSGI leaves of them."""


class Socket(Protocol):
    """A client's connection; ``idle`` while nobody would miss it."""

    idle: bool

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...
    def settimeout(self, seconds: float | None, /) -> object: ...


class HandshakeError(ValueError):
    """The request asks for no WebSocket, or not as RFC 6455 section 4.2.1 says."""

    status = HTTPStatus.UPGRADE_REQUIRED


class MalformedError(HandshakeError):
    """It asks for one as no client may: with a body, or without a key of 16 bytes in base64."""

    status = HTTPStatus.BAD_REQUEST


def accept(
    path: str, headers: Iterable[tuple[str, str]]
) -> tuple[list[tuple[str, str]], WebSocket]:
    """The headers that accept a request for a WebSocket, and the connection that follows.

    Raises HandshakeError.
    """
    # wsproto asks for a host, which has been checked, and reads it with more limits than a URI has.
    told = {"Host": "localhost", "Sec-Websocket-Key": ""} | {
        name: value for name, value in headers if name in _ASKS
    }
    handshake = H11Handshake(ConnectionType.SERVER)
    try:
        handshake.initiate_upgrade_connection(
            [(name.encode(), value.encode("latin-1")) for name, value in told.items()], path
        )
        answer = handshake.send(AcceptConnection())
    except UnicodeError:
        raise MalformedError("a field of the WebSocket handshake is not ASCII") from None
    except (h11.ProtocolError, LocalProtocolError, RemoteProtocolError) as error:
        raise HandshakeError(str(error)) from None
    if not _KEY.fullmatch(told["Sec-Websocket-Key"]):
        raise MalformedError("Sec-WebSocket-Key is not 16 bytes in base64")
    connection = handshake.connection
    if connection is None:  # it has one once it has sent an answer
        raise HandshakeError("no WebSocket")
    _, *lines = answer.decode("latin-1").rstrip("\r\n").split("\r\n")
    return [
        (name, value) for name, _, value in (line.partition(": ") for line in lines)
    ], connection


def serve(sock: Socket, connection: WebSocket, *, max_message: int, idle: float) -> None:
    """Echo messages until either side closes the WebSocket.

    ``max_message`` is in bytes. A socket on which nothing is completed for ``idle`` seconds is
    closed with 1001, and so is one whose wait for the client is ended by the worker, which stops.

    Raises TimeoutError when the client does not take what it is sent, and OSError.
    """
    echo = _Echo(max_message)
    while True:
        sock.flush()
        sock.settimeout(echo.completed + idle - monotonic())
        sock.idle = True
        try:
            data = sock.recv(READ)
        except TimeoutError:
            sock.sendall(connection.send(CloseConnection(CloseReason.GOING_AWAY)))
            _await_close(sock, connection)
            return
        finally:
            sock.idle = False
        connection.receive_data(data or None)
        for number, event in enumerate(connection.events(), 1):
            if isinstance(event, CloseConnection):
                sock.sendall(_last_words(connection, event))
                return
            answer = echo.answer(event)
            if answer is not None:
                sock.sendall(connection.send(answer))
            if isinstance(answer, CloseConnection):
                return
            if number % TURN == 0:
                give_way()


def _last_words(connection: WebSocket, event: CloseConnection) -> bytes:
    match connection.state:
        case ConnectionState.REMOTE_CLOSING:
            return connection.send(event.response())
        case ConnectionState.OPEN:
            return connection.send(event)  # wsproto's, for a frame that breaks the protocol
        case _:
            return b""  # the client left without a Close


def _await_close(sock: Socket, connection: WebSocket) -> None:
    """Read on until the client has answered the Close. Raises TimeoutError and OSError."""
    sock.settimeout(CLOSING)
    most = CLOSING_BYTES
    while most > 0:
        data = sock.recv(READ)
        most -= len(data)
        connection.receive_data(data or None)
        if any(isinstance(event, CloseConnection) for event in connection.events()):
            return


class _Echo:
    """What a client is sent for what it sends."""

    def __init__(self, max_message: int) -> None:
        self.completed = monotonic()
        """When the last message was complete, or a ping or pong between two messages."""
        self._max_message = max_message
        self._message = bytearray()
        self._in_message = False
        self._noise = Rate(MAX_NOISE, NOISE_SECONDS)

    def answer(self, event: Event) -> Event | None:
        match event:
            case TextMessage() | BytesMessage():
                return self._add(event)
            case Ping() | Pong():
                if self._noise.exceeded():
                    return _NOISY
                if not self._in_message:
                    self.completed = monotonic()
                return event.response() if isinstance(event, Ping) else None
            case _:
                return None

    def _add(self, part: TextMessage | BytesMessage) -> Event | None:
        data = part.data.encode() if isinstance(part, TextMessage) else part.data
        self._message += data
        self._in_message = not part.message_finished
        if len(self._message) > self._max_message:
            return CloseConnection(CloseReason.MESSAGE_TOO_BIG)
        if self._in_message:
            # One that holds the middle of a character looks empty as well.
            is_empty = part.frame_finished and not data
            return _NOISY if is_empty and self._noise.exceeded() else None
        self.completed = monotonic()
        message = bytes(self._message)
        self._message.clear()
        return (
            BytesMessage(message)
            if isinstance(part, BytesMessage)
            else TextMessage(message.decode())
        )
