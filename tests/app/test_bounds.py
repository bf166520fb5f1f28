"""What one client may cost the others: processor time, memory, and the places there are."""

import contextlib
import gc
import re
import resource
import socket
import ssl
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from hyperframe.frame import ContinuationFrame

from foobar_api.budget import Budget
from foobar_api.connection import Connection
from foobar_api.frames import Frames
from foobar_api.settings import load
from foobar_api.worker import SPARE_FILES, affordable
from tests.app.conftest import Serve
from tests.app.http2_client import Client
from tests.app.server import HOST, Pair, Server, read_response, request
from tests.app.test_http1 import RESET
from tests.app.test_server import eventually

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
    connection = Connection(ours, ("192.0.2.1", 1), send_timeout=10, budget=Budget(2**20, print))
    theirs.sendall(b"abc")
    connection.settimeout(10)
    assert gevent.spawn(connection.recv, 1).get() == b"a"
    connection.settimeout(0)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.close()
    theirs.close()


# Places


def leave_tls(sock: socket.socket) -> None:
    assert isinstance(sock, ssl.SSLSocket)
    sock.settimeout(0)
    with contextlib.suppress(ssl.SSLWantReadError):
        sock.unwrap()
    sock.close()


def leave_by_fin(sock: socket.socket) -> None:
    sock.close()


def leave_by_reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


@pytest.mark.parametrize("leave", [leave_tls, leave_by_fin, leave_by_reset])
def test_a_client_that_leaves_while_its_request_waits_frees_its_place(
    serve: Serve, leave: Callable[[socket.socket], None]
) -> None:
    server = serve("--workers=1", "--max-waits=2")
    waiting = [server.connect(), server.connect()]
    for sock in waiting:
        sock.sendall(request("/?wait=20s"))
    eventually(lambda: server.get("/?wait=1ms").status_code == 503)
    for sock in waiting:
        leave(sock)
    eventually(lambda: server.get("/?wait=1ms").status_code == 200)
    assert [line["status"] for line in server.access].count(499) == 2
    assert "traceback" not in server.errors


def test_without_tls_a_client_that_leaves_frees_its_place_too(serve: Serve) -> None:
    server = serve("--workers=1", "--max-waits=1", pair=None)
    sock = server.connect()
    sock.sendall(request("/?wait=20s"))
    eventually(lambda: server.get("/?wait=1ms").status_code == 503)
    sock.close()
    eventually(lambda: server.get("/?wait=1ms").status_code == 200)


@pytest.mark.parametrize("tls", [True, False])
def test_what_a_client_sends_while_its_request_waits_is_read_afterwards(
    serve: Serve,
    tls: bool,  # noqa: FBT001
    pair: Pair,
) -> None:
    server = serve("--workers=1", "--body-timeout=1s", pair=pair if tls else None)
    with server.connect() as sock:
        sock.sendall(
            request("/?wait=2s", "Content-Length: 8", method="POST", close=False) + b"half"
        )
        time.sleep(0.3)
        sock.sendall(b"half" + request("/bench"))
        got = read_response(sock)
    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert b"halfhalf" in got


OCCUPY: dict[str, bytes] = {
    "a body that stalls": request("/", "Content-Length: 9", method="POST"),
    "a wait": request("/?wait=20s"),
    "a download that nobody reads": request("/data?size=50&unit=mb"),
    "a WebSocket": request(
        "/echo", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", close=False,
    ),
}  # fmt: skip


def probe(server: Server) -> float:
    """The seconds that a probe takes, which has to succeed."""
    started = time.monotonic()
    assert server.get("/livez", timeout=5).text == "ok\n"
    return time.monotonic() - started


@pytest.mark.parametrize("what", OCCUPY)
def test_probes_get_a_place_when_all_are_taken_by_requests(serve: Serve, what: str) -> None:
    server = serve("--max-connections=16", "--workers=1")
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(server.connect()).sendall(OCCUPY[what])
        time.sleep(0.3)
        assert max(probe(server) for _ in range(5)) < 1
    assert "traceback" not in server.errors


