"""What one client may cost the others: processor time, memory, and the places there are."""

import socket
import time
from pathlib import Path

import gevent
import pytest
from hyperframe.frame import ContinuationFrame

from foobar_api.connection import Connection
from tests.app.conftest import Serve
from tests.app.http2_client import Client
from tests.app.server import Server, read_response, request

CALM = 11
"""ENHANCE_YOUR_CALM, of HTTP/2's error codes."""


def worker_of(server: Server) -> Path:
    """What the kernel says of a server's only worker."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return Path("/proc", children.read_text().split()[0])


def cpu_seconds(server: Server) -> float:
    """Those that the worker has taken; a busy machine does not lengthen them."""
    # The kernel counts them in nanoseconds.
    return int((worker_of(server) / "schedstat").read_text().split()[0]) / 1e9


# Heads


def test_a_head_in_many_records_costs_no_more_than_its_length(serve: Serve) -> None:
    server = serve("--workers=1", "--max-head=1MiB")
    head = request("/bench", *(f"X-{number}: {'x' * 8000}" for number in range(95)))
    with server.connect() as sock:
        for start in range(0, len(head), 20):
            sock.sendall(head[start : start + 20])
        assert b"200 OK" in read_response(sock)
    assert cpu_seconds(server) < 8  # 31 when each record had the whole head parsed again


@pytest.mark.parametrize("count", [95, 3])
def test_a_head_has_a_limit_as_a_whole(serve: Serve, count: int) -> None:
    server = serve("--workers=1", "--max-head=20000")
    fields = [(f"x-{number}", "0" * (21000 // count)) for number in range(count)]
    with server.connect() as sock:
        sock.sendall(request("/bench", *(f"{name}: {value}" for name, value in fields)))
        assert read_response(sock).startswith(b"HTTP/1.1 431 ")
    with Client(server) as client:
        assert client.get("/bench", *fields).status == 431
        assert client.get("/livez", stream=3).status == 200
    name = 'foobar_api_connections_refused_total{reason="bad_request"}'
    assert server.metrics()[name] == 2


def test_a_head_without_end_is_refused_at_its_limit(serve: Serve) -> None:
    server = serve("--workers=1", "--max-head=20000")
    for line, status in (("", b"431"), ("GET /", b"414")):
        with server.connect() as sock:
            sock.sendall((line or "GET / HTTP/1.1\r\nx: ").encode() + b"x" * 20000)
            assert read_response(sock).startswith(b"HTTP/1.1 " + status)


def test_trailers_have_the_limit_of_a_head(serve: Serve) -> None:
    server = serve("--workers=1", "--max-head=20000")
    with server.connect() as sock:
        sock.sendall(request("/api", "Transfer-Encoding: chunked", method="POST") + b"0\r\n")
        sock.sendall(b"".join(b"X-%d: %s\r\n" % (number, b"x" * 7000) for number in range(4)))
        assert read_response(sock).startswith(b"HTTP/1.1 431 ")


def test_a_block_of_header_frames_has_a_limit(serve: Serve) -> None:
    server = serve("--workers=1", "--max-head=20000")
    with Client(server) as client:
        frame = client.request("/livez")
        frame.flags.discard("END_HEADERS")
        client.send(frame, *[ContinuationFrame(1, bytes(16000)) for _ in range(4)])
        client.until_closed()
        assert [goaway.error_code for goaway in client.goaways] == [CALM]


def test_a_later_request_may_come_in_pieces(serve: Serve) -> None:
    server = serve("--workers=1")
    with server.connect() as sock:
        for _ in range(2):
            sock.sendall(request("/bench", close=False)[:-2])
            time.sleep(0.6)
            sock.sendall(b"\r\n")
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_deadline_holds_while_there_is_something_to_read() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    connection = Connection(ours, ("192.0.2.1", 1), send_timeout=10)
    theirs.sendall(b"abc")
    connection.settimeout(10)
    assert gevent.spawn(connection.recv, 1).get() == b"a"
    connection.settimeout(0)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.close()
    theirs.close()
