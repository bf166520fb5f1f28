"""The PROXY protocol's header, versions 1 and 2: who the client is, said by a trusted proxy.

Source: https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt, sections 2.1 and 2.2.
"""

import re
import struct
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

V1_PREFIX = b"PROXY "
V1_LONGEST = 107
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

_PORT = re.compile(r"0|[1-9]\d{0,4}", re.ASCII)
_V2_TCP = {0x11: 4, 0x21: 16}
"""TCP over IPv4 and IPv6, and the bytes of an address. Two addresses come first, then two ports."""

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
        family, source, destination, *ports = words
        version = {"TCP4": 4, "TCP6": 6}[family]
        address, other = (ip_address(each) for each in (source, destination))
        source_port, _ = (_port(each) for each in ports)
    except (KeyError, ValueError) as error:
        raise HeaderError("version 1 malformed") from error
    if {address.version, other.version} != {version} or "%" in source + destination:
        raise HeaderError("version 1 with an address of another family")
    return (_printed(address), source_port), length


def _port(text: str) -> int:
    """Raises ValueError for anything but a decimal number without leading zeros (2.1)."""
    number = int(text) if _PORT.fullmatch(text) else -1
    if not 0 <= number <= 0xFFFF:
        raise ValueError(text)
    return number


def _parse_v2(data: bytes) -> tuple[Address | None, int] | None:
    if not data.startswith(V2_SIGNATURE):
        return None if V2_SIGNATURE.startswith(data) else (None, 0)
    if len(data) < 16:
        return None
    version_command, family, size = struct.unpack_from("!BBH", data, 12)
    length = 16 + size
    if version_command not in (0x20, 0x21):
        raise HeaderError("version 2 with an unknown command")
    if len(data) < length:
        return None
    if version_command == 0x20:  # LOCAL: the proxy speaks for itself
        return None, length
    width = _V2_TCP.get(family)
    if width is None:
        # UNSPEC names nobody, and a receiver may take any family that it does not know for it.
        return None, length
    if size < 2 * width + 4:
        raise HeaderError("version 2 too short for its addresses")
    address, port = data[16 : 16 + width], data[16 + 2 * width : 18 + 2 * width]
    return (_printed(ip_address(address)), int.from_bytes(port)), length


def _printed(address: IPv4Address | IPv6Address) -> str:
    """The same text for the same client, whichever version and family its proxy speaks."""
    return str((address.version == 6 and address.ipv4_mapped) or address)


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