def test_probes_get_a_place_when_all_are_taken_over_http_2(serve: Serve) -> None:
    server = serve("--max-connections=16", "--workers=1")
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            client = stack.enter_context(Client(server))
            client.send(client.request("/?wait=20s"))
        time.sleep(0.3)
        assert max(probe(server) for _ in range(5)) < 1


def test_a_probe_gets_a_place_when_no_more_files_can_be_opened(serve: Serve) -> None:
    server = serve("--workers=1")
    probe(server)
    worker = worker_of(server)
    limit = len(list((worker / "fd").iterdir())) + 20
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(server.connect())
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.prlimit(int(worker.name), resource.RLIMIT_NOFILE, (limit, hard))
        for _ in range(40):
            stack.enter_context(server.raw())
        assert max(probe(server) for _ in range(5)) < 1
        assert server.errors.count("cannot accept") == 1


def test_there_are_no_more_connections_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = (50, 1000)
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: raised.append(limit))
    assert affordable(500) == 500
    assert affordable(2000) == 1000 - SPARE_FILES
    assert raised == [(500 + SPARE_FILES, 1000), (1000, 1000)]


# Memory

MAX_BUFFERED = load([], {}).max_buffered
OVERHEAD = 2
"""Memory for each byte counted. Measured: at most 1.3 when all clients do the same, because buffers
grow ahead; 1.7 when large bodies follow large heads, because memory that heads leave lies in small
pieces."""
PER_CONNECTION = 32 * 2**10
"""Bytes that a connection takes in memory while a request of the usual size is served."""


def memory(server: Server) -> int:
    """Bytes of memory that the worker has in use."""
    found = re.search(
        r"^Rss: +(\d+) kB$", (worker_of(server) / "smaps_rollup").read_text(), re.MULTILINE
    )
    assert found
    return int(found[1]) * 1024


def announce(size: int) -> bytes:
    return request("/api", f"Content-Length: {size}", method="POST")


CHUNKED = request("/api", "Transfer-Encoding: chunked", method="POST")
FIELDS = [f"X-{number}: {'x' * 600}" for number in range(95)]
HOLD: dict[str, bytes] = {
    "heads": request("/", *FIELDS)[:-2],
    "heads of requests that wait for a body": request("/", *FIELDS, "Content-Length: 1"),
    "fields without a value": request("/", *(f"x{n}:" for n in range(95)), "Content-Length: 1"),
    "bodies": announce(2**20) + bytes(2**20 - 1),
    "bodies in one chunk": CHUNKED + b"100000\r\n" + bytes(2**20 - 1),
    "bodies in small chunks": CHUNKED + b"10\r\n0123456789abcdef\r\n" * 20_000,
}


@pytest.mark.parametrize("what", [*HOLD, "heads and bodies"])
def test_what_clients_hold_has_a_bound(serve: Serve, what: str) -> None:
    server = serve("--workers=1", "--access-log=false")
    kinds = ["heads", "bodies"] if what == "heads and bodies" else [what]
    probe(server)
    before = memory(server)
    with contextlib.ExitStack() as stack:
        for kind in kinds:
            for _ in range(200):
                sock = stack.enter_context(server.connect())
                with contextlib.suppress(OSError):  # of those that have had to leave
                    sock.sendall(HOLD[kind])
        with server.client() as client:
            upload = client.post(
                "/", content=bytes(2**20), extensions={"sni_hostname": HOST}, timeout=10
            )
        assert upload.status_code == 200
        assert memory(server) - before < OVERHEAD * MAX_BUFFERED + 200 * len(kinds) * PER_CONNECTION
        probe(server)
    assert "traceback" not in server.errors


def test_what_clients_hold_over_http_2_has_a_bound(serve: Serve) -> None:
    server = serve("--workers=1", "--access-log=false")
    probe(server)
    before = memory(server)
    # Each refers to one entry of the compression table, so it is small on its way.
    fields = [("x-large", "x" * 4000)] * 15
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(Client(server))
            with contextlib.suppress(OSError):
                for stream in range(1, 200, 2):
                    client.send(
                        client.request("/", *fields, stream=stream, method="POST", end=False)
                    )
        probe(server)
        assert memory(server) - before < OVERHEAD * MAX_BUFFERED + 20 * PER_CONNECTION
    assert "traceback" not in server.errors


