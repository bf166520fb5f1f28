"""What foobar-api uses of gunicorn without a promise of gunicorn's that it stays.

Workers, loggers and server hooks are documented ways to extend it. The rest is here: a new version
that changes any of it fails these tests first, and not a request.
"""

import inspect
import io
import re
from pathlib import Path

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.message import RFC9110_6_5_1_FORBIDDEN_TRAILER
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.base import Worker

APP = Path(__file__).parents[2] / "foobar_api"
INTERNALS = {
    "gunicorn": {"http1.py", "stream.py"},  # SERVER, the name in the response
    "gunicorn.app.base": {"__main__.py"},
    "gunicorn.arbiter": {"server.py"},
    "gunicorn.config": {"log.py"},
    "gunicorn.glogging": {"log.py"},
    "gunicorn.http": {"http1.py"},
    "gunicorn.http.body": {"http1.py"},
    "gunicorn.http.message": {"http1.py"},
    "gunicorn.http.unreader": {"http1.py"},
    "gunicorn.util": {"gateway.py"},
    "gunicorn.workers.base": {"server.py", "worker.py"},
}
"""Who imports what. What decodes HTTP is used in one module."""


def test_each_part_of_gunicorn_is_used_where_it_is_known_to_be() -> None:
    used: dict[str, set[str]] = {}
    for path in APP.glob("*.py"):
        for name in re.findall(r"^\s*from (gunicorn[\w.]*) import", path.read_text(), re.MULTILINE):
            used.setdefault(name, set()).add(path.name)
    assert used == INTERNALS


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (Body.__init__, ["self", "reader"]),
        (Body.read, ["self", "size"]),
        (Body._read_reader, ["self", "size"]),
        (ChunkedReader.__init__, ["self", "req", "unreader"]),
        (LengthReader.__init__, ["self", "unreader", "length"]),
        (SocketUnreader.__init__, ["self", "sock", "max_chunk"]),
        (SocketUnreader.chunk, ["self", "size_hint"]),
        (SocketUnreader.take_buffered, ["self"]),
        (SocketUnreader.unread, ["self", "data"]),
        (Worker.init_process, ["self"]),
        (Worker.notify, ["self"]),
        (Worker.handle_exit, ["self", "sig", "frame"]),
        (Worker.handle_quit, ["self", "sig", "frame"]),
        (Logger.setup, ["self", "cfg"]),
        (Arbiter.manage_workers, ["self"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_signatures(function: object, parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters  # type: ignore[arg-type]


class _Source:
    """A socket that has sent ``data``."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def recv(self, size: int) -> bytes:
        return self._data.read(size)


class _Limits:
    limit_request_field_size = 64
    max_buffer_headers = 128

    def __init__(self) -> None:
        self.trailers = None
        self.parsed: list[bytes] = []

    def parse_headers(self, data: bytes, *, from_trailer: bool) -> list[object]:
        assert from_trailer
        self.parsed.append(data)
        return []


def _chunks(data: bytes) -> tuple[ChunkedReader, _Limits]:
    limits = _Limits()
    return ChunkedReader(limits, SocketUnreader(_Source(data))), limits


def test_a_reader_of_chunks_has_no_parser_once_it_is_at_the_end() -> None:
    reader, limits = _chunks(b"3\r\nabc\r\n0\r\nA: b\r\n\r\n")
    assert Body(reader).read(100) == b"abc"
    assert reader.parser is None
    assert limits.parsed == [b"A: b"]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"3\r\nabcd\r\n", errors.ChunkMissingTerminator),
        (b"x\r\n", errors.InvalidChunkSize),
        (b"3;" + b"a" * 100, errors.InvalidChunkSize),
        (b"0\r\n" + b"A: b\r\n" * 100, errors.LimitRequestHeaders),
        (b"0\r\nA: b", errors.ChunkMissingTerminator),
    ],
)
def test_a_broken_chunk_raises_what_is_answered(data: bytes, error: type[Exception]) -> None:
    reader, _ = _chunks(data)
    with pytest.raises(error):
        Body(reader).read(100)
    assert issubclass(error, errors.ParseException)


def test_a_reader_of_a_length_counts_down_to_zero() -> None:
    reader = LengthReader(SocketUnreader(_Source(b"abcdef")), 3)
    assert Body(reader).read(100) == b"abc"
    assert reader.length == 0


def test_forbidden_trailers_are_known_in_upper_case() -> None:
    assert {"CONTENT-LENGTH", "HOST", "TRANSFER-ENCODING"} <= RFC9110_6_5_1_FORBIDDEN_TRAILER
