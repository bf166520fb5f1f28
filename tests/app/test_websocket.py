"""`/echo`: what a WebSocket may send, how much of it and for how long, and how it ends."""

import asyncio
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from foobar_api import echo
from tests.app.conftest import Serve
from tests.app.server import HOST, Server, request
from tests.app.test_http1 import assert_clean
from tests.app.test_server import eventually
from tests.app.websocket_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    Client,
    Frame,
    close,
)

SNOWMAN = "\N{SNOWMAN}".encode()


# A client of the websockets package


# One thread a connection: the client of `websockets` that needs no asyncio reads and writes in two,
# which TLS on Python before 3.13 does not bear.


def _socket(server: Server) -> connect:
    where = f"wss://127.0.0.1:{server.port}/echo"
    return connect(where, ssl=server.context, server_hostname=HOST)


def test_echo_sends_back_text_and_bytes(server: Server) -> None:
    async def talk() -> None:
        async with _socket(server) as ws:
            await ws.send("hello \N{SNOWMAN}")
            assert await ws.recv() == "hello \N{SNOWMAN}"
            await ws.send(b"\x00\xff")
            assert await ws.recv() == b"\x00\xff"
            await ws.send(["in ", "three ", "pieces"])
            assert await ws.recv() == "in three pieces"
            await asyncio.wait_for(await ws.ping(), 5)

    asyncio.run(talk())


def test_more_websockets_than_allowed_are_refused(serve: Serve) -> None:
    server = serve("--max-sockets=1", "--workers=1")
    with Client(server) as client:
        with server.connect() as sock:
            sock.sendall(request("/echo", *UPGRADE, close=False))
            assert sock.recv(65536).startswith(b"HTTP/1.1 503 ")
        client.send(close(1000))
        # The connection ends after the socket has given its place back.
        assert client.closed_with() == 1000
    with Client(server) as client:
        frame = Frame(TEXT, b"again")
        client.send(frame)
        assert client.receive() == frame


def test_nonsense_on_a_websocket_closes_it_and_harms_nobody(server: Server) -> None:
    with Client(server) as client:
        client.send(b"\xff" * 100)
        assert client.closed_with() == 1002
    assert_clean(server)
    assert server.get("/bench").text == "1"


def test_a_client_that_does_not_wait_for_the_answer_is_understood(server: Server) -> None:
    """It should wait (RFC 6455, 4.1), but its first frames are not to be lost."""
    with Client(server, Frame(TEXT, b"fir"), Frame(PING, b"!")) as client:
        client.send(Frame(TEXT, b"second"))
        expected = [Frame(TEXT, b"fir"), Frame(PONG, b"!"), Frame(TEXT, b"second")]
        assert [client.receive() for _ in expected] == expected


# Limits


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_limit_of_a_message_counts_bytes(serve: Serve, opcode: int) -> None:
    server = serve("--max-message=999")
    message = 333 * SNOWMAN
    with Client(server) as client:
        client.send(Frame(opcode, message))
        assert client.receive() == Frame(opcode, message)
        client.send(Frame(opcode, message, fin=False), Frame(CONTINUATION, b"x"))
        assert client.closed_with() == 1009


def test_the_code_arrives_though_the_client_goes_on_sending(serve: Serve) -> None:
    """Closing at once would reset the connection, and the client would not learn why."""
    server = serve("--max-message=1KiB")
    with Client(server) as client:
        client.send(Frame(BINARY, bytes(500_000)))
        assert client.closed_with() == 1009


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (Frame(TEXT, b"x", fin=False), Frame(CONTINUATION, b"", fin=False)),
        (Frame(TEXT, b"x", fin=False), Frame(PING, b"")),
        (Frame(PING, b"x"), Frame(PING, bytes(125))),
        (Frame(PONG, b""), Frame(PONG, b"")),
    ],
    ids=["empty fragments", "pings within a message", "pings", "pongs"],
)
def test_frames_that_carry_nothing_are_not_taken_without_end(
    server: Server, first: Frame, then: Frame
) -> None:
    with Client(server) as client:
        client.send(first, *[then] * 900)
        client.send(*[then] * 200)
        assert client.closed_with() == 1008
    assert_clean(server)


def test_a_client_may_keep_its_socket_alive_by_pings(server: Server) -> None:
    with Client(server) as client:
        client.send(Frame(TEXT, b"in pie", fin=False), *[Frame(PING, b"alive")] * 300)
        for _ in range(300):
            assert client.receive() == Frame(PONG, b"alive")
        client.send(Frame(CONTINUATION, b"ces"))
        assert client.receive() == Frame(TEXT, b"in pieces")


