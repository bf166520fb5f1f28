"""What one client does costs the others no turn, and the server no work in vain."""

import socket
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import get_hub

from foobar_api.connection import Connection
from foobar_api.fairness import give_way
from foobar_api.proxy_protocol import Trusted
from tests.app.test_client_hello import hello


def test_whoever_gives_way_lets_others_in_at_once() -> None:
    """gevent.sleep(0) would have fifty turns first."""
    turns: list[None] = []

    def hog() -> None:
        while True:
            turns.append(None)
            give_way()

    mine, other = socket.socketpair()
    hub = get_hub()
    hogging = gevent.spawn(hog)
    try:
        with mine, other:
            gevent.sleep(0.01)
            before = len(turns)
            other.send(b"x")
            hub.wait(hub.loop.io(mine.fileno(), 1))
            assert 0 < len(turns) - before <= 5
    finally:
        hogging.kill()


class _Certificates(SimpleNamespace):
    @property
    def context(self) -> Any:
        raise AssertionError("began a handshake")


@pytest.mark.parametrize("client", ["leaves", "waits"])
def test_a_client_that_has_left_costs_no_handshake(client: str) -> None:
    mine, other = socket.socketpair()
    mine.settimeout(0)
    connection = Connection(mine, ("127.0.0.1", 1), send_timeout=1)
    connection.settimeout(5)
    other.sendall(hello("app.test"))
    expected: type[Exception] = AssertionError
    if client == "leaves":
        other.close()
        expected = ConnectionResetError
    try:
        with pytest.raises(expected):
            connection.open(Trusted(()), _Certificates(certificate=None))  # type: ignore[arg-type]
    finally:
        connection.close()
        other.close()
