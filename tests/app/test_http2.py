"""HTTP/2 over real sockets: no client affects another, and no stream its neighbours."""

import contextlib
import time

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.app.conftest import Serve
from tests.app.http2_client import Client
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
            client.until(lambda client=client: client.answers[1].headers)
        assert max(seconds_of(server) for _ in range(10)) < 0.5
        for client in stalled:
            client.acknowledged.clear()
            client.send(PingFrame(0, opaque_data=b"12345678"), SettingsFrame(0))
            assert client.until(lambda client=client: len(client.acknowledged) == 2) < 0.5
        for client in stalled:
            client.until(lambda client=client: client.closed)
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


# Streams of one connection


def test_a_stream_that_waits_delays_no_other(server: Server) -> None:
    with Client(server) as client:
        client.send(client.request("/?wait=2s"), client.request("/livez", stream=3))
        assert client.until(lambda: client.answers[3].ended) < 0.5
        client.send(PingFrame(0, opaque_data=b"12345678"))
        assert client.until(lambda: len(client.acknowledged) == 2) < 0.5
        client.until(lambda: client.answers[1].ended)
        assert client.answers[1].status == 200


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
