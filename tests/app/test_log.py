"""Nothing but lines of JSON reaches the log, and a traceback means a fault of the server."""

import itertools
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from foobar_api import gateway, worker
from tests.app.conftest import Serve
from tests.app.server import HOST, Server, client_context, read_response, request
from tests.app.test_client_hello import hello
from tests.app.test_http1 import RESET, assert_clean
from tests.app.test_server import eventually
from tests.app.websocket_client import UPGRADE
from tests.objects import ROOT


@pytest.mark.parametrize("ends", ["fin", "rst"])
def test_a_websocket_client_may_vanish_without_a_close_frame(serve: Serve, ends: str) -> None:
    server = serve()
    with server.connect() as sock:
        sock.sendall(request("/echo", *UPGRADE, close=False))
        assert sock.recv(65536).startswith(b"HTTP/1.1 101 ")
        if ends == "rst":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    eventually(lambda: [line["status"] for line in server.access] == [101])
    assert_clean(server)


def test_a_server_name_that_is_not_ascii_is_no_fault_of_the_server(serve: Serve) -> None:
    server = serve()
    with server.raw() as sock:
        sock.sendall(hello("aaaa.test").replace(b"aaaa.test", b"a\xc3\xa9a.test"))
        assert sock.recv(1)
    eventually(lambda: refused(server, "reset") == 1)
    assert_clean(server)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_refused_is_counted(
    serve: Serve, tmp_path: Path, ca: trustme.CA, version: ssl.TLSVersion
) -> None:
    (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    server = serve(f"--cacert={tmp_path / 'ca.pem'}")
    before = refused(server, "tls")
    for certified in (False, True):
        context = client_context(ca)
        context.maximum_version = version
        if certified:
            ca.issue_cert("someone@app.test").configure_cert(context)
        with (
            server.raw() as sock,
            pytest.raises(ssl.SSLError),
            context.wrap_socket(sock, server_hostname=HOST) as tls,
        ):
            read_response(tls)  # in TLS 1.3 the client hears of it only now
    eventually(lambda: refused(server, "tls") == before + 2)
    assert_clean(server)


def test_a_client_without_a_protocol_in_common_gets_the_alert(serve: Serve, ca: trustme.CA) -> None:
    server = serve()
    with server.raw() as sock, pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        client_context(ca, "acme-tls/1").wrap_socket(sock, server_hostname=HOST)
    eventually(lambda: refused(server, "tls") == 1)
    assert_clean(server)


@pytest.mark.parametrize(
    "sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
)
def test_nonsense_on_the_metrics_port_is_a_line_of_json(serve: Serve, sent: bytes) -> None:
    server = serve()
    with socket.create_connection(("127.0.0.1", server.metrics_port), timeout=10) as sock:
        sock.sendall(sent)
        assert read_response(sock).startswith(b"HTTP/1.1 400 ")
    eventually(lambda: "Invalid" in server.errors)
    assert_clean(server)


def refused(server: Server, reason: str) -> float:
    return server.metrics().get(f'foobar_api_connections_refused_total{{reason="{reason}"}}', 0)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("import warnings; warnings.warn('odd')", "odd"),
        (
            "class Late:\n    def __del__(self): raise ValueError('late')\ndel (x := [Late()])[0]",
            "late",
        ),
        ("get_hub().loop.run_callback(int, 'x'); gevent.sleep(0.1)", "invalid literal"),
        ("raise ValueError('uncaught')", "uncaught"),
    ],
)
def test_what_python_would_print_is_a_line_of_json(fault: str, says: str) -> None:
    setup = """
import gevent
from gevent import get_hub
from gunicorn.config import Config
from foobar_api.log import Logger, in_event_loop
Logger(Config())
get_hub().print_exception = in_event_loop
"""
    done = subprocess.run(
        [sys.executable, "-c", setup + fault], cwd=ROOT, check=False, capture_output=True, text=True
    )
    (line,) = done.stderr.splitlines()
    assert says in line
    assert line.startswith('{"time":')


def test_the_access_log_shows_headers_as_the_text_that_was_sent(serve: Serve) -> None:
    server = serve()
    for sent in ("caf\N{SNOWMAN}".encode(), b"caf\xe9"):
        with server.connect() as sock:
            sock.sendall(request("/bench", "User-Agent: x").replace(b"x", sent, 1))
            read_response(sock)
    eventually(lambda: len(server.access) == 2)
    assert [line["user_agent"] for line in server.access] == ["caf\N{SNOWMAN}", "café"]


def test_a_clock_that_is_set_back_makes_no_request_shorter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither the wall clock nor a datetime of it tells how long a request took."""
    hours = itertools.count(0, -3600)
    jumping = SimpleNamespace(now=lambda: datetime.fromtimestamp(next(hours), UTC))
    monkeypatch.setattr(worker, "datetime", jumping, raising=False)
    monkeypatch.setattr(time, "time", lambda: float(next(hours)))
    monkeypatch.setattr(gateway, "environ_of", lambda *_: {})
    took: list[float] = []
    stub = SimpleNamespace(
        environ={}, in_flight=0, wsgi=lambda *_: [],
        log=SimpleNamespace(answered=lambda *arguments: took.append(arguments[-1])),
    )  # fmt: skip
    response = SimpleNamespace(start_response=None, close=lambda: None)
    worker.Worker.answer(stub, None, response, None)  # type: ignore[arg-type]
    assert 0 <= took[0] < 60
