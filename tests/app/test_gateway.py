"""Requests and responses without a server: what is read of bytes, and what the app may send."""

from typing import cast

import pytest
from gunicorn.config import Config
from gunicorn.http.message import Request as GunicornRequest
from gunicorn.http.unreader import IterUnreader
from hypothesis import example, given
from hypothesis import strategies as st

from foobar_api import http1
from foobar_api.answer import Refused
from foobar_api.connection import Connection
from foobar_api.settings import Settings, load

SETTINGS = load([], {})


class Pieces:
    """A connection on which ``data`` arrives in pieces of ``size`` bytes."""

    evicted = False
    held = 0

    def __init__(self, data: bytes, size: int = 2**16) -> None:
        self._pieces = [data[at : at + size] for at in range(0, len(data), size)]
        self.sent = b""

    def recv(self, _: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def sendall(self, data: bytes) -> None:
        self.sent += data


def read(data: bytes, size: int = 2**16, settings: Settings = SETTINGS) -> http1.Request | None:
    unreader = http1.Unreader(cast(Connection, Pieces(data, size)), settings)
    head = unreader.read_head()
    return None if head is None else http1.Request(head, unreader)


PARTS = st.sampled_from([
    b"\r\n", b"\r", b"\n", b"\0", b" ", b"\t", b":", b"_", b",", b"/", b"*", b"#", b"?", b"http://a",
    b"\x7f", b"\x85", b"\xff", b"HTTP/1.0", b"GET", b"CONNECT", b"OPTIONS", b"0", b"chunked",
    b"\r\n folded", b"\r\nX : 1", b"\r\n:", b"\r\nX: 1", b"\r\nX_Y: 1", b"\r\nHost: b",
    b"\r\nContent-Length: 3", b"\r\nContent-Length: +3", b"\r\nTransfer-Encoding: chunked",
    b"\r\nConnection: close", b"\r\nConnection: keep-alive, x", b"\r\nExpect: 100-continue",
    b"\r\nExpect: x",
])  # fmt: skip
HEAD = b"GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: x/y\r\n\r\n"


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A good head with up to three strange things in it."""
    head = HEAD
    for part in draw(st.lists(PARTS, max_size=3)):
        ends = [at for at in range(len(head)) if head.startswith(b"\r\n", at)]
        at = draw(st.sampled_from(ends) | st.integers(0, len(head)))
        head = head[:at] + part + head[at + draw(st.sampled_from([0, 0, 1])) :]
    return head


@given(heads())
@example(HEAD)
@example(b"\r\n" + HEAD)
def test_gunicorn_reads_the_same_of_each_request_that_is_accepted(head: bytes) -> None:
    """Two readers that differ are what request smuggling is made of."""
    try:
        ours = read(head)
    except Refused:
        return
    if ours is None:
        return
    cfg = Config()
    cfg.set("forwarded_allow_ips", "")
    theirs = GunicornRequest(cfg, IterUnreader([head]), ("192.0.2.1", 1))
    assert (ours.method, ours.target) == (theirs.method, theirs.uri)
    assert (ours.path, ours.query) == (theirs.path, theirs.query)
    fields: dict[str, list[str]] = {}
    for name, value in theirs.headers:
        fields.setdefault(name, []).append(value)
    if "://" in ours.target:
        del ours.fields["HOST"], fields["HOST"]  # that of the target wins here
    assert ours.fields == {name: ",".join(values) for name, values in fields.items()}
    # Without a length it is chunked, and without a reader there is no body.
    length = getattr(ours._reader, "length", None) if ours._reader else 0
    assert length == getattr(theirs.body.reader, "length", None)
    assert ours.should_close() or not theirs.should_close()


def test_a_head_is_the_same_however_it_arrives() -> None:
    for size in range(1, len(HEAD)):
        request = read(HEAD, size)
        assert request
        assert (request.method, request.path, request.query) == ("GET", "/a", "b")
        assert request.fields == {"HOST": "a", "ACCEPT": "x/y"}


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\r\n\r\n" + HEAD, b"x" * 9000 + b"\r\n\r\n"])
def test_a_head_without_a_request_line_is_refused_for_that(data: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read(data)
    assert refused.value.answer.status == (414 if len(data) > 8000 else 400)


def response(*headers: tuple[str, str], method: bytes = b"GET") -> tuple[http1.Response, Pieces]:
    request = read(HEAD.replace(b"GET", method))
    assert request
    connection = Pieces(b"")
    made = http1.Response(request, cast(Connection, connection))
    made.start_response("200 OK", list(headers))
    return made, connection


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "a\x7fb"])
def test_a_header_of_the_app_never_breaks_out_of_its_line(value: str) -> None:
    for header in (("X", value), (value, "x")):
        with pytest.raises(ValueError, match="control character"):
            response(header)


def test_no_more_of_a_body_leaves_than_was_announced() -> None:
    made, connection = response(("Content-Length", "3"))
    for piece in (b"ab", b"cd", b"ef"):
        made.write(piece)
    made.close()
    assert connection.sent.endswith(b"\r\n\r\nabc")
    assert not made.should_close()


def test_a_body_that_is_too_short_ends_its_connection() -> None:
    made, connection = response(("Content-Length", "3"))
    made.write(b"ab")
    assert b"Connection: keep-alive\r\n" in connection.sent
    made.close()
    assert made.should_close()


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    made, connection = response()
    made.write(b"abc")
    made.close()
    assert made.should_close()
    assert b"Connection: close\r\n" in connection.sent


def test_the_answer_to_head_has_no_body() -> None:
    made, connection = response(("Content-Length", "3"), method=b"HEAD")
    made.write(b"abc")
    made.close()
    assert connection.sent.endswith(b"Content-Length: 3\r\n\r\n")
    assert (made.sent, made.should_close()) == (0, False)
