"""How it lives: certificates renewed, stops under load, clients that are slow on purpose."""

import contextlib
import http.client
import itertools
import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Self

import pytest
import trustme
from cryptography import x509

from foobar_api import tls
from foobar_api.tls import CertificateError, Certificates
from tests.app.conftest import Serve
from tests.app.server import HOST, Pair, Server, client_context, mount, pem, read_response, request
from tests.app.test_server import eventually
from tests.app.websocket_client import UPGRADE
from tests.objects import ROOT


def served(server: Server) -> int:
    """The serial number of the certificate that a new connection is shown."""
    with server.connect() as sock:
        assert isinstance(sock, ssl.SSLSocket)
        found = sock.getpeercert(binary_form=True)
    assert found
    return x509.load_der_x509_certificate(found).serial_number


def by_all(ask: Callable[[], int]) -> set[int]:
    """What several connections get; each worker has had some of them, almost surely."""
    return {ask() for _ in range(10)}


class Load:
    """Clients that ask without a pause, some on new connections, some on kept ones."""

    def __init__(self, server: Server, clients: int = 8) -> None:
        self.server = server
        self.answered = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number % 2 == 0,)) for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, keep: bool) -> None:  # noqa: FBT001 - of a thread
        context = client_context(self.server.pair.ca) if self.server.pair else None
        assert context
        context.check_hostname = False  # http.client would look for the address
        connection: http.client.HTTPSConnection | None = None
        while not self._stop.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPSConnection(
                        "127.0.0.1", self.server.port, timeout=10, context=context
                    )
                connection.request(
                    "GET", "/?wait=20ms", headers={} if keep else {"Connection": "close"}
                )
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    self.failures.append(str(response.status))
                self.answered += 1
                if response.will_close:
                    connection.close()
                    connection = None
            except ConnectionRefusedError:
                # The server is gone for good; what was sent to it before was answered.
                return
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection = None
        if connection:
            connection.close()


# Certificates


def test_a_new_certificate_is_served_without_a_restart(serve: Serve, pair: Pair) -> None:
    server = serve("--workers=1")
    before = served(server)
    pair.issue()
    eventually(lambda: served(server) != before)
    assert "certificate replaced" in server.errors
    assert server.metrics()['foobar_api_certificate_reloads_total{result="success"}'] == 1


def test_replacing_the_certificate_under_load_loses_no_request(serve: Serve, pair: Pair) -> None:
    server = serve()
    with Load(server) as load:
        for _ in range(5):
            time.sleep(0.4)
            pair.issue()
        time.sleep(0.4)
    assert load.failures == []
    assert load.answered > 100


def test_a_broken_pair_leaves_the_old_one_in_service(
    serve: Serve, pair: Pair, ca: trustme.CA
) -> None:
    server = serve()
    before = served(server)
    cert, _ = pem(ca.issue_cert(HOST))
    _, other_key = pem(ca.issue_cert(HOST))
    pair.replace(cert, other_key)
    successful = "foobar_api_certificate_last_reload_successful"
    eventually(lambda: server.metrics()[successful] == 0)
    assert served(server) == before
    eventually(lambda: "certificate not replaced" in server.errors)
    assert "is not the key of" in server.errors
    pair.issue()
    # The lowest of all workers: those that have not looked yet still have the old certificate.
    eventually(lambda: server.metrics()[successful] == 1)
    assert before not in by_all(lambda: served(server))


def test_a_session_tells_the_certificate_that_its_client_was_shown(
    serve: Serve, pair: Pair
) -> None:
    """Also if that was renewed after the client had connected."""
    server = serve("--workers=1")
    before = served(server)
    with server.raw() as sock:
        pair.issue()
        eventually(lambda: served(server) != before)
        with client_context(pair.ca).wrap_socket(sock, server_hostname=HOST) as client:
            shown = client.getpeercert(binary_form=True)
            client.sendall(request("/api"))
            told = json.loads(read_response(client).partition(b"\r\n\r\n")[2])
    assert shown
    serial = x509.load_der_x509_certificate(shown).serial_number
    assert told["tls"]["certificate"]["serial"] == format(serial, "x")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_resumes_at_every_worker_and_after_a_renewal(
    serve: Serve, pair: Pair, version: ssl.TLSVersion
) -> None:
    server = serve("--workers=2")
    context = client_context(pair.ca)
    context.maximum_version = version

    def connect(session: ssl.SSLSession | None) -> ssl.SSLSocket:
        sock = context.wrap_socket(server.raw(), server_hostname=HOST, session=session)
        assert sock.session_reused is (session is not None)
        return sock

    def begin() -> ssl.SSLSession:
        with connect(None) as sock:
            # In TLS 1.3 the ticket comes with the answer.
            sock.sendall(request())
            read_response(sock)
            assert sock.session
            return sock.session

    def resume(session: ssl.SSLSession) -> None:
        with contextlib.ExitStack() as stack:
            until_each_has_its_part(server, lambda: stack.enter_context(connect(session)))

    old = begin()
    resume(old)
    pair.issue()
    reloads = 'foobar_api_certificate_reloads_total{result="success"}'
    eventually(lambda: server.metrics().get(reloads) == 2)
    resume(old)
    resume(begin())


