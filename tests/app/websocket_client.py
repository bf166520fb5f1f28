"""A client that speaks WebSocket frame by frame, so that a test may break any rule."""

import socket
import struct
from typing import Final, NamedTuple, Protocol, Self

from tests.app.server import request

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

UPGRADE: Final = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
_MASK: Final = b"\x00\x00\x00\x00"


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True

    def serialize(self) -> bytes:
        """As a client sends it: masked, by a mask that changes nothing."""
        size = len(self.payload)
        if size < 126:
            length = bytes([0x80 | size])
        elif size < 2**16:
            length = struct.pack("!BH", 0x80 | 126, size)
        else:
            length = struct.pack("!BQ", 0x80 | 127, size)
        return bytes([self.fin << 7 | self.opcode]) + length + _MASK + self.payload


def close(code: int, reason: str = "") -> Frame:
    return Frame(CLOSE, code.to_bytes(2) + reason.encode())


class _Server(Protocol):
    def connect(self) -> socket.socket: ...


class Client:
    """One WebSocket over TLS. It answers nothing by itself, neither a ping nor a close."""

    def __init__(self, server: _Server, *early: Frame, timeout: float = 10) -> None:
        """``early`` goes along with the request."""
        self.sock = server.connect()
        self.sock.settimeout(timeout)
        self._received = b""
        asks = request("/echo", *UPGRADE, close=False)
        self.sock.sendall(asks + b"".join(frame.serialize() for frame in early))
        while b"\r\n\r\n" not in self._received:
            data = self.sock.recv(65536)
            assert data, self._received
            self._received += data
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, *frames: Frame | bytes) -> None:
        """Send all at once."""
        self.sock.sendall(
            b"".join(each if isinstance(each, bytes) else each.serialize() for each in frames)
        )

    def receive(self) -> Frame | None:
        """The next frame; None at the end of the connection. Raises OSError."""
        while (found := self._parse()) is None:
            data = self.sock.recv(65536)
            if not data:
                assert not self._received, self._received
                return None
            self._received += data
        return found

    def closed_with(self) -> int | None:
        """Answer the Close that comes once others have; its code, when the connection then ends."""
        while (frame := self.receive()) is not None:
            if frame.opcode == CLOSE:
                self.send(frame)
                assert self.receive() is None
                return int.from_bytes(frame.payload[:2])
        return None

    def _parse(self) -> Frame | None:
        data = self._received
        if len(data) < 2:
            return None
        assert not data[1] & 0x80, "a server masks nothing"
        size, start = data[1] & 0x7F, 2
        if size >= 126:
            start += 2 if size == 126 else 8
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start])
        if len(data) < start + size:
            return None
        self._received = data[start + size :]
        return Frame(data[0] & 0x0F, data[start : start + size], bool(data[0] & 0x80))
