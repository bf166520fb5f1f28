"""The port of the metrics takes nothing from the app, and nobody keeps Prometheus out."""

import contextlib
import resource
import socket
import time

import pytest

from tests.app.conftest import Serve
from tests.app.server import Server, read_response, request
from tests.app.test_http1 import RESET, assert_clean
from tests.app.test_server import eventually

FILES = 200


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.metrics_port), timeout=10)


@pytest.mark.parametrize(
    "said", [b"", b"G", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"], ids=["nothing", "byte", "half"]
)
def test_clients_that_wait_on_the_metrics_port_take_nothing_from_the_app(
    serve: Serve, said: bytes
) -> None:
    server = serve("--workers=1", before=few_files)
    with contextlib.ExitStack() as stack:
        for _ in range(3 * FILES):
            sock = stack.enter_context(connect(server))
            sock.sendall(said)
        for _ in range(10):
            assert server.get("/bench").text == "1"
            assert server.metrics()["foobar_api_connections_open"] >= 0
    assert "Too many open files" not in server.errors
    assert "traceback" not in server.errors


def test_a_client_that_does_not_read_its_metrics_is_left(serve: Serve) -> None:
    server = serve("--workers=1", before=few_files)
    with contextlib.ExitStack() as stack:
        for _ in range(2 * FILES):
            sock = stack.enter_context(connect(server))
            sock.sendall(request("/metrics", close=False) * 20)
        assert server.metrics()["foobar_api_connections_open"] >= 0
        assert server.get("/bench").text == "1"
    assert "traceback" not in server.errors


def test_a_connection_of_the_metrics_port_has_little_time(serve: Serve) -> None:
    server = serve("--workers=1")
    with connect(server) as sock:
        until = time.monotonic() + 20
        with contextlib.suppress(OSError):  # once it is left, it cannot be written to
            while not _left(sock):
                assert time.monotonic() < until
                sock.sendall(b"X")
    eventually(lambda: server.metrics()["foobar_api_connections_open"] == 0)


def _left(sock: socket.socket) -> bool:
    sock.settimeout(0.5)
    try:
        return not sock.recv(65536)
    except TimeoutError:
        return False


def test_a_connection_of_the_metrics_port_is_for_one_request(serve: Serve) -> None:
    server = serve("--workers=1")
    with connect(server) as sock:
        sock.sendall(request("/metrics", close=False))
        answer = read_response(sock)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize("said", [b"G", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"X\r\n\r\n"])
def test_a_client_that_leaves_the_metrics_port_is_no_fault_of_the_server(
    serve: Serve, said: bytes
) -> None:
    server = serve("--workers=1")
    for _ in range(10):
        with connect(server) as sock:
            sock.sendall(said)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    assert server.metrics()["foobar_api_connections_open"] >= 0
    assert_clean(server)


@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
@pytest.mark.parametrize("version", ["x", "1.0.0-rc1", "9" * 5000], ids=["word", "rc", "long"])
def test_an_accept_field_that_cannot_be_read_gets_the_default_format(
    serve: Serve, kind: str, version: str
) -> None:
    server = serve("--workers=1")
    with connect(server) as sock:
        sock.sendall(request("/metrics", f"Accept: {kind}; version={version}"))
        answer = read_response(sock)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n" in answer
    assert b"\nfoobar_api_connections_open " in answer
    assert_clean(server)


@pytest.mark.parametrize(
    "bad",
    [
        request("/metrics", *("X: y" for _ in range(101))),
        request("/metrics", "Content-Length: x"),
        b"GET /metrics HTTP/7\r\n\r\n",
        b"\x16\x03\x01 \r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
    ids=["fields", "length", "version", "tls", "line"],
)
def test_a_bad_request_to_the_metrics_port_gets_400(serve: Serve, bad: bytes) -> None:
    server = serve("--workers=1")
    with connect(server) as sock:
        sock.sendall(bad)
        assert read_response(sock).startswith(b"HTTP/1.1 400 ")
    assert "traceback" not in server.errors.lower()
    assert_clean(server)


def test_head_gets_the_fields_of_the_metrics_without_them(serve: Serve) -> None:
    server = serve("--workers=1")
    with connect(server) as sock:
        sock.sendall(request("/metrics", method="HEAD"))
        head, _, body = sock.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nContent-Type: text/plain; " in head
    assert body == b""
    assert_clean(server)
