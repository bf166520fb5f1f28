"""What is answered to a request, and how it goes out by WSGI."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

TEXT: Final = "text/plain"
HTML: Final = "text/html"
JSON: Final = "application/json"
YAML: Final = "application/yaml"

_ALWAYS: Final = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))
_LINES: Final = {int(status): f"{int(status)} {status.phrase}" for status in HTTPStatus}
_WITHOUT_CONTENT: Final = frozenset(
    int(status) for status in HTTPStatus if status < HTTPStatus.OK
) | {int(HTTPStatus.NO_CONTENT)}


@dataclass(slots=True)
class Answer:
    """A response: ``body`` is all of it, or pieces that take time."""

    body: bytes | Iterable[bytes] = b""
    media: str = TEXT
    status: HTTPStatus = HTTPStatus.OK
    headers: list[tuple[str, str]] = field(default_factory=list)
    length: int | None = None

    def pieces(self) -> Iterable[bytes]:
        return (self.body,) if isinstance(self.body, bytes) else self.body


class Refused(Exception):  # noqa: N818 - an answer that is not what was asked for
    """A request that gets ``status`` and a sentence."""

    def __init__(
        self, status: HTTPStatus, says: str, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__(says)
        self.answer = Answer(f"{says}\n".encode(), status=status, headers=list(headers))


class ClientLeft(ConnectionError):  # noqa: N818 - what happened, not an error of ours
    """The client went away before its request was complete, and nobody reads an answer."""


@cache
def _content_type(media: str) -> str:
    return f"{media}; charset=utf-8" if media.startswith("text/") else media


def send(
    answer: Answer, start_response: "StartResponse", *, head: bool, request_id: str
) -> Iterable[bytes]:
    """Start the response; the body's pieces, none of them when only the ``head`` was asked for."""
    body, status = answer.body, answer.status
    headers = [*answer.headers, *_ALWAYS, ("X-Request-Id", request_id)]
    if int(status) not in _WITHOUT_CONTENT:
        length = len(body) if isinstance(body, bytes) else answer.length
        if length is not None:
            headers.append(("Content-Length", str(length)))
        headers.append(("Content-Type", _content_type(answer.media)))
    start_response(_LINES[int(status)], headers)
    pieces = answer.pieces()
    if head:
        # Nobody else would close what is not read.
        getattr(pieces, "close", tuple)()
        return ()
    return pieces
