"""HTTP/1 by RFC 9112: reads a request off a connection, and frames its response.

A client's mistake never looks like a failure of the app. A request that breaks the rules, in its
head or later in its body, becomes a Refused with its status. A client that stops sending in the
middle of a body becomes ClientLeft. gunicorn decodes chunks; the rest of its parser is not used,
because it starts again from the first byte whenever a piece of a head arrives, and takes three
times as long for one that arrives whole.
"""

import io
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from gunicorn import SERVER
from gunicorn.http import errors
from gunicorn.http.body import Body as GunicornBody
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.message import RFC9110_6_5_1_FORBIDDEN_TRAILER
from gunicorn.http.unreader import SocketUnreader

from foobar_api import gateway, request
from foobar_api.answer import Answer, ClientLeft, Refused, send
from foobar_api.connection import RAW_CHUNK
from foobar_api.request import FIELD, TOKEN, combined, malformed, too_large

if TYPE_CHECKING:
    from foobar_api.connection import Connection
    from foobar_api.settings import Settings

_LINE: Final = re.compile(r"([^ ]+) ([^ ]+) HTTP/1\.([0-9])")
_LENGTH: Final = re.compile(r"[0-9]{1,1000}")
_LINE_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")
_TEXT: Final = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
"""What lines consist of (RFC 9110 section 5.5)."""

_UNREAD: Final = frozenset({400, 408, 413, 414, 431})
"""Answers to requests whose end may never come: the connection closes behind them."""


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
    head += [f"Date: {gateway.date()}", "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1") + b"".join(pieces)


class Unreader(SocketUnreader):
    """What was read of a connection, and what was not asked for yet."""

    def __init__(self, connection: "Connection", settings: "Settings") -> None:
        super().__init__(connection, max_chunk=RAW_CHUNK)
        self.settings = settings

    def read_head(self, start: bytes = b"") -> bytes | None:
        """A request's line and fields; None if the client leaves before they are complete.

        ``start`` was read already, when nothing else was left. Raises Refused, TimeoutError and
        OSError.
        """
        head: bytes = start or self.take_buffered()
        end = head.find(_HEAD_END)
        if end < 0:
            head = self._rest_of_head(bytearray(head))
            end = head.find(_HEAD_END)
            if end < 0:
                return None
        # A head is kept as it came, and for WSGI, and each field has an object of its own.
        self.sock.held = len(head) + end + FIELD * head.count(_LINE_END, 0, end)
        if rest := head[end + len(_HEAD_END) :]:
            self.buf.write(rest)
        head = head[:end].removeprefix(_LINE_END)  # one may precede a request (section 2.2)
        line = head.find(_LINE_END)
        if (len(head) if line < 0 else line) > self.settings.max_line:
            raise self._line_too_long()
        if len(head) > self.settings.max_head:
            raise self._head_too_large()
        return head

    def _rest_of_head(self, head: bytearray) -> bytes:
        searched = 0
        longest_line = len(_LINE_END) + self.settings.max_line + len(_LINE_END)
        while head.find(_HEAD_END, searched) < 0:
            if _BARE_LINE_FEED.search(head, searched):
                raise Refused(HTTPStatus.BAD_REQUEST, "a line ends with LF alone")
            if len(head) > longest_line and head.find(_LINE_END, 2, longest_line) < 0:
                raise self._line_too_long()
            if len(head) > self.settings.max_head:
                raise self._head_too_large()
            searched = max(len(head) - len(_HEAD_END) + 1, 0)
            piece = self.chunk()
            if not piece:
                break
            head += piece
            self.sock.held = len(head)
        return bytes(head)

    def chunk(self, size_hint: int | None = None) -> bytes:
        data: bytes = super().chunk(size_hint)
        self.sock.held += len(data)
        return data

    def _line_too_long(self) -> Refused:
        return Refused(
            HTTPStatus.REQUEST_URI_TOO_LONG,
            f"the request line has more than {self.settings.max_line} bytes",
        )

    def _head_too_large(self) -> Refused:
        return too_large(f"line and fields have more than {self.settings.max_head} bytes")


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
            if len(error.term) < len(_LINE_END):  # gunicorn means the end of the connection
                raise ClientLeft("left within a chunked body") from None
            raise malformed("the chunk", str(error)) from None
        except errors.LimitRequestHeaders as error:
            raise too_large(str(error)) from None
        except errors.NoMoreData:
            raise ClientLeft("left within a chunked body") from None
        except errors.ParseException as error:
            raise malformed("the body", str(error)) from None
        if len(data) < min(size, length):
            self.failed = True
            raise ClientLeft(f"left with {length - len(data)} bytes of the body to come")
        return data


class _Chunked:
    """What gunicorn's reader of chunks wants of a request: its limits, and to judge trailers."""

    trailers = None

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self.limit_request_field_size = settings.max_header
        self.max_buffer_headers = settings.max_head

    def parse_headers(self, data: bytes, *, from_trailer: bool) -> None:  # noqa: ARG002
        """Check trailers, of which the app gets none. Raises Refused."""
        fields = _fields(data, data.decode("latin-1").split("\r\n"), self._settings)
        if forbidden := fields.keys() & RFC9110_6_5_1_FORBIDDEN_TRAILER:
            raise malformed("the trailer section", ", ".join(forbidden))


