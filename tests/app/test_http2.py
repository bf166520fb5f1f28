"""HTTP/2 over real sockets: no client affects another, and no stream its neighbours."""

import contextlib
import signal
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    AltSvcFrame,
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from foobar_api.frames import Frames
from tests.app.conftest import Serve
from tests.app.http2_client import PREFACE, Client
from tests.app.server import HOST, Server, read_response, request
from tests.app.test_server import eventually

NO_WINDOW = {int(SettingCodes.INITIAL_WINDOW_SIZE): 0}


def seconds_of(server: Server, path: str = "/livez") -> float:
    """How long a request on a new connection takes."""
    started = time.monotonic()
    with server.connect() as sock:
        sock.sendall(request(path))
        assert b"200 OK" in read_response(sock)
    return time.monotonic() - started


# Flow control


def test_clients_that_grant_no_window_delay_nobody(serve: Serve) -> None:
    server = serve("--workers=1", "--send-timeout=3s")
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(Client(server, NO_WINDOW)) for _ in range(3)]
        for client in stalled:
            client.send(client.request("/data?size=100"))
            client.until_acknowledged()
        assert max(seconds_of(server) for _ in range(10)) < 0.5
        for client in stalled:
            assert client.until_acknowledged() < 0.5
        for client in stalled:
            client.until_closed()
            assert client.answers[1].status == 200
            assert client.answers[1].reset == ErrorCodes.CANCEL
            assert client.goaways[-1].error_code == ErrorCodes.NO_ERROR
    name = 'foobar_api_connections_refused_total{reason="timeout"}'
    eventually(lambda: server.metrics()[name] == 3)


def test_a_download_that_pauses_delays_nobody_and_goes_on(serve: Serve) -> None:
    server = serve("--workers=1")
    with Client(server) as client:
        client.send(client.request("/data?size=1&unit=mb"))
        client.until(lambda: len(client.answers[1].body) == 65535)
        assert max(seconds_of(server) for _ in range(10)) < 0.5
        time.sleep(1)
        client.send(*(WindowUpdateFrame(at, window_increment=2**20) for at in (0, 1)))
        client.until(lambda: client.answers[1].ended)
        assert len(client.answers[1].body) == 2**20
        assert not client.goaways


def test_a_frame_in_a_second_record_of_one_segment_is_seen(server: Server) -> None:
    with Client(server, {int(SettingCodes.INITIAL_WINDOW_SIZE): 10}) as client:
        client.send(
            client.request("/data?size=1000"),
            WindowUpdateFrame(1, window_increment=100_000),
            records=True,
        )
        assert client.until(lambda: client.answers[1].ended) < 1
        assert len(client.answers[1].body) == 1000


def test_downloads_of_one_connection_share_its_window(server: Server) -> None:
    with Client(server, {int(SettingCodes.INITIAL_WINDOW_SIZE): 2**20}) as client:
        client.send(*(client.request("/data?size=1&unit=mb", stream=at) for at in (1, 3, 5)))
        client.until(lambda: sum(len(each.body) for each in client.answers.values()) == 65535)
        client.send(WindowUpdateFrame(0, window_increment=3 * 2**16))
        client.until(lambda: sum(len(each.body) for each in client.answers.values()) == 2**18 - 1)
        shares = [len(each.body) for each in client.answers.values()]
        assert max(shares) - min(shares) <= 2**16


def test_a_stream_that_stalls_is_reset_and_its_neighbours_go_on(serve: Serve) -> None:
    server = serve("--workers=1", "--send-timeout=1s")
    with Client(server, NO_WINDOW) as client:
        client.send(client.request("/data?size=100"), client.request("/?wait=3s", stream=3))
        client.send(WindowUpdateFrame(3, window_increment=2**20))
        assert client.answer(1).reset == ErrorCodes.CANCEL
        assert not client.answers[3].over
        assert client.answer(3).status == 200
    assert "traceback" not in server.errors


