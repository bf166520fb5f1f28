"""Header fields of responses as HTTP/2 sends them, by HPACK's static table alone (RFC 7541).

hpack's own encoder adds each field to a table that the client shares, and searches that table for
each field. Half of ours differ in every response, such as X-Request-Id, so the searches took more
time than anything else in a response, and a large table of the client's made them longer still.
Here a field costs the bytes of its value, and a connection has no table.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from hpack.hpack import encode_integer
from hpack.table import HeaderTable

_NAMES: Final = {
    name.decode(): at for at, (name, _) in reversed(list(enumerate(HeaderTable.STATIC_TABLE, 1)))
}
_STATUSES: Final = {
    int(value): bytes([0x80 | at])  # indexed (section 6.1)
    for at, (name, value) in enumerate(HeaderTable.STATIC_TABLE, 1)
    if name == b":status"
}
_NO_TABLE: Final = b"\x20"
"""A dynamic table size update to 0 (section 6.3), which is within any limit of the client."""


class Encoder:
    """For one connection, in the place of hpack's."""

    header_table_size = 0
    """h2 sets it to what the client allows."""

    def __init__(self) -> None:
        self._begun = False

    def encode(self, status: int, fields: Iterable[tuple[str, str]]) -> bytes:
        """The block of a response."""
        block = _STATUSES.get(status) or _literal(":status") + _string(str(status))
        block += b"".join([_literal(name) + _string(value) for name, value in fields])
        if self._begun:
            return block
        self._begun = True
        return _NO_TABLE + block


@lru_cache(maxsize=256)
def _literal(name: str) -> bytes:
    """The start of a field that enters no table (section 6.2.2). The app chooses all names."""
    name = name.lower()
    at = _NAMES.get(name)
    return bytes(encode_integer(at, 4)) if at else b"\0" + _string(name)


def _string(text: str) -> bytes:
    """Without Huffman's code (section 5.2)."""
    data = text.encode("latin-1")
    return bytes(encode_integer(len(data), 7)) + data
