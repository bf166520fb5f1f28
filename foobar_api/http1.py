"""HTTP/1 requests: gunicorn reads them, and this module names whose mistake a bad one is.

A client's mistake never looks like a failure of the app. What the parser refuses, in the head of a
request or later in its body, becomes a Refused with its status; a client that stops sending in the
middle of a body becomes ClientLeft.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from gunicorn.http import body, errors, message, parser, wsgi
from gunicorn.util import http_date

from foobar_api.answer import Answer, ClientLeft, Refused, send

SHOWN: Final = 200
"""Characters of an error that the client sees: enough to find the mistake, too few to reflect."""

_UNREAD: Final = frozenset({400, 408, 413, 414, 431})
"""Answers to requests whose end may never come: the connection closes behind them."""

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


class Body(body.Body):
    """A request's body, which raises Refused, ClientLeft, TimeoutError and OSError."""

    def _read_reader(self, size: int) -> bytes:
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
    body: Body

    def set_body_reader(self) -> None:
        super().set_body_reader()
        self.body = Body(self.body.reader)

    @property
    def is_read(self) -> bool:
        """Whether the next byte of the connection belongs to another request."""
        reader = self.body.reader
        if isinstance(reader, body.ChunkedReader):
            return reader.parser is None
        return bool(reader.length == 0)


class Parser(parser.RequestParser):
    mesg_class = Request

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool:
        """Whether the rest of the body could be skipped."""
        try:
            return bool(super().finish_body(deadline, max_bytes))
        except Refused:
            return False  # its request has an answer already


class Response(wsgi.Response):
    def should_close(self) -> bool:
        return self.upgrade or self.status_code in _UNREAD or super().should_close()
