"""What a client says first in TLS: the name of the server it wants, and the protocols it speaks.

Python's ssl is of no use for either. It prints a traceback when a name is not ASCII, and it goes on
without a protocol when it shares none with the client, which RFC 7301 section 3.2 forbids. OpenSSL
still judges everything else, so a message that makes no sense here has neither name nor protocols.

Source: RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301 section 3.1.
"""

import ssl
import struct
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

_NUMBER: Final = struct.Struct("!H")
_EXTENSION: Final = struct.Struct("!HH")
"""Kind and length."""
_NAME: Final = struct.Struct("!BH")
"""Kind and length."""


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
    try:
        at = 2 + 32  # behind version and random
        at += 1 + message[at]  # session
        at += 2 + _NUMBER.unpack_from(message, at)[0]  # ciphers
        at += 1 + message[at]  # compressions
        if at == len(message):
            return ClientHello()
        end = at + 2 + _NUMBER.unpack_from(message, at)[0]
        extensions = dict(_extensions(message, at + 2, end))
        name, protocols = extensions.get(_SERVER_NAME), extensions.get(_ALPN)
        return ClientHello(
            _host_name(name) if name is not None else None,
            tuple(_protocols(protocols)) if protocols is not None else (),
        )
    except (IndexError, struct.error):
        raise _MalformedError from None


def _extensions(message: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    while at < end:
        kind, size = _EXTENSION.unpack_from(message, at)
        at += _EXTENSION.size + size
        yield kind, message[at - size : at]
    if at > min(end, len(message)):
        raise _MalformedError


def _list(content: bytes) -> bytes:
    """The members of a list, which begins with its length. Raises _MalformedError."""
    members = content[2:]
    size: int = _NUMBER.unpack_from(content)[0]
    if size > len(members):
        raise _MalformedError
    return members[:size]


def _host_name(content: bytes) -> str | None:
    names = _list(content)
    at = 0
    while at < len(names):
        kind, size = _NAME.unpack_from(names, at)
        at += _NAME.size + size
        if at > len(names):
            raise _MalformedError
        if kind == _HOST_NAME:
            return names[at - size : at].decode("ascii", "backslashreplace")
    return None


def _protocols(content: bytes) -> Iterator[str]:
    protocols = _list(content)
    at = 0
    while at < len(protocols):
        end = at + 1 + protocols[at]
        if end > len(protocols):
            raise _MalformedError
        yield protocols[at + 1 : end].decode("latin-1")
        at = end
