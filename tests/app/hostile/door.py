"""Where a server is attacked, and what all kinds of attacks do there."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.app.server import HOST

DRIP: Final = 0.02
"""Seconds between the bytes of a client that is slow on purpose."""


@dataclass(frozen=True)
class Door:
    """Where a server listens on loopback."""

    port: int

    def raw(self, *, buffer: int = 0) -> socket.socket:
        """A TCP connection that takes in about ``buffer`` bytes, or as many as is usual."""
        sock = socket.socket()
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.settimeout(10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def connect(self, *, alpn: str = "http/1.1", buffer: int = 0) -> ssl.SSLSocket:
        """A connection over TLS; the certificate is not looked at."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols([alpn])
        return context.wrap_socket(self.raw(buffer=buffer), server_hostname=HOST)


Attack = Callable[[Door], Iterator[None]]


def forever(sock: socket.socket, data: bytes, pause: float = 0) -> Iterator[None]:
    """Send ``data`` again and again, and read what comes."""
    while True:
        sock.sendall(data)
        yield
        if pause:
            time.sleep(pause)
        discard(sock)


def hold() -> Iterator[None]:
    """Do nothing more, and stay."""
    while True:
        yield
        time.sleep(0.1)


def discard(sock: socket.socket) -> None:
    """Read what is there. Raises ConnectionResetError at the end of the connection."""
    sock.settimeout(0)
    try:
        while sock.recv(65536):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        sock.settimeout(10)
        return
    raise ConnectionResetError("closed by the server")