def test_files_that_vanish_leave_the_certificate_in_service(serve: Serve, pair: Pair) -> None:
    server = serve()
    before = served(server)
    (pair.folder / "..data").unlink()
    eventually(lambda: "certificate not replaced" in server.errors)
    assert served(server) == before
    pair.replace(*pem(pair.ca.issue_cert(HOST)))
    eventually(lambda: served(server) != before)


def test_an_old_key_never_meets_a_new_certificate(tmp_path: Path, ca: trustme.CA) -> None:
    """Files that are replaced one after the other, in every order, as no kubelet does."""
    pair = mount(tmp_path / "cert", ca)
    told: list[bool] = []

    def on_reload(certificate: object, *, good: bool) -> None:
        told.append(good)

    certificates = Certificates(pair.cert, pair.key, on_reload=on_reload)
    first = certificates.certificate
    cert, key = pem(ca.issue_cert(HOST))
    real = pair.folder / "..data"
    for name, content, good in (("cert.pem", cert, False), ("key.pem", key, True)):
        (real / name).write_bytes(content)
        os.utime(real / name, ns=(1, time.time_ns()))
        certificates.refresh()
        assert told[-1] is good
        assert (certificates.certificate == first) is not good


def test_the_certificate_is_read_once_for_all_connections(tmp_path: Path, ca: trustme.CA) -> None:
    pair = mount(tmp_path / "cert", ca)
    certificates = Certificates(pair.cert, pair.key)
    context = certificates.context
    for _ in range(3):
        certificates.refresh()
    assert certificates.context is context


def presented(certificates: Certificates, ca: trustme.CA) -> int:
    """The serial number of the certificate that a handshake shows."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context(ca).wrap_bio(to_client, to_server, server_hostname=HOST)
    server = certificates.context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    found = client.getpeercert(binary_form=True)
    assert found
    return x509.load_der_x509_certificate(found).serial_number


@pytest.mark.parametrize("change", ["nothing", "key algorithm", "authorities", "files once more"])
def test_a_renewed_certificate_is_presented_by_the_same_context_if_that_can(
    tmp_path: Path, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The keys of session tickets are those of the context."""
    pair, cacert = mount(tmp_path / "cert", ca), tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(cacert)
    certificates = Certificates(pair.cert, pair.key, cacert)
    context = certificates.context
    rsa = change == "key algorithm"
    issued = ca.issue_cert(HOST, key_type=trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA)
    pair.replace(*pem(issued))
    if change == "authorities":
        trustme.CA().cert_pem.write_to_path(cacert)
    elif change == "files once more":
        load = tls.load_chain

        def broken_for_the_context(which: ssl.SSLContext, *files: Path) -> object:
            if which is context:
                context.load_cert_chain(other.cert, other.key)
                raise CertificateError("changed once more")
            return load(which, *files)

        other = mount(tmp_path / "other", ca)
        monkeypatch.setattr(tls, "load_chain", broken_for_the_context)
    certificates.refresh()
    assert (certificates.context is context) is (change == "nothing")
    serial = x509.load_pem_x509_certificate(pair.cert.read_bytes()).serial_number
    assert certificates.certificate.serial == format(serial, "x")
    certificates.context.verify_mode = ssl.CERT_NONE
    assert presented(certificates, ca) == serial


def test_a_chain_with_an_unreadable_first_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "k").write_text("")
    with pytest.raises(CertificateError, match=r"c: "):
        Certificates(tmp_path / "c", tmp_path / "k")


# Stopping


def test_readiness_goes_first_and_requests_are_answered_while_it_drains(serve: Serve) -> None:
    server = serve("--drain=3s")
    assert server.get("/readyz").status_code == 200
    server.process.terminate()
    eventually(lambda: by_all(lambda: server.get("/readyz").status_code) == {503}, seconds=2)
    assert server.get("/livez").status_code == 200
    assert server.get("/health").status_code == 503
    got = server.get("/bench")
    assert (got.text, got.headers["Connection"]) == ("1", "close")
    assert server.process.wait(10) == 0


