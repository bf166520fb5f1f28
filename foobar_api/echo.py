"""``/echo``: a WebSocket that sends back what it is sent.

The handshake and the frames are wsproto's, the bytes those of the connection that gunicorn hands
to the app.
"""

import contextlib
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, Protocol

import h11
from wsproto.connection import Connection as WebSocket
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.handshake import H11Handshake
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

MESSAGE_TOO_BIG: Final = 1009
PROTOCOL_ERROR: Final = 1002


_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
_ASKS: Final = frozenset({
    "Connection", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Protocol",
    "Sec-Websocket-Version", "Upgrade",
})  # fmt: skip
"""Fields of the handshake, by the names that WSGI leaves of them."""


class Socket(Protocol):
    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> object: ...
    def settimeout(self, seconds: float | None, /) -> object: ...


class HandshakeError(ValueError):
    """The request asks for no WebSocket, or not as RFC 6455 section 4.2.1 says."""

    status = HTTPStatus.UPGRADE_REQUIRED


class KeyInvalidError(HandshakeError):
    """It asks for one, with a Sec-WebSocket-Key that is missing or not 16 bytes in base64."""

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
    except (h11.ProtocolError, LocalProtocolError, RemoteProtocolError, UnicodeError) as error:
        raise HandshakeError(str(error)) from None
    if not _KEY.fullmatch(told["Sec-Websocket-Key"]):
        raise KeyInvalidError("Sec-WebSocket-Key is not 16 bytes in base64")
    connection = handshake.connection
    if connection is None:  # it has one once it has sent an answer
        raise HandshakeError("no WebSocket")
    _, *lines = answer.decode("latin-1").rstrip("\r\n").split("\r\n")
    return [
        (name, value) for name, _, value in (line.partition(": ") for line in lines)
    ], connection


def serve(sock: Socket, connection: WebSocket, *, max_message: int, idle: float) -> None:
    """Echo messages until the client leaves, is silent for ``idle`` seconds, or errs."""
    message: list[str | bytes] = []
    length = 0
    while connection.state is not ConnectionState.CLOSED:
        sock.settimeout(idle)
        data = sock.recv(65536)
        connection.receive_data(data or None)
        try:
            for event in connection.events():
                if isinstance(event, Ping):
                    sock.sendall(connection.send(event.response()))
                elif isinstance(event, CloseConnection):
                    if event.code == CloseReason.ABNORMAL_CLOSURE:
                        return  # no frame had it: the connection ended without one
                    # Of the client, or of wsproto for a frame that breaks the protocol.
                    closing = connection.state is ConnectionState.REMOTE_CLOSING
                    sock.sendall(connection.send(event.response() if closing else event))
                    return
                elif isinstance(event, Message):
                    length += len(event.data)
                    if length > max_message:
                        sock.sendall(connection.send(CloseConnection(MESSAGE_TOO_BIG)))
                        return
                    message.append(event.data)
                    if event.message_finished:
                        sock.sendall(connection.send(_whole(message)))
                        message, length = [], 0
        except RemoteProtocolError as error:
            with contextlib.suppress(LocalProtocolError):
                sock.sendall(connection.send(error.event_hint or CloseConnection(PROTOCOL_ERROR)))
            return


def _whole(parts: list[str | bytes]) -> TextMessage | BytesMessage:
    if isinstance(parts[0], str):
        return TextMessage("".join(part for part in parts if isinstance(part, str)))
    return BytesMessage(b"".join(part for part in parts if isinstance(part, bytes)))
