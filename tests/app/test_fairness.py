"""What one client does costs the others no turn, and the server no work in vain."""

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import get_hub

from foobar_api.budget import Budget
from foobar_api.connection import Connection
from foobar_api.fairness import give_way
from foobar_api.proxy_protocol import Trusted
from foobar_api.settings import WRITE_AHEAD
from tests.app.test_client_hello import hello


def turns_before_another(work: Callable[[], object]) -> int:
    """How often ``work``, which never has to wait, is done before another's bytes are seen."""
    turns = 0

    def hog() -> None:
        nonlocal turns
        for _ in range(1000):
            work()
            turns += 1

    mine, other = socket.socketpair()
    hub = get_hub()
    hogging = gevent.spawn(hog)
    try:
        with mine, other:
            gevent.sleep(0)
            before = turns
            other.send(b"x")
            hub.wait(hub.loop.io(mine.fileno(), 1))
            return turns - before
    finally:
        hogging.kill()


def test_whoever_gives_way_lets_others_in_at_once() -> None:
    """gevent.sleep(0) would have fifty turns first."""
    assert 0 < turns_before_another(give_way) <= 5


def test_a_client_that_reads_as_fast_as_it_is_sent_lets_others_in() -> None:
    mine, other = socket.socketpair()
    with mine, other:
        fast = SimpleNamespace(fileno=mine.fileno, send=len, close=mine.close)
        connection = Connection(fast, ("127.0.0.1", 1), budget=Budget(2**20, print), send_timeout=1)  # type: ignore[arg-type]
        piece = bytes(WRITE_AHEAD)
        assert 0 < turns_before_another(lambda: connection.sendall(piece)) <= 5
        connection.close()


def test_a_client_that_has_sent_much_lets_others_in() -> None:
    mine, other = socket.socketpair()
    with mine, other:
        mine.settimeout(0)
        connection = Connection(mine, ("127.0.0.1", 1), budget=Budget(2**20, print), send_timeout=1)
        connection.settimeout(5)
        connection.unread(bytes(2**20))
        assert 0 < turns_before_another(lambda: connection.recv(10)) <= 5
        connection.close()


class _Certificates(SimpleNamespace):
    @property
    def context(self) -> Any:
        raise AssertionError("began a handshake")


@pytest.mark.parametrize("client", ["leaves", "waits"])
def test_a_client_that_has_left_costs_no_handshake(client: str) -> None:
    mine, other = socket.socketpair()
    mine.settimeout(0)
    connection = Connection(mine, ("127.0.0.1", 1), budget=Budget(2**20, print), send_timeout=1)
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