def test_streams_that_hold_data_make_others_of_their_connection_wait(server: Server) -> None:
    with Client(server, NO_WINDOW) as client:
        numbers = range(1, 81, 2)
        client.send(*(client.request("/data?size=60000", stream=each) for each in numbers))
        client.until_acknowledged()
        assert sum(bool(each.headers) for each in client.answers.values()) <= 17
        assert seconds_of(server) < 0.5
        # Those that wait begin one after another, though they hold nothing themselves.
        small = range(101, 141, 2)
        client.send(*(client.request("/livez", stream=each) for each in small))
        settings = {int(SettingCodes.INITIAL_WINDOW_SIZE): 2**20}
        client.send(SettingsFrame(0, settings=settings))
        client.send(WindowUpdateFrame(0, window_increment=2**24))
        for each in numbers:
            assert len(client.answer(each).body) == 60000
        for each in small:
            assert client.answer(each).status == 200


# Streams of one connection


def test_a_stream_that_waits_delays_no_other(server: Server) -> None:
    with Client(server) as client:
        client.send(client.request("/?wait=2s"), client.request("/livez", stream=3))
        assert client.until(lambda: client.answers[3].ended) < 0.5
        assert client.until_acknowledged() < 0.5
        assert client.answer().status == 200


def test_a_page_loads_while_a_download_runs(server: Server) -> None:
    with Client(server, {int(SettingCodes.INITIAL_WINDOW_SIZE): 2**26}) as client:
        client.send(WindowUpdateFrame(0, window_increment=2**26))
        client.send(client.request("/data?size=50&unit=mb"))
        client.until(lambda: len(client.answers[1].body) > 2**20)
        client.send(client.request("/", stream=3))
        client.until(lambda: client.answers[3].ended)
        # It came between the download's frames, not behind them.
        assert not client.answers[1].ended


def test_a_cancelled_request_frees_its_slot_at_once(serve: Serve) -> None:
    server = serve("--workers=1", "--max-waits=1")
    with Client(server) as client:
        client.send(client.request("/?wait=20s"))
        assert client.get("/?wait=1ms", stream=3).status == 503
        client.send(RstStreamFrame(1, error_code=ErrorCodes.CANCEL))
        assert client.get("/?wait=1ms", stream=5).status == 200
        assert client.get("/livez", stream=7).status == 200
    assert server.metrics()["http_requests_in_flight"] == 0


def test_a_cancelled_download_frees_its_slot_at_once(serve: Serve) -> None:
    server = serve("--workers=1", "--max-streams=1")
    with Client(server) as client:
        client.send(client.request("/data?size=1&unit=mb"))
        client.until(lambda: len(client.answers[1].body) == 65535)
        client.send(RstStreamFrame(1), WindowUpdateFrame(0, window_increment=2**20))
        client.send(client.request("/data?size=1&unit=mb", stream=3))
        client.until(lambda: client.answers[3].body)
        assert client.answers[3].status == 200


def test_the_end_of_a_cancelled_response_is_not_sent(serve: Serve) -> None:
    server = serve("--workers=1")
    with Client(server, NO_WINDOW) as client:
        client.send(client.request("/data?size=100"))
        client.until_acknowledged()
        client.send(RstStreamFrame(1), WindowUpdateFrame(0, window_increment=1))
        client.until_acknowledged()
        assert client.answers[1].body == b""
    assert "traceback" not in server.errors


# Requests


def test_any_byte_above_ascii_may_be_in_a_header(server: Server) -> None:
    with Client(server) as client:
        answer = client.get("/", (b"x-name", b"caf\xe9"), (b"x-other", "caf\u00e9".encode()))
        assert answer.status == 200
        assert answer.body.count("caf\u00e9\r\n".encode()) == 2
        assert client.get("/livez", stream=3).status == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/" + "x" * 9000, [], 414),
        ("/", [("x-long", "x" * 9000)], 431),
        ("/", [(f"x-{number}", "1") for number in range(1000)], 431),
        ("/", [("content-length", "5")], 400),
        ("/", [("bad(name", "x")], 400),
    ],
)
def test_what_is_wrong_with_a_request_has_its_status(
    serve: Serve, path: str, headers: list[tuple[str | bytes, str | bytes]], status: int
) -> None:
    server = serve("--workers=1")
    with Client(server) as client:
        answer = client.get(path, *headers)
        assert answer.status == status
        assert dict(answer.headers)["x-request-id"] in server.errors
        assert client.get("/livez", stream=3).status == 200
    name = 'foobar_api_connections_refused_total{reason="bad_request"}'
    assert server.metrics()[name] == 1
    assert "traceback" not in server.errors


