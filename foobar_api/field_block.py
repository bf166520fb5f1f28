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

_STATIC: Final = {field: at for at, field in enumerate(HeaderTable.STATIC_TABLE, 1)}
_NAMES: Final = {name: at for (name, _), at in reversed(_STATIC.items())}
_NO_TABLE: Final = b"\x20"
"""A dynamic table size update to 0 (section 6.3), which fits any limit of the client."""


class Encoder:
    """Stands in for hpack's."""

    header_table_size = 0
    """h2 sets it to what the client allows."""

    def __init__(self) -> None:
        self._begun = False

    def encode(self, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The block of ``fields``, whose names are in lower case."""
        block = b"".join([_field(name, value) for name, value in fields])
        if self._begun:
            return block
        self._begun = True
        return _NO_TABLE + block


def _field(name: bytes, value: bytes) -> bytes:
    at = _STATIC.get((name, value))
    if at is not None:
        return bytes([0x80 | at])  # indexed (section 6.1)
    return b"".join((_literal(name), encode_integer(len(value), 7), value))


@lru_cache(maxsize=256)
def _literal(name: bytes) -> bytes:
    """The start of a field without indexing (section 6.2.2). Names are all of our own."""
    at = _NAMES.get(name, 0)
    start = bytes(encode_integer(at, 4))
    return start if at else start + bytes(encode_integer(len(name), 7)) + name
