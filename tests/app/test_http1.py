"""HTTP/1 from clients that break its rules: a corpus of requests against a real server.

Whatever a client sends, the answer is never 500, and nothing but lines of JSON reaches the log.
"""

import json
import re
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from tests.app.conftest import Serve
from tests.app.server import HOST, Server, mount, read_response, request
from tests.app.test_server import eventually

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing resets the connection."""


@dataclass(frozen=True)
class Case:
    sent: bytes
    ends: str
    gets: list[int]
    open: bool
    shows: bytes


def cases() -> Iterator[Any]:
    for section in yaml.safe_load(Path(__file__).with_name("http1.yaml").read_text()):
        for name, own in section["cases"].items():
            case = {**section, **own}
            body = case.get("body", "")
            body += case.get("repeated", body[-32:]) * case.get("repeat", 0)
            sent = "\r\n".join([*case["head"], "", ""]) + body + case.get("after", "")
            yield pytest.param(
                Case(
                    sent=sent.encode("latin-1"),
                    ends=case.get("ends", "stay"),
                    gets=case["gets"],
                    open=case.get("open", False),
                    shows=case.get("shows", "").encode("latin-1"),
                ),
                id=f"{section['rule'].partition(' (')[0]}: {name}",
            )


@pytest.fixture(scope="module", params=["plain", "TLS"])
def any_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    pair = mount(folder / "cert", ca) if request.param == "TLS" else None
    started = Server(folder, pair, "--workers=1")
    yield started.wait()
    started.stop()


@pytest.mark.parametrize("case", list(cases()))
def test_the_answer_is_what_the_rfcs_say(any_server: Server, case: Case) -> None:
    logged = len(any_server.errors)
    with any_server.connect() as sock:
        sock.settimeout(20)
        sock.sendall(case.sent)
        if case.ends == "rst":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()
            got = b""
        elif case.ends == "fin":
            close_one_side(sock)
            got = read_response(sock)
        else:
            if case.open:
                sock.sendall(request("/livez"))
            got = read_response(sock)
    statuses = [int(status) for status in STATUS.findall(got)]
    assert statuses == [*case.gets, *([200] if case.open else [])], got
    assert case.shows in got
    assert any_server.get("/livez").text == "ok\n"
    assert_clean(any_server, logged)


def close_one_side(sock: socket.socket) -> None:
    """Send a FIN and go on reading. That of a TLS socket would forget that it speaks TLS."""
    socket.socket.shutdown(sock, socket.SHUT_WR)


def assert_clean(server: Server, logged: int = 0) -> None:
    """After ``logged`` characters every line of the log is JSON, and none has a traceback."""
    for line in server.errors[logged:].splitlines():
        assert "traceback" not in json.loads(line), line
    assert 500 not in {line["status"] for line in server.access}


def test_an_upload_that_is_cut_counts_as_499(serve: Serve) -> None:
    server = serve()
    for ends in ("fin", "rst"):
        for head in ("Content-Length: 10", "Transfer-Encoding: chunked"):
            with server.connect() as sock:
                sock.sendall(request("/api", head, method="POST") + b"3\r\nab")
                eventually(lambda: server.metrics()["http_requests_in_flight"] == 1)
                if ends == "fin":
                    close_one_side(sock)
                    assert read_response(sock) == b""
                else:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    eventually(lambda: len(server.access) == 4)
    assert {(line["status"], line["bytes"]) for line in server.access} == {(499, 0)}
    labels = 'code="499",method="POST",protocol="HTTP/1.1",route="/api"'
    found = server.metrics()
    assert found[f"http_requests_total{{{labels}}}"] == 4
    assert (
        sum(value for name, value in found.items() if name.startswith("http_requests_total")) == 4
    )
    assert_clean(server)


def test_a_body_that_stalls_gets_408(serve: Serve) -> None:
    server = serve("--body-timeout=500ms")
    for head in ("Content-Length: 10", "Transfer-Encoding: chunked"):
        with server.connect() as sock:
            sock.sendall(request("/api", head, method="POST", close=False) + b"3\r\nab")
            got = read_response(sock)
            assert got.startswith(b"HTTP/1.1 408 ")
            assert b"Connection: close\r\n" in got
    eventually(lambda: [line["status"] for line in server.access] == [408, 408])
    assert_clean(server)


def test_a_request_that_cannot_be_read_is_a_line_of_the_log(serve: Serve) -> None:
    server = serve()
    with server.connect() as sock:
        sock.sendall(request("/", "Content-Length: x"))
        got = read_response(sock)
    assert got.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    identity = re.search(rb"X-Request-Id: (\w+)\r\n", got)
    assert identity
    eventually(lambda: "Content-Length" in server.errors)
    line = json.loads(server.errors.splitlines()[-1])
    assert line["level"] == "info"
    assert line["message"] == (
        f"127.0.0.1: request {identity[1].decode()} refused with 400: "
        "Content-Length is malformed: 'x'"
    )
    assert server.metrics()['foobar_api_connections_refused_total{reason="bad_request"}'] == 1


def test_a_client_that_ends_tls_with_its_request_is_not_waited_for(serve: Serve) -> None:
    server = serve()
    assert server.context
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = server.context.wrap_bio(incoming, outgoing, server_hostname=HOST)
    with server.raw(timeout=5) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        tls.write(request("/livez", close=False))
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        sock.sendall(outgoing.read())
        assert read_response(sock)  # until the server closes, long before --keep-alive
    eventually(lambda: server.metrics()["http_requests_in_flight"] == 0)
    assert_clean(server)