def test_a_host_that_is_none_is_400(server: Server) -> None:
    with Client(server) as client:
        client.send(client.request("/", authority="a b"))
        assert client.answer().status == 400


@pytest.mark.parametrize("said", [b"abc", b"abcdefgh"])
def test_a_body_of_the_wrong_length_resets_its_stream_alone(server: Server, said: bytes) -> None:
    with Client(server) as client:
        client.send(
            client.request("/?wait=1s", stream=1),
            client.request("/api", ("content-length", "5"), stream=3, method="POST", end=False),
            DataFrame(3, said, flags=["END_STREAM"]),
        )
        assert client.answer(3).reset == ErrorCodes.PROTOCOL_ERROR
        assert client.answer(1).status == 200


def test_a_body_cut_by_trailers_is_malformed(server: Server) -> None:
    with Client(server) as client:
        client.send(
            client.request("/api", ("content-length", "5"), method="POST", end=False),
            DataFrame(1, b"abc"),
        )
        trailers = HeadersFrame(1, flags=["END_HEADERS", "END_STREAM"])
        trailers.data = client.encode(("x-checksum", "1"))
        client.send(trailers)
        assert client.answer().reset == ErrorCodes.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "headers",
    [
        {":path": None},
        {":method": None},
        {"host": "other.example"},
        {"X-Upper": "1"},
        {"transfer-encoding": "chunked"},
        {"content-length": "x"},
        pytest.param({"content-length": "9" * 5000}, id="long content-length"),
        {":status": "200"},
        {"x": "a\nb"},
    ],
    ids="".join,
)
def test_a_malformed_request_ends_its_stream_alone(
    serve: Serve, headers: dict[str, str | None]
) -> None:
    server = serve("--workers=1")
    with Client(server) as client:
        client.send(client.request("/?wait=500ms"))
        pseudo = {":method": "GET", ":scheme": "https", ":authority": HOST, ":path": "/"}
        fields = {name: value for name, value in (pseudo | headers).items() if value is not None}
        malformed = client.request("/", stream=3)
        malformed.data = client.encode(
            *sorted(fields.items(), key=lambda field: not field[0].startswith(":"))
        )
        client.send(malformed)
        assert client.answer(3).reset == ErrorCodes.PROTOCOL_ERROR
        assert client.answer(1).status == 200
        assert client.get("/livez", stream=5).status == 200
        assert not client.goaways
    name = 'foobar_api_connections_refused_total{reason="bad_request"}'
    assert server.metrics()[name] == 1
    assert "traceback" not in server.errors


def test_malformed_trailers_end_their_stream_alone(server: Server) -> None:
    with Client(server) as client:
        client.send(
            client.request("/?wait=500ms"),
            client.request("/api", stream=3, method="POST", end=False),
            DataFrame(3, b"abc"),
        )
        trailers = HeadersFrame(3, flags=["END_HEADERS", "END_STREAM"])
        trailers.data = client.encode((":path", "/"))
        client.send(trailers)
        assert client.answer(3).reset == ErrorCodes.PROTOCOL_ERROR
        assert client.answer(1).status == 200


@pytest.mark.parametrize("in_trailers", [False, True], ids=["request", "trailers"])
def test_a_header_block_that_cannot_be_decoded_ends_the_connection(
    server: Server,
    in_trailers: bool,  # noqa: FBT001
) -> None:
    with Client(server) as client:
        if in_trailers:
            client.send(client.request("/api", method="POST", end=False))
        frame = HeadersFrame(1, flags=["END_HEADERS", "END_STREAM"])
        frame.data = b"\xff\xff\xff\xff\x0f"  # no such entry of the table
        client.send(frame)
        client.until_closed()
        assert client.goaways


