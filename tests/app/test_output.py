"""Whoever reads stdout and stderr may be slow, hang or leave: the server serves on."""

import contextlib
import fcntl
import json
import os
import pty
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foobar_api.output import LIMIT, MAX_LINE, Output
from tests.app.conftest import Serve
from tests.app.server import Server, read_response, request
from tests.app.test_server import eventually
from tests.objects import ROOT

LONG = "x" * 2500
ENOUGH = (LIMIT + 2**18) // len(LONG)
"""Lines that contain it are more than a process and a pipe hold."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def ask(server: Server, *, times: int, path: str = "/bench", agent: str = LONG) -> None:
    """As one client after the other; each answer must come at once."""
    for _ in range(times):
        with server.connect() as sock:
            sock.settimeout(5)
            sock.sendall(request(path, f"User-Agent: {agent}"))
            assert b" 200 OK" in read_response(sock)


def ask_kept(server: Server, *, times: int) -> None:
    """On one connection, which one worker serves."""
    with server.connect() as sock:
        sock.settimeout(5)
        for _ in range(times):
            sock.sendall(request("/bench", f"User-Agent: {LONG}", close=False))
            assert b" 200 OK" in sock.recv(65536)


def drain(end: int) -> bytes:
    """All that is in a pipe and what follows while it is read."""
    pieces = []
    while select.select([end], [], [], 1)[0]:
        pieces.append(os.read(end, 65536))
    return b"".join(pieces)


def lines(data: bytes) -> list[dict[str, Any]]:
    """Each must be whole."""
    return [json.loads(line) for line in data.splitlines()]


def dropped(server: Server, stream: str) -> float:
    return server.metrics().get(f'foobar_api_log_lines_dropped_total{{stream="{stream}"}}', 0)


def test_a_reader_of_stdout_that_hangs_stops_nobody(serve: Serve, pipe: tuple[int, int]) -> None:
    server = serve(out=pipe[1])
    times = 2 * ENOUGH
    for _ in range(2):
        ask_kept(server, times=ENOUGH)
    ask(server, times=5, path="/livez")
    missing = dropped(server, "stdout")
    assert missing > 0
    assert "lines of stdout are dropped: nobody reads them" in server.errors

    read = lines(drain(pipe[0]))
    eventually(lambda: "stdout is written again; " in server.errors)
    read += lines(drain(pipe[0]))
    assert len(read) + missing == times
    ask(server, times=1)
    (last,) = lines(drain(pipe[0]))
    assert last["user_agent"] == LONG
    assert dropped(server, "stdout") == missing
    said = server.errors.count("lines of stdout are dropped")
    assert said == server.errors.count("stdout is written again; ") <= 2


def complain(server: Server) -> None:
    """Have the server log a long line on stderr."""
    with socket.create_connection(("127.0.0.1", server.metrics_port), timeout=5) as sock:
        sock.sendall(f"{LONG}\r\n\r\n".encode())
        assert b" 400 " in read_response(sock)


def test_a_reader_of_stderr_that_hangs_stops_nobody(serve: Serve, pipe: tuple[int, int]) -> None:
    server = serve("--workers=1", err=pipe[1])
    for _ in range(ENOUGH):
        complain(server)
    ask(server, times=5)
    missing = dropped(server, "stderr")
    assert missing > 0
    found = lines(drain(pipe[0]))
    assert any("stderr is written again" in line["message"] for line in found)
    written = sum(LONG in line["message"] for line in found)
    # The one that says that lines are dropped may be dropped as well.
    assert written + missing in {ENOUGH, ENOUGH + 1}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_leaves_stops_nobody(
    serve: Serve, pipe: tuple[int, int], stream: str
) -> None:
    server = serve("--workers=1", **{"out" if stream == "stdout" else "err": pipe[1]})
    os.close(pipe[0])
    for _ in range(3):
        ask(server, times=1)
        complain(server)
    assert dropped(server, stream) >= 3
    if stream == "stdout":
        assert server.errors.count("lines of stdout are dropped: Broken pipe") == 1
        lines(server.errors.encode())
    assert server.stop() == 0


@pytest.mark.parametrize("closed", [1, 2])
def test_a_stream_that_is_closed_at_the_start_stops_nobody(serve: Serve, closed: int) -> None:
    server = serve("--workers=1", before=lambda: os.close(closed))
    ask(server, times=3)
    if closed == 1:
        assert dropped(server, "stdout") == 3
        assert "Bad file descriptor" in server.errors
        lines(server.errors.encode())
    # The number must not become that of a connection.
    for process in (server.process.pid, *server.workers()):
        assert Path(f"/proc/{process}/fd/{closed}").resolve() == Path("/dev/null")
    assert server.stop() == 0


def test_a_full_disk_stops_nobody(serve: Serve) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    server = serve("--workers=1", out=full)
    ask(server, times=3)
    assert dropped(server, "stdout") == 3
    assert server.errors.count("lines of stdout are dropped: No space left on device") == 1


def test_those_who_share_the_pipe_are_left_alone(serve: Serve, pipe: tuple[int, int]) -> None:
    server = serve(out=pipe[1], err=pipe[1])
    ask(server, times=1)
    assert not fcntl.fcntl(pipe[1], fcntl.F_GETFL) & os.O_NONBLOCK


def test_a_terminal_that_is_stopped_stops_nobody(serve: Serve) -> None:
    leader, terminal = pty.openpty()
    server = serve("--workers=1", out=terminal)
    ask(server, times=30)
    read = b""
    while read.count(b"\n") < 30:
        assert select.select([leader], [], [], 5)[0]
        read += os.read(leader, 65536)
    assert len(lines(read)) == 30
    for end in (leader, terminal):
        os.close(end)


def test_a_socket_that_nobody_reads_stops_nobody(serve: Serve) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = serve("--workers=1", out=theirs.fileno())
        ask_kept(server, times=ENOUGH)
        missing = dropped(server, "stdout")
        assert missing > 0
        found = lines(drain(ours.fileno()))
        assert len(found) + missing == ENOUGH


def test_a_file_is_continued_where_it_ends(serve: Serve, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb", buffering=0) as log:
        log.write(b'{"before":1}\n')
        server = serve(out=log.fileno())
        ask(server, times=10)
    server.stop()
    found = lines((tmp_path / "log").read_bytes())
    assert (found[0], len(found)) == ({"before": 1}, 11)


def test_lines_of_several_workers_stay_whole(serve: Serve, pipe: tuple[int, int]) -> None:
    """With values that would not fit into what a pipe takes in one piece."""
    server = serve("--workers=2", out=pipe[1])
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(drain(pipe[0])))
    reader.start()
    long = "\\\N{SNOWMAN}" * 2000
    clients = [
        threading.Thread(target=lambda: ask(server, times=20, agent=agent))  # noqa: B023
        for agent in (long, "short", "middle" * 200)
        for _ in range(2)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    reader.join()
    read = lines(found[0])
    assert len(read) == 120
    assert all(len(line) < MAX_LINE for line in found[0].splitlines())


# One process


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[Output, Path]]:
    with (tmp_path / "log").open("wb", buffering=0) as log:
        yield Output("stdout", log.fileno()), tmp_path / "log"


def test_a_line_that_was_left_torn_ends_before_the_next(told: tuple[Output, Path]) -> None:
    output, path = told
    takes: Iterator[int | OSError] = iter([3, OSError(28, "full"), 100])

    def write(data: bytes) -> int:
        take = next(takes)
        if isinstance(take, OSError):
            raise take
        with path.open("ab") as file:
            return file.write(data[:take])

    output._write = write
    output.put(b"abcdef")
    output.flush()
    output.put(b"ghi")
    output.flush()
    assert path.read_bytes() == b"abc\nghi\n"


def test_what_waits_is_written_by_the_process_that_has_it(pipe: tuple[int, int]) -> None:
    output = Output("stdout", pipe[1])
    output.put(b"once")
    child = os.fork()
    if not child:
        output.flush()
        os._exit(0)
    os.waitpid(child, 0)
    output.flush()
    assert drain(pipe[0]) == b"once\n"


def test_the_last_lines_wait_for_a_reader_for_some_time(pipe: tuple[int, int]) -> None:
    output = Output("stdout", pipe[1])
    for _ in range(100):
        output.put(b"x" * 1000)
    output.drain(0.01)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(drain(pipe[0])))
    reader.start()
    output.drain(10)
    reader.join()
    assert found[0].count(b"\n") == 100


PRINTING = """
import sys, logging
from gunicorn.config import Config
from foobar_api.log import Logger
Logger(Config())
print("one\\ntwo")
print("three", file=sys.stderr)
logging.getLogger("foobar_api").error("%d", "four")
"""


def test_what_code_prints_is_logged() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINTING], cwd=ROOT, check=True, capture_output=True
    )
    assert done.stdout == b""
    assert [(each["logger"], each["message"][:5]) for each in lines(done.stderr)] == [
        ("foobar_api.stdout", "one"),
        ("foobar_api.stdout", "two"),
        ("foobar_api.stderr", "three"),
        ("foobar_api", "%d ('"),
    ]
