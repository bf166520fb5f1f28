"""The PROXY protocol's header, versions 1 and 2: who the client is, said by a trusted proxy.

Source: https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, sections 2.1 and 2.2.
"""

import socket
import struct
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

V1_PREFIX = b"PROXY "
V1_LONGEST = 107
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V2_LONGEST = 16 + 1024
"""Addresses take 36 bytes at most; the rest is for what proxies append, all of it skipped."""

_INET_BYTES = 12
_INET6_BYTES = 36

Network = IPv4Network | IPv6Network
Address = tuple[str, int]


class HeaderError(ValueError):
    """What begins like a PROXY header is none."""


def parse(data: bytes) -> tuple[Address | None, int] | None:
    """The client's address and the header's length, at the start of ``data``.

    ``(None, 0)`` when there is no header; ``(None, length)`` when a header names nobody, as the
    health checks of a proxy do; None while more bytes are needed to tell.

    Raises HeaderError.
    """
    if data[:1] == V1_PREFIX[:1]:
        return _parse_v1(data)
    if data[:1] == V2_SIGNATURE[:1]:
        return _parse_v2(data)
    return (None, 0) if data else None


def _parse_v1(data: bytes) -> tuple[Address | None, int] | None:
    if not data.startswith(V1_PREFIX):
        # POST, PUT and PATCH of a client that speaks plain HTTP begin with a P as well.
        return None if V1_PREFIX.startswith(data) else (None, 0)
    end = data.find(b"\r\n", 0, V1_LONGEST)
    if end < 0:
        if len(data) >= V1_LONGEST:
            raise HeaderError("version 1 without an end of line")
        return None
    length = end + 2
    words = data[len(V1_PREFIX) : end].decode("latin-1").split(" ")
    if words[0] == "UNKNOWN":
        return None, length
    try:
        family, source, _, port, _ = words
        version = {"TCP4": 4, "TCP6": 6}[family]
        address = ip_address(source)
        if address.version != version or not (port.isascii() and port.isdigit()):
            raise HeaderError("version 1 with an address of another family or a bad port")
        number = int(port)
    except (KeyError, ValueError) as error:
        raise HeaderError("version 1 malformed") from error
    if number > 0xFFFF:
        raise HeaderError("version 1 with a port above 65535")
    return (str(address), number), length


def _parse_v2(data: bytes) -> tuple[Address | None, int] | None:
    if not data.startswith(V2_SIGNATURE):
        return None if V2_SIGNATURE.startswith(data) else (None, 0)
    if len(data) < 16:
        return None
    version_command, family, size = struct.unpack_from("!BBH", data, 12)
    length = 16 + size
    if version_command not in (0x20, 0x21) or length > V2_LONGEST:
        raise HeaderError("version 2 with an unknown command or too long")
    if len(data) < length:
        return None
    if version_command == 0x20:  # LOCAL: the proxy speaks for itself
        return None, length
    if family == 0x11 and size >= _INET_BYTES:
        host, port = socket.inet_ntop(socket.AF_INET, data[16:20]), data[24:26]
    elif family == 0x21 and size >= _INET6_BYTES:
        host, port = socket.inet_ntop(socket.AF_INET6, data[16:32]), data[48:50]
    elif family == 0x00:  # UNSPEC: nobody
        return None, length
    else:
        raise HeaderError("version 2 of no TCP connection or too short")
    return (host, int.from_bytes(port)), length


class Trusted:
    """The networks whose PROXY header is believed."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)
        self._judge = lru_cache(maxsize=1024)(self._is_inside)

    def __contains__(self, host: str) -> bool:
        return self._judge(host)

    def _is_inside(self, host: str) -> bool:
        address = ip_address(host)
        return any(address in network for network in self._networks)