def test_ten_malformed_requests_end_the_connection(server: Server) -> None:
    with Client(server) as client:
        numbers = range(1, 23, 2)
        client.send(*(client.request("", stream=number) for number in numbers))
        client.until_closed()
        assert client.goaways[-1].error_code == ErrorCodes.ENHANCE_YOUR_CALM


def test_a_stream_beyond_the_limit_is_refused_alone(server: Server) -> None:
    with Client(server) as client:
        numbers = range(1, 201, 2)
        client.send(WindowUpdateFrame(0, window_increment=2**20))
        client.send(*(client.request("/?wait=1s", stream=number) for number in numbers))
        # It refers to the table of headers, which has to stay the same on both sides.
        client.send(client.request("/", ("x-new", "1"), stream=201))
        assert client.answer(201).reset == ErrorCodes.REFUSED_STREAM
        assert {client.answer(number).status for number in numbers} == {200}
        assert client.get("/", ("x-new", "1"), stream=203).status == 200
        assert not client.goaways


def test_a_client_that_sends_many_malformed_requests_is_left(serve: Serve) -> None:
    server = serve("--workers=1")
    with Client(server) as client:
        for number in range(50):
            client.send(client.request("/", ("bad(name", "x"), stream=2 * number + 1))
            client.read(0.1)
            if client.closed:
                break
        client.until_closed()
        assert client.goaways[-1].error_code == ErrorCodes.ENHANCE_YOUR_CALM
    name = 'foobar_api_connections_refused_total{reason="bad_request"}'
    assert server.metrics()[name] <= 12


def test_a_body_is_read_as_it_comes(server: Server) -> None:
    with Client(server) as client:
        client.send(client.request("/", method="POST", end=False))
        for piece in (b"hel", b"lo"):
            client.send(DataFrame(1, piece))
            time.sleep(0.1)
        client.send(DataFrame(1, flags=["END_STREAM"]))
        answer = client.answer()
        assert answer.status == 200
        assert answer.body.endswith(b"\r\n\r\nhello")


def test_a_body_in_one_record_with_its_headers_is_read(server: Server) -> None:
    with Client(server) as client:
        client.send(
            client.request("/", method="POST", end=False),
            DataFrame(1, b"together", flags=["END_STREAM"]),
        )
        assert client.answer().body.endswith(b"together")


def test_a_body_larger_than_the_window_is_read(server: Server) -> None:
    sni = {"sni_hostname": HOST}
    with server.client(http2=True) as client:
        for size in (2**17, 2**20):
            got = client.post("/", content=b"x" * size, extensions=sni)
            assert (got.http_version, len(got.content) > size) == ("HTTP/2", True)


def test_a_body_that_is_too_long_is_not_waited_for(server: Server) -> None:
    with Client(server) as client:
        length = ("content-length", str(2**20 + 1))
        client.send(client.request("/", length, method="POST", end=False))
        client.until(lambda: client.answers[1].reset is not None)
        assert client.answers[1].status == 413
        assert client.answers[1].reset == ErrorCodes.NO_ERROR
        assert client.get("/livez", stream=3).status == 200


def test_bodies_of_one_connection_share_a_limit(server: Server) -> None:
    with Client(server) as client:
        for each in (1, 3, 5):
            client.send(client.request("/api", method="POST", stream=each, end=False))
            client.upload(each, 900_000)
        client.until(lambda: client.answers[5].over)
        assert client.answers[5].status == 503
        for each in (1, 3):
            client.send(DataFrame(each, b"", flags=["END_STREAM"]))
            assert client.answer(each).status == 200


