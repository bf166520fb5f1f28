"""HTTP/1 requests: gunicorn parses them, and this module holds them to RFC 9110 and RFC 9112.

A client's mistake never looks like a failure of the app. A request that breaks the rules, in its
head or later in its body, becomes a Refused with its status. A client that stops sending in the
middle of a body becomes ClientLeft.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final

from gunicorn.http import errors, message, parser, wsgi
from gunicorn.http.body import Body as GunicornBody
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.unreader import SocketUnreader
from gunicorn.util import http_date

from foobar_api.answer import Answer, ClientLeft, Refused, send
from foobar_api.connection import RAW_CHUNK
from foobar_api.settings import Settings

if TYPE_CHECKING:
    from gunicorn.config import Config

    from foobar_api.connection import Connection

FIELD: Final = 256
"""Bytes that a header field takes in memory beside its characters, measured."""
SHOWN: Final = 200
"""Characters of an error that its client gets to see: enough to find the mistake."""

_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)"
    r"(?::\d{0,5})?",
    re.ASCII,
)
_ABSOLUTE: Final = re.compile(r"https?://(?P<authority>[^/?#]+)", re.IGNORECASE)
_UPGRADE: Final = "Connection: upgrade"

_UNREAD: Final = frozenset({400, 408, 413, 414, 431})
"""Answers to requests whose end may never come: the connection closes behind them."""

_HEAD_END: Final = b"\r\n\r\n"
_BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")

_STATUS: Final = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
"""Of the errors that are not 400."""


def refusal(error: errors.ParseException) -> Refused:
    """The answer to a request that breaks HTTP/1."""
    status = _STATUS.get(type(error), HTTPStatus.BAD_REQUEST)
    return Refused(status, str(error)[:SHOWN])


def closing(answer: Answer, request_id: str) -> bytes:
    """``answer`` as a response that no request leads to, and that ends its connection."""
    head: list[str] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _: object = None, /
    ) -> Callable[[bytes], object]:
        head.append(f"HTTP/1.1 {status}")
        head.extend(f"{name}: {value}" for name, value in headers)
        return lambda data: None

    pieces = send(answer, start_response, head=False, request_id=request_id)
    head += [f"Date: {http_date()}", "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1") + b"".join(pieces)


def is_authority(text: str) -> bool:
    """Whether ``text`` is a host, with or without a port (RFC 3986, 3.2)."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return False
    try:
        return not match["literal"] or bool(IPv6Address(match["literal"]))
    except ValueError:
        return False


def _members(text: str) -> list[str]:
    """The members of a list, in lower case."""
    return [member.strip(" \t") for member in text.lower().split(",")]


class Unreader(SocketUnreader):
    """What was read of a connection, and what was not asked for yet."""

    def __init__(self, sock: "Connection", *, max_line: int, max_head: int) -> None:
        super().__init__(sock, max_chunk=RAW_CHUNK)
        self.max_line = max_line
        self.max_head = max_head

    def wait_for_head(self) -> None:
        """Read until a request's head is complete, or until nothing can make it valid.

        gunicorn's parser starts again from the first byte whenever a piece arrives, so it gets all
        of them together. It also finds the fault, except that it has no limit for a head as a
        whole. Raises LimitRequestHeaders, TimeoutError and OSError.
        """
        head = self.take_buffered()
        end = head.find(_HEAD_END)
        if end < 0:
            head, end = self._read_head(bytearray(head))
        self.unread(head)
        fields = head.count(b"\r\n", 0, end) if end > 0 else 0
        # A complete head is kept as it came, or for WSGI with repeated fields joined, or both.
        self.sock.held = len(head) + (end + FIELD * fields if fields else 0)
        if (len(head) if end < 0 else end) > self.max_head and self._has_line(head):
            raise errors.LimitRequestHeaders(f"line and fields above {self.max_head} bytes")

    def _read_head(self, head: bytearray) -> tuple[bytearray, int]:
        """What was read, and where the head ends in it; -1 if it does not."""
        searched = 0
        while (
            (end := head.find(_HEAD_END, searched)) < 0
            and not _BARE_LINE_FEED.search(head, searched)
            and len(head) <= self.max_head
            and self._has_line(head)
        ):
            searched = max(len(head) - len(_HEAD_END) + 1, 0)
            piece = self.sock.recv(self.mxchunk)
            if not piece:
                break
            head += piece
            self.sock.held = len(head)
        return head, end

    def chunk(self, size_hint: int | None = None) -> bytes:
        data: bytes = super().chunk(size_hint)
        self.sock.held += len(data)
        return data

    def _has_line(self, head: bytes | bytearray) -> bool:
        """Whether the request line is within its limit, as far as it has come."""
        line_limit = len(b"\r\n") + self.max_line + len(b"\r\n")  # an empty line may precede it
        return len(head) <= line_limit or head.find(b"\r\n", 2, line_limit) >= 0


