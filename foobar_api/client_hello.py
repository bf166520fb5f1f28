"""What a client says first in TLS: the name of the server it wants, and the protocols it speaks.

Python's ssl is of no use for either. It prints a traceback when a name is not ASCII, and it goes on
without a protocol when it shares none with the client, which RFC 7301 section 3.2 forbids. OpenSSL
still judges everything else, so a message that makes no sense here has neither name nor protocols.

Source: RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301 section 3.1.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

NO_APPLICATION_PROTOCOL: Final = b"\x15\x03\x03\x00\x02\x02\x78"
"""The fatal alert to a client that shares no protocol, as a record before there are any keys."""

LONGEST: Final = 2**16
"""Bytes of records in which a message is looked for; those of browsers have 2 KiB."""

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0
_ALPN: Final = 16


class NoCommonProtocolError(ssl.SSLError):
    """As OpenSSL would raise it, if Python had it refuse such a client."""

    reason = "NO_APPLICATION_PROTOCOL"


@dataclass(frozen=True, slots=True)
class ClientHello:
    server_name: str | None = None
    """Bytes that are not ASCII are shown as escapes."""
    protocols: tuple[str, ...] = ()
    """Those offered by ALPN; none of a client that does without it."""


def parse(data: bytes) -> ClientHello | None:
    """The message at the start of ``data``; None while more bytes are needed."""
    try:
        message = _message(data)
        return None if message is None else _read(message)
    except _MalformedError:
        return ClientHello()


class _MalformedError(ValueError):
    pass


class _Reader:
    """Reads fields of a fixed length, and vectors that begin with theirs."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if len(found) < size:
            raise _MalformedError
        self._at += size
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> bytes:
        """With a length of ``size`` bytes."""
        return self.take(self.number(size))


def _message(data: bytes) -> bytes | None:
    """The first handshake message, out of as many records as it comes in."""
    if len(data) > LONGEST:
        raise _MalformedError
    message = b""
    at = 0
    while at < len(data):
        if data[at] != _HANDSHAKE:
            raise _MalformedError
        end = at + 5 + int.from_bytes(data[at + 3 : at + 5])
        if len(data) < max(end, at + 5):
            return None
        message += data[at + 5 : end]
        at = end
        if message[:1] not in {b"", bytes([_CLIENT_HELLO])}:
            raise _MalformedError
        if len(message) >= 4 and len(message) >= (whole := 4 + int.from_bytes(message[1:4])):
            return message[4:whole]
    return None


def _read(message: bytes) -> ClientHello:
    reader = _Reader(message)
    reader.take(2 + 32)  # version, random
    reader.vector(1)  # session
    reader.vector(2)  # ciphers
    reader.vector(1)  # compressions
    name: str | None = None
    protocols: tuple[str, ...] = ()
    extensions = _Reader(reader.vector(2)) if reader else _Reader(b"")
    while extensions:
        kind, content = extensions.number(2), _Reader(extensions.vector(2))
        if kind == _SERVER_NAME:
            name = _host_name(_Reader(content.vector(2)))
        elif kind == _ALPN:
            protocols = tuple(_protocols(_Reader(content.vector(2))))
    return ClientHello(name, protocols)


def _host_name(names: _Reader) -> str | None:
    while names:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME:
            return name.decode("ascii", "backslashreplace")
    return None


def _protocols(reader: _Reader) -> Iterator[str]:
    while reader:
        yield reader.vector(1).decode("latin-1")