@pytest.mark.parametrize("end", ["reset", "goaway", "close"])
def test_a_client_that_leaves_within_a_body_is_no_error_of_the_server(
    serve: Serve, end: str
) -> None:
    server = serve("--workers=1", "--body-timeout=1s")
    with Client(server) as client:
        client.send(client.request("/api", method="POST", end=False), DataFrame(1, b"abc"))
        eventually(lambda: server.metrics()["http_requests_in_flight"] == 1)
        if end == "reset":
            client.send(RstStreamFrame(1, error_code=ErrorCodes.CANCEL))
        elif end == "goaway":
            client.send(GoAwayFrame(0, error_code=ErrorCodes.NO_ERROR))
            assert client.answer().status == 408
        else:
            client.close()
        eventually(lambda: len(server.access) == 1)
    assert server.access[0]["status"] == (408 if end == "goaway" else 499)
    assert not [name for name in server.metrics() if 'code="5' in name]
    assert "traceback" not in server.errors


def test_a_websocket_is_refused_without_a_header_that_http_2_forbids(server: Server) -> None:
    with Client(server) as client:
        answer = client.get("/echo")
        assert 400 <= answer.status < 500
        assert {"upgrade", "connection"}.isdisjoint(dict(answer.headers))


# Deadlines and limits


def test_headers_that_drip_do_not_buy_time(serve: Serve) -> None:
    server = serve("--header-timeout=1s")
    with Client(server) as client:
        frame = client.request("/livez").serialize()
        started = time.monotonic()
        for byte in frame:
            client.send(bytes([byte]))
            client.read(0.2)
            if client.closed:
                break
        assert client.closed
        assert time.monotonic() - started < 3


def test_a_block_of_header_frames_that_drips_does_not_buy_time(serve: Serve) -> None:
    server = serve("--header-timeout=1s")
    with Client(server) as client:
        frame = client.request("/livez")
        frame.flags.discard("END_HEADERS")
        client.send(frame)
        started = time.monotonic()
        while not client.closed and time.monotonic() - started < 3:
            client.send(ContinuationFrame(1, b""))
            client.read(0.2)
        assert client.closed


@pytest.mark.parametrize("whole", [True, False])
def test_a_body_that_drips_is_408(serve: Serve, whole: bool) -> None:  # noqa: FBT001
    """Well before the client ends, which is twenty times as long as it has."""
    server = serve("--body-timeout=1s")
    with Client(server) as client:
        client.send(client.request("/api", method="POST", end=False))
        pieces = DataFrame(1, b"x" * 100).serialize()
        for number in range(100):
            client.send(DataFrame(1, b"x") if whole else pieces[number : number + 1])
            client.read(0.2)
            if client.closed or client.answers[1].over:
                break
        assert client.answers[1].over
        assert client.answers[1].status == 408
        client.until_closed()


def test_a_larger_table_of_the_client_is_not_used(server: Server) -> None:
    with Client(server, {int(SettingCodes.HEADER_TABLE_SIZE): 2**32 - 1}) as client:
        for number in range(200):
            client.get("/livez", ("x-request-id", f"{number:064}"), stream=2 * number + 1)
        assert client.table_size <= 4096


@pytest.mark.parametrize(
    "frame",
    [
        PingFrame(0, opaque_data=b"12345678"),
        PingFrame(0, opaque_data=b"12345678", flags=["ACK"]),
        SettingsFrame(0),
        SettingsFrame(0, flags=["ACK"]),
        WindowUpdateFrame(0, window_increment=1),
        PriorityFrame(1),
        AltSvcFrame(0, origin=b"a", field=b"b"),
        DataFrame(1, b""),
        DataFrame(1, b"x"),
        WindowUpdateFrame(1, window_increment=1),
        RstStreamFrame(1),
    ],
    ids=repr,
)
def test_a_flood_of_frames_that_ask_for_nothing_ends(server: Server, frame: Frame) -> None:
    with Client(server) as client:
        client.get("/livez")  # stream 1 is over
        with contextlib.suppress(OSError):
            for _ in range(50):
                client.send(*[frame] * 100)
                client.read(0.01)
                if client.closed:
                    break
        client.until(lambda: client.goaways or client.closed)
        assert client.goaways[-1].error_code == ErrorCodes.ENHANCE_YOUR_CALM