def test_the_memory_of_connections_that_are_idle_again_has_a_bound(serve: Serve) -> None:
    """OpenSSL's buffers stay as large as a connection's largest request and response."""
    server = serve("--workers=1", "--access-log=false")
    probe(server)
    before = memory(server)
    with contextlib.ExitStack() as stack:
        for _ in range(400):
            sock = stack.enter_context(server.connect())
            sock.sendall(request("/data?size=100&unit=kb", *FIELDS, close=False))
            read = 0
            while read < 100_000:
                read += len(sock.recv(65536))
        assert memory(server) - before < OVERHEAD * MAX_BUFFERED + 400 * PER_CONNECTION
        probe(server)


LOWEST = f"--max-buffered={2 * (2**20 + 64 * 2**10)}"


def test_idle_connections_over_http_2_stay(serve: Serve) -> None:
    """What their requests held is counted no longer."""
    server = serve("--workers=1", "--access-log=false", LOWEST)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server)) for _ in range(120)]
        for client in clients:
            client.get("/livez")
        assert all(client.get("/livez", stream=3).status == 200 for client in clients)


def test_a_client_over_http_2_drives_nobody_out(serve: Serve) -> None:
    server = serve("--workers=1", "--access-log=false", LOWEST)
    with server.connect() as patient, Client(server) as greedy:
        patient.sendall(
            request("/api", "Content-Length: 20000", method="POST", close=False) + bytes(19_000)
        )
        fields = [("x-large", "x" * 4000)] * 15
        streams = range(1, 200, 2)
        greedy.send(
            *(greedy.request("/api", *fields, stream=n, method="POST", end=False) for n in streams)
        )
        greedy.until_acknowledged()
        resets = [greedy.answers[n].reset for n in streams]
        assert resets.count(ErrorCodes.REFUSED_STREAM) > 50
        assert resets.count(None) > 5
        patient.sendall(bytes(1000))
        assert patient.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_connection_over_http_2_frees_its_memory_when_it_ends() -> None:
    frames = Frames(max_streams=1, max_head=1000)
    frames.initiate_connection()
    freed = weakref.ref(frames)
    frames.discard()
    gc.disable()
    try:
        del frames
        assert freed() is None
    finally:
        gc.enable()


def test_a_connection_over_http_2_remembers_few_streams() -> None:
    frames = Frames(max_streams=1, max_head=1000)
    frames.initiate_connection()
    client = H2Connection()
    client.initiate_connection()
    pseudo = {":method": "GET", ":scheme": "https", ":authority": HOST, ":path": "/"}
    for stream in range(1, 2001, 2):
        client.send_headers(stream, list(pseudo.items()), end_stream=True)
        frames.receive_data(client.data_to_send())
        frames.reset_stream(stream)
        client.receive_data(frames.data_to_send())
    assert 0 < frames.remembered < 64 * 1024


class Held:
    """A connection, as the budget sees it."""

    def __init__(self, seconds: float | None) -> None:
        self.waits_since = None if seconds is None else time.monotonic() - seconds


def test_who_holds_most_for_longest_leaves() -> None:
    evicted: list[Held] = []
    budget = Budget[Held](1000, evicted.append)
    busy, small, large, recent = Held(None), Held(20), Held(10), Held(0.1)
    for holder, size in ((busy, 400), (small, 10), (large, 300), (recent, 200)):
        budget.count(holder, size)
    assert not evicted
    budget.count(recent, 300)
    assert evicted == [large]
    assert budget.used == 710
    budget.count(busy, 0)
    assert budget.used == 310


def test_those_who_leave_hold_what_they_do_until_they_are_closed() -> None:
    evicted: list[Held] = []
    budget = Budget[Held](1000, evicted.append)
    old, new = Held(10), Held(None)
    budget.count(old, 900)
    budget.count(new, 500)
    assert evicted == [old]
    assert budget.exhausted
    budget.count(new, 600)
    assert evicted == [old]
    budget.count(old, 0)
    assert not budget.exhausted