def test_a_message_in_small_fragments_takes_no_more_memory_than_its_bytes(serve: Serve) -> None:
    server = serve("--workers=1", "--max-message=1MiB", "--access-log=false")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")

    def peak() -> int:
        """Of the worker, in KiB."""
        lines = Path(f"/proc/{children.read_text().split()[0]}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

    with Client(server, timeout=60) as client:
        client.send(Frame(TEXT, b"warm", fin=False), Frame(CONTINUATION, bytes(100_000)))
        assert client.receive()
        before = peak()
        client.send(Frame(TEXT, b"", fin=False))
        for _ in range(100):
            client.send(*[Frame(CONTINUATION, b"xy", fin=False)] * 1000)
        client.send(Frame(CONTINUATION, b"", fin=True))
        assert client.receive() == Frame(TEXT, b"xy" * 100_000)
    assert peak() - before < 3 * 1024


# Deadlines


@pytest.mark.parametrize(
    "sent",
    [[], [Frame(TEXT, b"x")], [Frame(TEXT, b"x", fin=False)], [b"\x81"]],
    ids=["nothing", "a message", "half a message", "half a frame"],
)
def test_an_idle_socket_is_closed_with_1001(serve: Serve, sent: list[Frame | bytes]) -> None:
    server = serve("--keep-alive=1s")
    with Client(server) as client:
        client.send(*sent)
        started = time.monotonic()
        assert client.closed_with() == 1001
        assert 0.7 < time.monotonic() - started < 8
    eventually(lambda: server.metrics()["foobar_api_connections_open"] == 0)
    assert_clean(server)


def test_a_message_that_drips_does_not_buy_time(serve: Serve) -> None:
    server = serve("--keep-alive=1s")
    with Client(server) as client:
        client.send(Frame(TEXT, b"", fin=False))
        started = time.monotonic()
        try:
            while time.monotonic() < started + 6:
                client.send(Frame(CONTINUATION, b"x", fin=False), Frame(PING, b""))
                time.sleep(0.1)
        except OSError:
            pass
        assert time.monotonic() - started < 5


def test_messages_and_pings_keep_a_socket_open(serve: Serve) -> None:
    server = serve("--keep-alive=2s")
    with Client(server) as client:
        for _ in range(4):
            for frame, answer in ((Frame(PING, b""), PONG), (Frame(TEXT, b"x"), TEXT)):
                time.sleep(0.5)
                client.send(frame)
                assert client.receive() == Frame(answer, frame.payload)


def test_a_client_that_reads_nothing_is_left_in_time(serve: Serve) -> None:
    server = serve("--send-timeout=1s")
    with Client(server, timeout=1) as client:
        many = [Frame(BINARY, bytes(60_000))] * 500
        with pytest.raises(OSError, match="timed out"):
            client.send(*many)
        eventually(lambda: server.metrics()["foobar_api_connections_open"] == 0)
    assert_clean(server)


# The end


@pytest.mark.parametrize("frame", [close(1000, "bye"), close(4000), Frame(CLOSE, b"")])
def test_a_close_is_answered_alike_and_the_server_closes_the_connection(
    server: Server, frame: Frame
) -> None:
    with Client(server) as client:
        client.send(frame)
        assert client.receive() == frame
        assert client.receive() is None


def test_what_follows_a_close_is_ignored(server: Server) -> None:
    with Client(server) as client:
        client.send(Frame(TEXT, b"x"), close(1000), Frame(TEXT, b"y"), b"\xff" * 100)
        assert client.receive() == Frame(TEXT, b"x")
        assert client.receive() == close(1000)
        assert client.receive() is None
    assert_clean(server)


def test_a_server_that_closes_waits_for_the_answer_of_the_client(serve: Serve) -> None:
    server = serve("--keep-alive=1s")
    with Client(server) as client:
        frame = client.receive()
        assert frame
        assert frame.opcode == CLOSE
        client.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.receive()
        client.send(close(1001))
        client.sock.settimeout(5)
        assert client.receive() is None


@pytest.mark.parametrize(
    "sent",
    [[], [Frame(TEXT, b"x", fin=False)], [b"\x81"]],
    ids=["nothing", "half a message", "half a frame"],
)
def test_a_socket_does_not_hold_up_a_server_that_stops(
    serve: Serve, sent: list[Frame | bytes]
) -> None:
    server = serve("--grace=20s")
    with Client(server) as client:
        client.send(Frame(TEXT, b"x"), *sent)
        assert client.receive() == Frame(TEXT, b"x")
        started = time.monotonic()
        server.process.terminate()
        frame = client.receive()
        assert frame
        assert (frame.opcode, frame.payload[:2]) == (CLOSE, (1001).to_bytes(2))
        client.send(close(1001))
        assert client.receive() is None
    assert server.process.wait(20) == 0
    assert time.monotonic() - started < 10
    assert "cut off" not in server.errors
    assert_clean(server)


def test_a_message_is_echoed_until_the_server_stops_accepting(serve: Serve) -> None:
    server = serve("--drain=2s")
    with Client(server) as client:
        server.process.terminate()
        eventually(lambda: server.get("/readyz").status_code == 503, seconds=2)
        client.send(Frame(TEXT, b"still here"))
        assert client.receive() == Frame(TEXT, b"still here")
        assert client.closed_with() == 1001
    assert server.process.wait(20) == 0


def test_a_socket_whose_client_never_answers_the_close_ends_all_the_same(serve: Serve) -> None:
    server = serve("--keep-alive=1s")
    with Client(server):
        eventually(lambda: server.metrics()["foobar_api_connections_open"] == 0, seconds=15)
    assert_clean(server)


def test_a_subprotocol_that_is_not_ascii_is_malformed() -> None:
    fields = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-Websocket-Version": "13",
        "Sec-Websocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-Websocket-Protocol": "caf\xe9",
    }
    with pytest.raises(echo.MalformedError, match="is not ASCII"):
        echo.accept("/echo", fields.items())