def test_a_flood_of_farewells_ends(server: Server) -> None:
    with Client(server) as client:
        client.send(client.request("/?wait=5s"), *[GoAwayFrame(0)] * 1100)
        client.until(lambda: client.goaways)
        assert client.goaways[-1].error_code == ErrorCodes.ENHANCE_YOUR_CALM


def unknown_settings(first: int, number: int) -> bytes:
    """A frame with ``number`` of them. hyperframe writes the low byte of an identifier only."""
    body = b"".join(struct.pack("!HI", code, 1) for code in range(first, first + number))
    return len(body).to_bytes(3) + b"\4\0" + bytes(4) + body


def test_settings_count_one_by_one(server: Server) -> None:
    with Client(server) as client:
        client.send(unknown_settings(100, 600))
        client.until_acknowledged()
        assert not client.goaways
        client.send(unknown_settings(700, 600))
        client.until(lambda: client.goaways)
        assert client.goaways[-1].error_code == ErrorCodes.ENHANCE_YOUR_CALM


def test_unknown_settings_are_not_remembered() -> None:
    frames = Frames(max_streams=100, max_head=2**16)
    frames.receive_data(PREFACE)
    for first in range(1000, 60000, 1000):
        frames.receive_data(unknown_settings(first, 1000))
    assert set(frames.remote_settings) <= set(SettingCodes)


def test_window_updates_for_a_download_that_is_over_are_no_noise(server: Server) -> None:
    with Client(server) as client:
        for first in range(1, 2401, 100):
            numbers = range(first, first + 100, 2)
            client.send(*(client.request("/data?size=1", stream=number) for number in numbers))
            assert {client.answer(number).status for number in numbers} == {200}
            client.send(
                *(
                    WindowUpdateFrame(at, window_increment=1)
                    for number in numbers
                    for at in (0, number)
                )
            )
        client.until_acknowledged()
        assert not client.goaways


def test_priorities_within_requests_are_no_noise(server: Server) -> None:
    with Client(server) as client:
        for number in range(1, 2401, 2):
            frame = client.request("/livez", stream=number)
            frame.flags.add("PRIORITY")
            client.send(frame)
            assert client.answer(number).status == 200
        assert not client.goaways


# Stopping


def test_a_new_connection_is_answered_during_the_drain(serve: Serve) -> None:
    server = serve("--drain=3s")
    server.process.terminate()
    time.sleep(1)
    for _ in range(5):
        with Client(server) as client:
            assert client.get("/bench").status == 200
            client.until_closed()
            assert client.goaways[-1].last_stream_id == 1
            assert client.goaways[-1].error_code == ErrorCodes.NO_ERROR


def test_a_request_under_way_is_answered_after_the_drain(serve: Serve) -> None:
    server = serve()
    with Client(server) as client:
        client.send(client.request("/?wait=2s"))
        client.until_acknowledged()
        server.process.terminate()
        assert client.answer().status == 200
        client.until_closed()
        assert client.goaways[-1].last_stream_id == 1
    assert server.process.wait(10) == 0


class Load:
    """Clients that ask without a pause, and leave a connection when they are asked to."""

    def __init__(self, server: Server, clients: int = 4) -> None:
        self._server = server
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._results = [self._pool.submit(self._ask) for _ in range(clients)]

    def stop(self) -> int:
        """The requests that were answered."""
        self._stop.set()
        return sum(each.result() for each in self._results)

    def _ask(self) -> int:
        answered = 0
        while not self._stop.is_set():
            with Client(self._server) as client:
                client.send(WindowUpdateFrame(0, window_increment=2**30))
                stream = 1
                while not (self._stop.is_set() or client.goaways or client.closed):
                    client.send(
                        *(client.request("/?wait=5ms", stream=stream + at) for at in (0, 2))
                    )
                    for at in (0, 2):
                        assert client.answer(stream + at).status == 200
                    answered += 2
                    stream += 4
        return answered


def test_a_reload_under_load_loses_no_request(serve: Serve) -> None:
    server = serve("--drain=1s", "--workers=2")
    load = Load(server)
    time.sleep(1)
    server.process.send_signal(signal.SIGHUP)
    time.sleep(4)
    assert load.stop() > 100
