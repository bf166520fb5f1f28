"""A client's request as the app gets it, by the rules that HTTP/1 and HTTP/2 share (RFC 9110)."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from foobar_api.answer import Refused

if TYPE_CHECKING:
    from foobar_api.settings import Settings

SHOWN: Final = 200
"""Characters of a mistake that its client gets to see: enough to find it."""

FIELD: Final = 256
"""Bytes that a field takes in memory beside its characters; measured."""
TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_METHOD: Final = re.compile(r"[!$%&'*+\-.^_`|~0-9A-Z]{3,20}")
"""Narrower than RFC 9110 section 9.1, and wide enough for all that are registered."""
_TARGET: Final = re.compile(r"[\x21-\x7e]+")
_ABSOLUTE: Final = re.compile(r"https?://(?P<authority>[^/?#]+)", re.IGNORECASE)
_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)"
    r"(?::(?P<port>\d{0,5}))?",
    re.ASCII,
)
MAX_PORT: Final = 65535
_SINGLE: Final = frozenset({"HOST", "CONTENT-TYPE", "CONTENT-LENGTH"})
"""Fields that are no lists (RFC 9110 section 5.3): two of them may be read in two ways."""


class Body(Protocol):
    """``wsgi.input``. Raises Refused, ClientLeft, TimeoutError and OSError."""

    def read(self, size: int = ..., /) -> bytes: ...


class Request:
    """A request whose head has been read."""

    __slots__ = ("body", "fields", "method", "path", "protocol", "query", "target")

    body: Body
    protocol: str
    """``HTTP/1.0``, ``HTTP/1.1`` or ``HTTP/2.0``."""

    def __init__(self, method: str, target: str, fields: dict[str, str]) -> None:
        """``fields`` are by names in upper case. Raises Refused."""
        if not _METHOD.fullmatch(method):
            raise malformed("the method", method)
        if not _TARGET.fullmatch(target):
            raise malformed("the target", target)
        self.method = method
        self.target = target
        self.fields = fields
        if (host := fields.get("HOST")) is not None and not is_authority(host):
            raise malformed("Host", host)
        if target[0] == "/":
            self.path, _, self.query = target.partition("#")[0].partition("?")
        else:
            self._read_other_target()
        if fields.get("EXPECT", "100-continue").lower() != "100-continue":
            raise Refused(HTTPStatus.EXPECTATION_FAILED, "expects more than 100-continue")

    def _read_other_target(self) -> None:
        """A target that is no path; the host of an absolute one wins (RFC 9112 section 3.2.2)."""
        self.path, self.query = self.target, ""
        if self.method == "CONNECT" or (self.target == "*" and self.method == "OPTIONS"):
            return
        match = _ABSOLUTE.match(self.target)
        if not match or not is_authority(match["authority"]):
            raise malformed("the target", self.target)
        self.fields["HOST"] = match["authority"]
        try:
            _, _, self.path, self.query, _ = urlsplit(self.target)
        except ValueError:
            raise malformed("the target", self.target) from None


def combined(fields: Iterable[tuple[str, str]], settings: "Settings") -> dict[str, str]:
    """Fields by their names, in upper case, and repeated ones as one. Raises Refused.

    A name with an underscore is left out: in WSGI it would be the same as one with a hyphen.
    """
    found: dict[str, str] = {}
    count = 0
    for name, value in fields:
        count += 1
        if len(name) + len(value) + len(": \r\n") > settings.max_header:
            raise too_large(f"a field has more than {settings.max_header} bytes")
        if name not in found:
            if "_" not in name:
                found[name] = value
        elif name in _SINGLE:
            raise Refused(HTTPStatus.BAD_REQUEST, f"{name.title()} is repeated")
        else:
            found[name] += f"; {value}" if name == "COOKIE" else f",{value}"
    if count > settings.max_headers:
        raise too_large(f"there are more than {settings.max_headers} fields")
    return found


def malformed(what: str, found: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, f"{what} is malformed: {found[:SHOWN]!r}")


def too_large(says: str) -> Refused:
    return Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, says)


def is_authority(text: str) -> bool:
    """Whether ``text`` is a host, with or without a port (RFC 3986, 3.2)."""
    match = _AUTHORITY.fullmatch(text)
    if match is None or int(match["port"] or 0) > MAX_PORT:
        return False
    try:
        return not match["literal"] or bool(IPv6Address(match["literal"]))
    except ValueError:
        return False
