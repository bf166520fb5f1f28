"""Clients that mean harm before they speak HTTP."""

import contextlib
import itertools
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from tests.app.hostile.door import DRIP, Attack, Door, forever, hold
from tests.app.server import HOST, request


def nothing(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(door.raw())
        yield from hold()


def idle(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(door.connect())
        yield from hold()


def garbage(door: Door) -> Iterator[None]:
    with door.raw() as sock:
        yield from forever(sock, os.urandom(16384))


def garbage_in_tls(door: Door) -> Iterator[None]:
    with door.connect() as sock:
        yield from forever(sock, os.urandom(16384))


def proxy_header_drip(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        socks = [stack.enter_context(door.raw()) for _ in range(50)]
        for byte in itertools.chain(b"PROXY UNKNOWN ", itertools.repeat(120)):
            for sock in socks:
                sock.sendall(bytes([byte]))
            yield
            time.sleep(DRIP)


def tls_drip(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        socks = [stack.enter_context(door.raw()) for _ in range(50)]
        for byte in itertools.chain(b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb", itertools.repeat(3)):
            for sock in socks:
                sock.sendall(bytes([byte]))
            yield
            time.sleep(DRIP)


def handshakes(door: Door) -> Iterator[None]:
    """As many as there is time for, and none is used."""
    while True:
        door.connect().close()
        yield


def client_hellos(door: Door) -> Iterator[None]:
    """The server's part of handshakes, which costs a signature, and not the client's."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=HOST).do_handshake()
    hello = outgoing.read()
    while True:
        with ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(door.raw()).sendall(hello)
            yield
            time.sleep(0.02)


def half_closed(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(100):
            sock = stack.enter_context(door.connect(buffer=2048))
            sock.sendall(request("/data?size=20&unit=mb"))
            socket.socket.shutdown(sock, socket.SHUT_WR)
            yield
        yield from hold()


KINDS: Final[dict[str, Attack]] = {
    "connects and is silent": nothing,
    "idle connections": idle,
    "garbage": garbage,
    "garbage in TLS": garbage_in_tls,
    "PROXY header, dripping": proxy_header_drip,
    "TLS handshake, dripping": tls_drip,
    "TLS handshakes": handshakes,
    "ClientHellos": client_hellos,
    "half-closed connections": half_closed,
}