class Body(GunicornBody):
    """A request's body, which raises Refused, ClientLeft, TimeoutError and OSError."""

    def __init__(self, reader: object, invite: Callable[[], object] | None = None) -> None:
        """``invite`` tells a client that waits for it to send the body."""
        super().__init__(reader)
        self.invite = invite

    def _read_reader(self, size: int) -> bytes:
        if self.invite:
            self.invite()
            self.invite = None
        length = getattr(self.reader, "length", 0)
        try:
            data: bytes = super()._read_reader(size)
        except errors.ChunkMissingTerminator as error:
            if len(error.term) < len(b"\r\n"):  # gunicorn means the end of the connection
                raise ClientLeft("left within a chunked body") from None
            raise refusal(error) from None
        except errors.ParseException as error:
            raise refusal(error) from None
        if len(data) < min(size, length):
            self.failed = True
            raise ClientLeft(f"left with {length - len(data)} bytes of the body to come")
        return data


class Request(message.Request):
    """A request as RFC 9112 has it, where gunicorn is more lenient."""

    body: Body
    headers: list[tuple[str, str]]
    version: tuple[int, int]
    _expected_100_continue: bool

    def parse(self, unreader: Unreader) -> bytes:
        # For trailers, which gunicorn holds to the limits of all fields together.
        self.max_buffer_headers = unreader.max_head
        rest: bytes = super().parse(unreader)
        # A later minor version is served as the latest that is known (RFC 9110, 2.5).
        self.version = min(self.version, (1, 1))
        host = None
        options = codings = ""
        for name, value in self.headers:
            if name == "HOST":
                host = value
            elif name == "CONNECTION":
                options = f"{options},{value}" if options else value
            elif name == "TRANSFER-ENCODING":
                codings = f"{codings},{value}" if codings else value
        self._judge_host(host)
        self._judge_connection(options)
        if codings:
            self._judge_codings(_members(codings))
        return rest

    def _peer_is_trusted_proxy(self) -> bool:
        """Nobody's X-Forwarded headers count. Looking that up took an eighth of the parsing."""
        return False

    def _judge_host(self, host: str | None) -> None:
        """Refuse a host that is missing or none; that of an absolute target wins (3.2)."""
        if host is None:
            if self.version >= (1, 1):
                raise errors.InvalidHeader("HOST, which is missing")
        elif not is_authority(host):
            raise errors.InvalidHeader("HOST")
        if self.uri[0] in "/*" or self.method == "CONNECT":
            return
        target = _ABSOLUTE.match(self.uri)
        if not target or not is_authority(target["authority"]):
            raise errors.InvalidRequestLine(self.uri)
        self.headers = [("HOST", target["authority"])] + [
            field for field in self.headers if field[0] != "HOST"
        ]

    def _judge_connection(self, options: str) -> None:
        """Close if any of the options says so (9.3)."""
        members = _members(options)
        persists = self.version >= (1, 1) or "keep-alive" in members
        if "close" in members or not persists or self.method == "CONNECT":
            self.force_close()

    def _judge_codings(self, codings: list[str]) -> None:
        """Refuse all but chunked (6.1), and a body whose end cannot be known (6.3)."""
        if codings[-1] != "chunked" or codings.count("chunked") > 1:
            raise errors.InvalidHeader("TRANSFER-ENCODING")
        if len(codings) > 1:
            raise errors.UnsupportedTransferCoding(", ".join(codings))

    def set_body_reader(self) -> None:
        super().set_body_reader()
        waits = self._expected_100_continue and not self._is_at_end(self.body.reader)
        # gunicorn would invite the body of a request that is about to be refused.
        self._expected_100_continue = False
        self.body = Body(self.body.reader, self._invite if waits else None)

    def _invite(self) -> None:
        self.unreader.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def should_close(self) -> bool:
        # A client that was not invited may send its body or may not.
        return bool(self.must_close or self.body.invite)

    @property
    def is_read(self) -> bool:
        """Whether the next byte of the connection belongs to another request."""
        return self._is_at_end(self.body.reader)

    @staticmethod
    def _is_at_end(reader: ChunkedReader | LengthReader) -> bool:
        if isinstance(reader, ChunkedReader):
            return reader.parser is None
        return bool(reader.length == 0)


class Parser(parser.RequestParser):
    mesg_class = Request
    unreader: Unreader
    mesg: Request | None

    def __init__(self, cfg: "Config", connection: "Connection", settings: Settings) -> None:
        super().__init__(cfg, connection, connection.session.client)
        self.unreader = Unreader(connection, max_line=settings.max_line, max_head=settings.max_head)

    def __next__(self) -> Request:
        """The next request. Raises ParseException, NoMoreData, StopIteration and OSError."""
        self.unreader.wait_for_head()
        request: Request = super().__next__()
        return request

    def forget(self) -> None:
        """Free the request. What reads a chunked body and the request refer to each other."""
        request, self.mesg = self.mesg, None
        reader = None if request is None else getattr(request.body, "reader", None)
        if isinstance(reader, ChunkedReader):
            reader.req = None
            if reader.parser:
                reader.parser.close()

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool:
        """Whether the rest of the body could be skipped."""
        try:
            return bool(super().finish_body(deadline, max_bytes))
        except Refused:
            return False  # its request has an answer already


class Response(wsgi.Response):
    def should_close(self) -> bool:
        return (
            self.upgrade
            or self.status_code in _UNREAD
            or self.sock.evicted
            or super().should_close()
        )

    def default_headers(self) -> list[str]:
        headers: list[str] = super().default_headers()
        if self.upgrade and self.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            # It names what the client may upgrade to, and gunicorn leaves out that it closes.
            headers = [each.replace(_UPGRADE, f"{_UPGRADE}, close") for each in headers]
        return headers
