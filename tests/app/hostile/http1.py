"""Clients that mean harm over HTTP/1.1."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from tests.app.hostile.door import DRIP, Attack, Door, discard, forever, hold
from tests.app.server import request


def header_drip(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        socks = [stack.enter_context(door.connect()) for _ in range(50)]
        for byte in itertools.chain(request()[:-4] + b"\r\nX: ", itertools.repeat(120)):
            for sock in socks:
                sock.sendall(bytes([byte]))
            yield
            time.sleep(DRIP)


def headers_in_small_records(door: Door) -> Iterator[None]:
    head = request("/", *[f"X-{number}: {'x' * 8000}" for number in range(98)], close=False)
    with door.connect() as sock:
        while True:
            for start in range(0, len(head), 20):
                sock.sendall(head[start : start + 20])
                yield
            discard(sock)


def held_headers(door: Door) -> Iterator[None]:
    head = request("/", *[f"X-{number}: {'x' * 8000}" for number in range(98)])[:-2]
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(door.connect()).sendall(head)
            yield
        yield from hold()


def headers_too_large(door: Door) -> Iterator[None]:
    head = request("/", *[f"X-{number}: {'x' * 9000}" for number in range(98)])
    while True:
        with door.connect() as sock, contextlib.suppress(OSError):
            sock.sendall(head)
            yield
            sock.recv(65536)


def body_drip(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        socks = [stack.enter_context(door.connect()) for _ in range(50)]
        for sock in socks:
            sock.sendall(request("/", "Content-Length: 100000", method="POST"))
        while True:
            for sock in socks:
                sock.sendall(b"x")
            yield
            time.sleep(DRIP)


def chunks_of_one_byte(door: Door) -> Iterator[None]:
    head = request("/api", "Transfer-Encoding: chunked", method="POST", close=False)
    body = b"1\r\nx\r\n" * 3000
    with door.connect() as sock:
        while True:
            sock.sendall(head)
            for _ in range(50):
                sock.sendall(body)
                yield
            sock.sendall(b"0\r\n\r\n")
            discard(sock)


def uploads(door: Door) -> Iterator[None]:
    """Bodies that are as large as they may be, which `/` shows."""
    body = bytes(2**20)
    head = request("/", f"Content-Length: {len(body)}", method="POST", close=False)
    with door.connect() as sock:
        yield from forever(sock, head + body)


def pipelining(door: Door) -> Iterator[None]:
    with door.connect() as sock:
        yield from forever(sock, request("/", close=False) * 200)


def pipelining_unread(door: Door) -> Iterator[None]:
    with door.connect(buffer=2048) as sock:
        while True:
            sock.sendall(request("/", close=False) * 200)
            yield


def download_unread(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(50):
            sock = stack.enter_context(door.connect(buffer=2048))
            sock.sendall(request("/data?size=50&unit=mb"))
            yield
        yield from hold()


def download_in_dribbles(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        socks = [stack.enter_context(door.connect(buffer=2048)) for _ in range(20)]
        for sock in socks:
            sock.sendall(request("/data?size=50&unit=mb"))
        while True:
            for sock in socks:
                sock.recv(1)
            yield
            time.sleep(DRIP)


def downloads(door: Door) -> Iterator[None]:
    with door.connect() as sock:
        sock.sendall(request("/data?size=100&unit=mb", close=False) * 20)
        while sock.recv(65536):
            yield


def abandoned_waits(door: Door) -> Iterator[None]:
    while True:
        for _ in range(30):
            with door.connect() as sock:
                sock.sendall(request("/?wait=20s"))
            yield


KINDS: Final[dict[str, Attack]] = {
    "HTTP/1.1 headers, dripping": header_drip,
    "HTTP/1.1 headers in small records": headers_in_small_records,
    "HTTP/1.1 headers that do not end": held_headers,
    "HTTP/1.1 headers too large": headers_too_large,
    "HTTP/1.1 body, dripping": body_drip,
    "HTTP/1.1 chunks of one byte": chunks_of_one_byte,
    "HTTP/1.1 uploads": uploads,
    "HTTP/1.1 pipelining": pipelining,
    "HTTP/1.1 pipelining, unread": pipelining_unread,
    "HTTP/1.1 download, unread": download_unread,
    "HTTP/1.1 download, in dribbles": download_in_dribbles,
    "HTTP/1.1 downloads": downloads,
    "HTTP/1.1 abandoned waits": abandoned_waits,
}