def test_stopping_under_load_loses_no_request(serve: Serve) -> None:
    server = serve("--drain=1s")
    with Load(server, clients=12) as load:
        time.sleep(1)
        assert server.stop() == 0
    assert load.failures == []
    assert load.answered > 100


@pytest.mark.parametrize("tls", [True, False])
def test_what_was_accepted_before_the_end_is_answered(
    serve: Serve,
    pair: Pair,
    tls: bool,  # noqa: FBT001
) -> None:
    """A connection that is accepted last has said nothing yet, and its greenlet has not begun."""
    server = serve(pair=pair if tls else None)

    def ask() -> list[str]:
        """On new connections until they are refused; those that had no answer."""
        failures = []
        while True:
            try:
                with server.connect() as sock:
                    sock.sendall(request("/bench"))
                    if b"200 OK" not in read_response(sock):
                        failures.append("no answer")
            except ConnectionRefusedError:
                return failures
            except OSError as error:
                failures.append(repr(error))

    with ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(ask) for _ in range(24)]
        time.sleep(1)
        assert server.stop() == 0
        lost = [failure for each in asked for failure in each.result()]
    # No more than one that completes between the last accept and the close; the kernel resets it.
    assert len(lost) <= 1, lost


def test_a_request_under_way_is_answered_after_the_drain(serve: Serve) -> None:
    server = serve()
    with server.connect() as sock:
        sock.sendall(request("/?wait=2s"))
        time.sleep(0.3)
        server.process.terminate()
        assert b"200 OK" in read_response(sock)
    assert server.process.wait(10) == 0


def test_an_idle_http_2_connection_is_told_to_go(serve: Serve) -> None:
    server = serve()
    with server.client(http2=True) as client:
        client.get("/bench", extensions={"sni_hostname": HOST})
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 3


def test_a_request_beyond_the_grace_is_cut_off(serve: Serve) -> None:
    server = serve("--grace=1s")
    with server.connect() as sock:
        sock.sendall(request("/?wait=20s"))
        time.sleep(0.3)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 5
    assert "1 connections cut off" in server.errors


@pytest.mark.parametrize("after", [0.3, 0.5, 0.6, 0.7, 0.9])
def test_a_server_that_is_told_to_stop_while_it_starts_stops(
    tmp_path: Path, pair: Pair, after: float
) -> None:
    server = Server(tmp_path, pair, "--grace=20s")
    time.sleep(after)
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 5


