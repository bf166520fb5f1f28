"""What a well-behaved client notices while a hostile one is at work.

The same client asks a second server in turn, which nobody attacks: what makes that one slow as well
is the machine.
"""

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Final

from tests.app import http2_client, websocket_client
from tests.app.hostile import KINDS
from tests.app.hostile.door import Door
from tests.app.server import Server, read_response, request
from tests.app.websocket_client import TEXT, Frame

PROTOCOLS: Final = ("HTTP/1.1", "HTTP/2", "WebSocket")
OPTIONS: Final = ("--workers=1", "--access-log=false", "--proxy-from=127.0.0.0/8")
"""Of a server that is attacked: with one worker, so that it has to serve everybody."""

_BEGIN: Final = 15.0
"""Seconds that a hostile client has to get into position."""
_LONGEST: Final = 60.0
"""Seconds after which it ends by itself."""
_PROCESSES: Final = multiprocessing.get_context("forkserver")
# Each process has them imported when it starts.
_PROCESSES.set_forkserver_preload([__name__])


@contextmanager
def attacked(server: Server, kind: str) -> Iterator[None]:
    """A hostile client of ``kind`` is at work, in a process of its own."""
    begun = _PROCESSES.Event()
    process = _PROCESSES.Process(target=_attack, args=(kind, server.port, begun), daemon=True)
    process.start()
    try:
        assert begun.wait(_BEGIN), f"{kind}: did not get into position"
        time.sleep(0.3)
        yield
        assert process.is_alive(), f"{kind}: ended"
    finally:
        process.kill()
        process.join()


def _attack(kind: str, port: int, begun: Event) -> None:
    until = time.monotonic() + _LONGEST
    while time.monotonic() < until:
        # The server may have closed the connection while a WebSocket was asked for.
        with contextlib.suppress(OSError, AssertionError):
            for _ in KINDS[kind](Door(port)):
                begun.set()
                if time.monotonic() > until:
                    return
        time.sleep(0.001)


@dataclass
class Good:
    """A client that keeps a connection over HTTP/2 and a WebSocket, and opens others."""

    server: Server

    def __post_init__(self) -> None:
        self._stack = ExitStack()
        self._http2 = self._stack.enter_context(http2_client.Client(self.server))
        self._websocket = self._stack.enter_context(websocket_client.Client(self.server))
        self._stream = -1

    def close(self) -> None:
        self._stack.close()

    def seconds(self, protocol: str) -> float:
        """How long an answer takes, which must be the right one."""
        ask: Callable[[], None] = {
            "HTTP/1.1": self._over_http1,
            "HTTP/2": self._over_http2,
            "WebSocket": self._over_websocket,
        }[protocol]
        started = time.perf_counter()
        ask()
        return time.perf_counter() - started

    def _over_http1(self) -> None:
        with self.server.connect() as sock:
            sock.settimeout(60)
            sock.sendall(request("/bench"))
            got = read_response(sock)
        assert got.startswith(b"HTTP/1.1 200 "), got
        assert got.endswith(b"\r\n\r\n1"), got

    def _over_http2(self) -> None:
        self._stream += 2
        self._http2.send(self._http2.request("/bench", stream=self._stream))
        answer = self._http2.answers[self._stream]
        self._http2.until(lambda: answer.over, seconds=60)
        assert (answer.status, answer.body) == (200, b"1")

    def _over_websocket(self) -> None:
        frame = Frame(TEXT, b"still there?")
        self._websocket.sock.settimeout(60)
        self._websocket.send(frame)
        assert self._websocket.receive() == frame


Slowest = dict[str, tuple[float, float]]
"""By protocol, the slowest answer of the server that is attacked and that of the other one."""


def slowest(server: Server, control: Server, *, seconds: float) -> Slowest:
    """The slowest answers within ``seconds``, in seconds."""
    found: Slowest = dict.fromkeys(PROTOCOLS, (0.0, 0.0))
    with contextlib.closing(Good(server)) as here, contextlib.closing(Good(control)) as there:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for protocol, (beside, alone) in found.items():
                found[protocol] = (
                    max(beside, here.seconds(protocol)),
                    max(alone, there.seconds(protocol)),
                )
    return found
