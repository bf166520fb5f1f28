"""Clients that mean harm over WebSocket."""

import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from tests.app.hostile.door import DRIP, Attack, Door, forever
from tests.app.websocket_client import BINARY, CONTINUATION, PING, TEXT, Client, Frame


@contextmanager
def websocket(door: Door, first: Frame | None = None) -> Iterator[ssl.SSLSocket]:
    with Client(door) as client:
        if first:
            client.send(first)
        assert isinstance(client.sock, ssl.SSLSocket)
        yield client.sock


def empty_fragments(door: Door) -> Iterator[None]:
    with websocket(door, Frame(TEXT, b"", fin=False)) as sock:
        yield from forever(sock, Frame(CONTINUATION, b"", fin=False).serialize() * 1000)


def fragments_of_one_byte(door: Door) -> Iterator[None]:
    with websocket(door) as sock:
        rest = Frame(CONTINUATION, b"x", fin=False).serialize() * 1000
        message = Frame(TEXT, b"", fin=False).serialize() + rest
        yield from forever(sock, message + Frame(CONTINUATION, b"").serialize())


def websocket_pings(door: Door) -> Iterator[None]:
    with websocket(door) as sock:
        yield from forever(sock, Frame(PING, bytes(125)).serialize() * 200)


def messages_of_one_byte(door: Door) -> Iterator[None]:
    with websocket(door) as sock:
        yield from forever(sock, Frame(TEXT, b"x").serialize() * 1000)


def messages_unread(door: Door) -> Iterator[None]:
    with websocket(door) as sock:
        while True:
            sock.sendall(Frame(BINARY, bytes(60000)).serialize())
            yield


def messages_too_large(door: Door) -> Iterator[None]:
    with websocket(door) as sock:
        yield from forever(sock, Frame(BINARY, bytes(2**20)).serialize())


def message_drip(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        first = Frame(TEXT, b"", fin=False)
        socks = [stack.enter_context(websocket(door, first)) for _ in range(50)]
        while True:
            for sock in socks:
                sock.sendall(Frame(CONTINUATION, b"x", fin=False).serialize())
            yield
            time.sleep(DRIP)


KINDS: Final[dict[str, Attack]] = {
    "WebSocket empty fragments": empty_fragments,
    "WebSocket fragments of one byte": fragments_of_one_byte,
    "WebSocket pings": websocket_pings,
    "WebSocket messages of one byte": messages_of_one_byte,
    "WebSocket messages, unread": messages_unread,
    "WebSocket messages too large": messages_too_large,
    "WebSocket message, dripping": message_drip,
}
