"""PROXY headers in front of TLS: a corpus of them against a real server."""

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from foobar_api.proxy_protocol import V2_SIGNATURE
from tests.app.server import HOST, Server, mount, read_response, request
from tests.app.test_http1 import assert_clean
from tests.app.test_server import eventually

# ssl leaves the socket of a connection open that was reset before it began.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

TRUSTED = "127.0.0.2"
STRANGER = "127.0.0.3"


@dataclass(frozen=True)
class Case:
    header: bytes
    client: str


def cases() -> Iterator[Any]:
    text = Path(__file__).with_name("proxy.yaml").read_text(encoding="utf-8")
    for section in yaml.safe_load(text):
        for name, own in section["cases"].items():
            case = {**section, **own}
            header = case["v1"].encode("latin-1") if "v1" in case else v2(case)
            rule = section["rule"].partition(" (")[0]
            yield pytest.param(Case(header, case["client"]), id=f"{rule}: {name}")


def v2(case: dict[str, Any]) -> bytes:
    body: bytes = bytes.fromhex(case["body"])
    length: int = case.get("length", 0)
    body += body[-1:] * case.get("repeat", 0)
    signature: bytes = bytes.fromhex(case["signature"]) if "signature" in case else V2_SIGNATURE
    head: bytes = bytes([case["version_command"], case["family"]])
    return signature + head + (length or len(body)).to_bytes(2) + body


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    started = Server(
        folder, mount(folder / "cert", ca), f"--proxy-from={TRUSTED}", "--handshake-timeout=1s"
    )
    yield started.wait()
    started.stop()


def client_after(server: Server, *pieces: bytes, source: str) -> str:
    """Who the server says the client is, after ``pieces`` that arrive one after the other."""
    assert server.context
    with server.raw(source=source) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                sock.sendall(piece)
                if piece is not pieces[-1]:
                    time.sleep(0.02)
            with server.context.wrap_socket(sock, server_hostname=HOST) as tls:
                tls.sendall(request("/api"))
                got = read_response(tls)
        except (ssl.SSLError, ConnectionError):
            return "refused"
    address = json.loads(got.partition(b"\r\n\r\n")[2])["remoteAddr"]
    assert isinstance(address, str)
    return "peer" if address.startswith(f"{source}:") else address


def refusals(server: Server) -> float:
    return sum(
        count
        for name, count in server.metrics().items()
        if name.startswith("foobar_api_connections_refused_total")
    )


@pytest.mark.parametrize("case", list(cases()))
def test_a_trusted_proxy_is_read_as_the_specification_says(proxied: Server, case: Case) -> None:
    logged, refused = len(proxied.errors), refusals(proxied)
    half = len(case.header) // 2
    for pieces in ([case.header], [case.header[:half], case.header[half:]]):
        assert client_after(proxied, *pieces, source=TRUSTED) == case.client
    # Refusals, and nothing else, are counted.
    refused += 2 if case.client == "refused" else 0
    eventually(lambda: refusals(proxied) == refused)
    assert_clean(proxied, logged)


@pytest.mark.parametrize("case", list(cases()))
def test_nobody_else_may_send_one(proxied: Server, case: Case) -> None:
    logged = len(proxied.errors)
    assert client_after(proxied, case.header, source=STRANGER) == "refused"
    assert_clean(proxied, logged)


def test_a_header_within_tls_is_no_request(proxied: Server) -> None:
    with proxied.connect(source=TRUSTED) as sock:
        sock.sendall(b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n" + request("/api"))
        assert read_response(sock).startswith(b"HTTP/1.1 400 ")


def test_a_header_that_drips_does_not_buy_time(proxied: Server) -> None:
    started = time.monotonic()
    header = b"PROXY UNKNOWN " + bytes(60)
    pieces = [bytes([byte]) for byte in header for _ in range(3)]
    with proxied.raw(source=TRUSTED) as sock, contextlib.suppress(ConnectionError):
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(0.1)
    assert time.monotonic() - started < 6