class Request(request.Request):
    """A request as RFC 9112 has it."""

    __slots__ = ("_closes", "_reader", "_unreader")

    def __init__(self, head: bytes, unreader: Unreader) -> None:
        """``head`` ends before its last line end. Raises Refused."""
        line, *lines = head.decode("latin-1").split("\r\n")
        match = _LINE.fullmatch(line)
        if not match:
            raise malformed("the request line", line)
        method, target, minor = match.groups()
        fields = _fields(head, lines, unreader.settings)
        # A later minor version is served as the latest that is known (RFC 9110, 2.5).
        self.protocol = "HTTP/1.0" if minor == "0" else "HTTP/1.1"
        persists = minor != "0"
        if persists and "HOST" not in fields:
            raise Refused(HTTPStatus.BAD_REQUEST, "Host is missing")
        super().__init__(method, target, fields)
        if "CONNECTION" in fields:
            options = _members(fields["CONNECTION"])
            persists = "close" not in options and (persists or "keep-alive" in options)
        self._closes = not persists or method == "CONNECT"
        self._unreader = unreader
        self._reader = self._body_reader()
        if self._reader is None:
            self.body = io.BytesIO()
        else:
            waits = minor != "0" and "EXPECT" in fields and not self.is_read
            self.body = Body(self._reader, self._invite if waits else None)

    def _body_reader(self) -> ChunkedReader | LengthReader | None:
        """What frames the body (6.1, 6.3)."""
        length = self.fields.get("CONTENT-LENGTH")
        coding = self.fields.get("TRANSFER-ENCODING")
        if coding is not None:
            codings = _members(coding)
            if codings[-1] != "chunked" or codings.count("chunked") > 1:
                raise malformed("Transfer-Encoding", coding)
            if self.protocol == "HTTP/1.0" or length is not None:
                raise Refused(
                    HTTPStatus.BAD_REQUEST,
                    "Transfer-Encoding may be neither in HTTP/1.0 nor beside Content-Length",
                )
            if len(codings) > 1:
                raise Refused(HTTPStatus.NOT_IMPLEMENTED, "no transfer coding but chunked is known")
            return ChunkedReader(_Chunked(self._unreader.settings), self._unreader)
        if length is None:
            return None
        if not _LENGTH.fullmatch(length):
            raise malformed("Content-Length", length)
        return LengthReader(self._unreader, int(length))

    def _invite(self) -> None:
        self._unreader.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def take_rest(self) -> bytes:
        """What was read behind the request, which belongs to another protocol from here on."""
        rest: bytes = self._unreader.take_buffered()
        return rest

    def should_close(self) -> bool:
        # A client that was not invited may send its body or may not.
        return self._closes or (isinstance(self.body, Body) and bool(self.body.invite))

    @property
    def is_read(self) -> bool:
        """Whether the next byte of the connection belongs to another request."""
        reader = self._reader
        if reader is None:
            return True
        if isinstance(reader, ChunkedReader):
            return reader.parser is None
        return bool(reader.length == 0)

    def skip_body(self, most: int) -> bool:
        """Whether the rest of the body could be skipped. Raises OSError."""
        while not self.is_read:
            if most <= 0 or (isinstance(self.body, Body) and self.body.failed):
                return False
            try:
                most -= len(self.body.read(io.DEFAULT_BUFFER_SIZE))
            except (Refused, TimeoutError):
                return False  # its request has an answer already
        return True


def _fields(data: bytes, lines: list[str], settings: "Settings") -> dict[str, str]:
    """The fields in ``lines``, which are the end of ``data``. Raises Refused."""
    # What is left without text are the line ends. If a CR or LF stood alone, there were more.
    ends = data.translate(None, _TEXT)
    if ends != _LINE_END * data.count(_LINE_END):
        raise Refused(HTTPStatus.BAD_REQUEST, "there is a control character in the fields")
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.fullmatch(name):
            raise malformed("the field", line)
        pairs.append((name.upper(), value.strip(" \t")))
    return combined(pairs, settings)


def _members(text: str) -> list[str]:
    """The members of a list, in lower case."""
    return [member.strip(" \t") for member in text.lower().split(",")]


class Response(gateway.Response):
    """Sends a response. Without a length it ends with its connection."""

    def __init__(self, request: Request, connection: "Connection", *, closes: bool = False) -> None:
        super().__init__(request)
        self._request = request
        self._connection = connection
        self._closes = closes

    def should_close(self) -> bool:
        return (
            self._closes
            or self._connection.evicted
            or self.upgrade
            or self.code in _UNREAD
            or (self.length is None and not self.without_body)
            or self._request.should_close()
        )

    def close(self) -> None:
        super().close()
        self._closes = self._closes or self.is_short

    def _send(self, data: bytes) -> None:
        if not self.headers_sent:
            self.headers_sent = True
            data = self._head() + data
            if self.upgrade and self.code == HTTPStatus.SWITCHING_PROTOCOLS:
                self._connection.unread(self._request.take_rest())
        if data:
            self._connection.sendall(data)

    def _head(self) -> bytes:
        if self.upgrade:
            switches = self.code == HTTPStatus.SWITCHING_PROTOCOLS
            # Otherwise it names what the client may upgrade to.
            option = "upgrade" if switches else "upgrade, close"
        else:
            option = "close" if self.should_close() else "keep-alive"
        fields = "".join([f"{name}: {value}\r\n" for name, value in self.fields])
        return (
            f"{self._request.protocol} {self.status}\r\nServer: {SERVER}\r\n"
            f"Date: {gateway.date()}\r\nConnection: {option}\r\n{fields}\r\n"
        ).encode("latin-1")