FORKING = """
import os, signal, time, types
from foobar_api import server
from foobar_api.settings import load

signal.signal(signal.SIGTERM, lambda *_: None)  # as the arbiter has one, which does not end
server.on_starting(load([], {}), types.SimpleNamespace(manage_workers=None))
worker = os.fork()
if not worker:
    time.sleep(0.3)
    server.post_fork(None, types.SimpleNamespace(age=1, handle_exit=lambda *_: os._exit(42)))
    time.sleep(5)
    os._exit(1)
os.kill(worker, signal.SIGTERM)
_, status = os.waitpid(worker, 0)
print(os.waitstatus_to_exitcode(status), signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


def test_a_worker_that_is_told_to_stop_before_it_can_hear_stops() -> None:
    result = subprocess.run(
        [sys.executable, "-c", FORKING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == "42 set()\n"


def test_connections_are_shared_among_the_workers(serve: Serve) -> None:
    """How many depends on the scheduler, so connections keep coming until each has its part."""
    server = serve("--workers=2")
    with contextlib.ExitStack() as stack:
        until_each_has_its_part(server, lambda: stack.enter_context(server.connect()))


def until_each_has_its_part(server: Server, connect: Callable[[], object]) -> None:
    """Open connections, which stay open, until each of two workers has many."""

    def sockets() -> list[int]:
        """Of each worker; one that has not started yet has none of its own."""
        return [
            sum(
                each.resolve().name.startswith("socket:")
                for each in Path(f"/proc/{worker}/fd").iterdir()
            )
            for worker in server.workers()
        ]

    taken: list[int] = []
    while len(taken) < 2 or min(taken) < 20:
        assert sum(taken) < 400, taken
        connect()
        taken = sockets()


# Slow clients


def latencies(*servers: Server, times: int = 60) -> list[float]:
    """The median seconds that a request on a connection of its own takes, for each server.

    The servers take turns, so that a busy machine slows them alike.
    """
    taken: list[list[float]] = [[] for _ in servers]
    for _ in range(times):
        for server, seconds in zip(servers, taken, strict=True):
            started = time.perf_counter()
            with server.connect() as sock:
                sock.sendall(request("/bench"))
                assert b"200 OK" in read_response(sock)
            seconds.append(time.perf_counter() - started)
    return [median(seconds) for seconds in taken]


ONE_BYTE: dict[str, Callable[[Server], socket.socket]] = {
    "nothing": lambda server: server.raw(),
    "in the PROXY header": lambda server: _say(server.raw(), b"P"),
    "in the TLS handshake": lambda server: _say(server.raw(), b"\x16"),
    "nothing after the handshake": lambda server: server.connect(),
    "in the request line": lambda server: _say(server.connect(), b"G"),
    "in the headers": lambda server: _say(server.connect(), request()[:-2]),
    "in the body": lambda server: _say(
        server.connect(), request("/", "Content-Length: 9", method="POST") + b"x"
    ),
    "in HTTP/2": lambda server: _say(server.connect(alpn="h2"), b"PRI * HTTP/2.0"),
    "in a WebSocket": lambda server: _say(
        server.connect(),
        request("/echo", *UPGRADE, close=False) + b"\x81",
    ),
    "reading nothing": lambda server: _say(server.connect(), request("/data?size=50&unit=mb")),
}  # fmt: skip


def _say(sock: socket.socket, data: bytes) -> socket.socket:
    sock.sendall(data)
    return sock


@pytest.mark.parametrize("where", ONE_BYTE)
def test_200_clients_that_stop_halfway_do_not_slow_a_live_one(serve: Serve, where: str) -> None:
    options = ("--proxy-from=127.0.0.0/8", "--max-sockets=1000", "--max-streams=1000")
    server, control = serve(*options), serve(*options)
    with contextlib.ExitStack() as stack:
        with ThreadPoolExecutor(16) as pool:
            for sock in pool.map(lambda _: ONE_BYTE[where](server), range(200)):
                stack.enter_context(sock)
        time.sleep(0.5)
        beside, alone = latencies(server, control)
        assert beside < 2 * alone + 0.001


@pytest.mark.parametrize(
    ("where", "options"),
    [
        ("nothing", "--handshake-timeout=1s"),
        ("in the PROXY header", "--handshake-timeout=1s"),
        ("in the TLS handshake", "--handshake-timeout=1s"),
        ("nothing after the handshake", "--keep-alive=1s"),
        ("in the request line", "--header-timeout=1s"),
        ("in the headers", "--header-timeout=1s"),
        ("in the body", "--body-timeout=1s"),
        ("in HTTP/2", "--keep-alive=1s"),
        ("in a WebSocket", "--keep-alive=1s"),
        ("reading nothing", "--send-timeout=1s"),
    ],
)
def test_a_client_that_stops_halfway_is_left_in_time(
    serve: Serve, where: str, options: str
) -> None:
    server = serve("--proxy-from=127.0.0.0/8", options)
    with ONE_BYTE[where](server):
        eventually(lambda: server.metrics()["foobar_api_connections_open"] == 1)
        eventually(lambda: server.metrics()["foobar_api_connections_open"] == 0, seconds=6)
    assert "traceback" not in server.errors


def test_a_body_that_drips_is_408(serve: Serve) -> None:
    server = serve("--body-timeout=1s")
    with server.connect() as sock:
        sock.sendall(request("/", "Content-Length: 100", method="POST"))
        with contextlib.suppress(OSError):
            for _ in range(8):
                sock.sendall(b"x")
                time.sleep(0.2)
        assert b"408 Request Timeout" in read_response(sock)


def test_headers_that_drip_do_not_buy_time(serve: Serve) -> None:
    server = serve("--header-timeout=1s")
    with server.connect() as sock:
        started = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in itertools.chain(b"GET / HTTP/1.1\r\nX-Slow: ", itertools.repeat(120, 80)):
                sock.sendall(bytes([byte]))
                time.sleep(0.1)
        assert time.monotonic() - started < 4


def test_at_the_limit_the_connection_that_waits_longest_makes_room(serve: Serve) -> None:
    server = serve("--max-connections=16", "--workers=1")
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(16)]
        for _ in range(10):
            assert server.get("/bench").text == "1"
        first = idle[0]
        first.settimeout(2)
        assert first.recv(1) == b""
        last = idle[-1]
        last.sendall(request("/bench"))
        assert b"200 OK" in read_response(last)


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 5000, reason="needs 5000 open files"
)
def test_thousands_of_idle_connections_do_not_starve_a_live_one(serve: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    try:
        server, control = serve("--access-log=false"), serve("--access-log=false")
        with contextlib.ExitStack() as stack:
            with ThreadPoolExecutor(16) as pool:
                for sock in pool.map(lambda _: server.connect(), range(1000)):
                    stack.enter_context(sock)
            beside, alone = latencies(server, control)
            assert beside < 2 * alone + 0.001
            eventually(lambda: server.metrics()["foobar_api_connections_open"] >= 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
