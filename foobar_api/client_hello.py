"""The first message of TLS, read before OpenSSL has it: whom a client asks for, and how.

Python's ssl cannot ask these questions. It prints a traceback when the name of the server is not
ASCII, it goes on without a protocol when it shares none with the client, which RFC 7301 section 3.2
forbids, and before Python 3.15 it cannot choose the groups of the key exchange. OpenSSL judges
everything else, but only in messages that make sense here: one that does not would be one whose
answers to these questions nobody knows.

Source: RFC 8446 sections 4.1.2, 4.2.7, 4.2.8 and 5.1, RFC 6066 section 3, RFC 7301 section 3.1.
"""

import ssl
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 2**16
"""Bytes of records in which a message is looked for; those of browsers have 2 KiB."""

ELLIPTIC: Final = frozenset({23, 24, 25, 29, 30})
"""P-256, P-384, P-521, X25519 and X448: what every OpenSSL 3 speaks. Hybrids with ML-KEM are not
among them, since OpenSSL has them only from 3.5 on; a client that offers one offers a curve too."""

FINITE_FIELD: Final = range(256, 512)
"""The groups of RFC 7919. A key exchange in the largest costs a hundred times one in X25519."""

_HANDSHAKE_FAILURE: Final = 40
_DECODE_ERROR: Final = 50
_NO_APPLICATION_PROTOCOL: Final = 120

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_HOST_NAME: Final = 0
_SERVER_NAME: Final = 0
_SUPPORTED_GROUPS: Final = 10
_ALPN: Final = 16
_KEY_SHARE: Final = 51

_RECORD: Final = struct.Struct("!BHH")
"""Kind, version and length."""
_NUMBER: Final = struct.Struct("!H")
_EXTENSION: Final = struct.Struct("!HH")
"""Kind and length."""
_NAME: Final = struct.Struct("!BH")
"""Kind and length."""
_SHARE: Final = struct.Struct("!HH")
"""Group and length."""


class ClientHelloError(ssl.SSLError):
    """A client that gets no handshake; ``reason`` is written as OpenSSL writes it."""

    def __init__(self, alert: int, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.alert = bytes([21, 3, 3, 0, 2, 2, alert])
        """The fatal alert that tells the client, as a record before there are any keys."""


class _MalformedError(ClientHelloError):
    def __init__(self, reason: str = "MALFORMED_CLIENT_HELLO") -> None:
        super().__init__(_DECODE_ERROR, reason)


@dataclass(frozen=True, slots=True)
class ClientHello:
    server_name: str | None = None
    """Bytes that are not ASCII are shown as escapes."""
    protocols: tuple[str, ...] = ()
    """Those offered by ALPN; none of a client that does without it."""
    groups: tuple[int, ...] | None = None
    """For the key exchange; None if the client leaves the choice to the server, as TLS 1.2 may."""
    key_shares: tuple[int, ...] = ()
    """The groups in which TLS 1.3 can begin at once."""

    def check(self, protocols: Collection[str]) -> None:
        """Refuse a client without any of ``protocols``, or without a curve for the key exchange.

        Raises ClientHelloError. A key share in a finite field is refused whatever is beside it:
        OpenSSL uses the first key share that it can. If it can use none, it asks for one in the
        group that it prefers, and it prefers any curve to a finite field. The second hello, which
        follows then, must hold a key share in that group and no other: OpenSSL sees to it.
        """
        if self.protocols and not set(protocols).intersection(self.protocols):
            raise ClientHelloError(_NO_APPLICATION_PROTOCOL, "NO_APPLICATION_PROTOCOL")
        no_curve = self.groups is not None and ELLIPTIC.isdisjoint(self.groups)
        if no_curve or any(group in FINITE_FIELD for group in self.key_shares):
            raise ClientHelloError(_HANDSHAKE_FAILURE, "NO_SUITABLE_GROUPS")


class Reader:
    """Puts the message together from the pieces that arrive, and looks at each byte once."""

    def __init__(self) -> None:
        self._header = b""  # of a record, while it is incomplete
        self._left = 0  # bytes of the record under way
        self._message = bytearray()
        self._size = 0

    def feed(self, data: bytes) -> ClientHello | None:
        """The message once it is complete; None while more is needed. Raises ClientHelloError."""
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                self._message += piece
            else:
                piece = data[at : at + _RECORD.size - len(self._header)]
                self._begin_record(self._header + piece)
            at += len(piece)
            self._size += len(piece)
            if (message := self._whole()) is not None:
                return _read(message)
            if self._size > LONGEST:
                raise _MalformedError("CLIENT_HELLO_TOO_LONG")
        return None

    def _begin_record(self, header: bytes) -> None:
        if header[0] != _HANDSHAKE:
            raise _MalformedError("NO_TLS_HANDSHAKE")
        if len(header) < _RECORD.size:
            self._header = header
        else:
            self._header = b""
            self._left = _RECORD.unpack(header)[2]

    def _whole(self) -> bytes | None:
        """The message without its header, if all of it is there."""
        message = self._message
        if message and message[0] != _CLIENT_HELLO:
            raise _MalformedError
        if len(message) < 4 or len(message) < (end := 4 + int.from_bytes(message[1:4])):
            return None
        return bytes(message[4:end])


def _read(message: bytes) -> ClientHello:
    try:
        at = 2 + 32  # behind version and random
        at += 1 + message[at]  # session
        at += 2 + _NUMBER.unpack_from(message, at)[0]  # ciphers
        at += 1 + message[at]  # compressions
        if at == len(message):
            return ClientHello()
        end = at + 2 + _NUMBER.unpack_from(message, at)[0]
        # OpenSSL refuses a message that has one of these twice.
        extensions = dict(_entries(_EXTENSION, message, at + 2, end))
        name, protocols = extensions.get(_SERVER_NAME), extensions.get(_ALPN)
        groups, shares = extensions.get(_SUPPORTED_GROUPS), extensions.get(_KEY_SHARE)
        return ClientHello(
            _host_name(name) if name is not None else None,
            tuple(_protocols(protocols)) if protocols is not None else (),
            tuple(_groups(groups)) if groups is not None else None,
            tuple(_key_shares(shares)) if shares is not None else (),
        )
    except (IndexError, struct.error):
        raise _MalformedError from None


def _entries(form: struct.Struct, data: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each entry from ``at`` to ``end``; ``form`` is its kind and length."""
    while at < end:
        kind, size = form.unpack_from(data, at)
        at += form.size + size
        if at > min(end, len(data)):
            raise _MalformedError
        yield kind, data[at - size : at]


def _list(content: bytes) -> bytes:
    """The members of a list, which begins with its length. Raises _MalformedError."""
    members = content[2:]
    size: int = _NUMBER.unpack_from(content)[0]
    if size > len(members):
        raise _MalformedError
    return members[:size]


def _host_name(content: bytes) -> str | None:
    names = _list(content)
    for kind, name in _entries(_NAME, names, 0, len(names)):
        if kind == _HOST_NAME:
            return name.decode("ascii", "backslashreplace")
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


def _groups(content: bytes) -> Iterator[int]:
    for (group,) in _NUMBER.iter_unpack(_list(content)):
        yield group


def _key_shares(content: bytes) -> Iterator[int]:
    shares = _list(content)
    for group, _ in _entries(_SHARE, shares, 0, len(shares)):
        yield group
