"""What ``/data`` gives: bytes that anybody can tell the middle, the start and the end of."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from foobar_api.answer import Answer, Refused

_ALPHABET: Final = b"-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)
_BLOCK: Final = _ALPHABET * (65536 // len(_ALPHABET))
UNITS: Final = {"kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}
"""As whoami has them; any other unit is bytes."""


def content(size: int, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Bytes ``start`` to ``stop`` of ``size``: the alphabet over and over, a bar at both ends.

    Takes the memory of one block, whatever the size.
    """
    stop = size if stop is None else min(stop, size)
    at = start
    while at < stop:
        offset = at % len(_ALPHABET)
        block = _BLOCK[offset : offset + stop - at]
        after = at + len(block)
        if at == 0:
            block = b"|" + block[1:]
        if after == size:
            block = block[:-1] + b"|"
        yield block
        at = after


def attachment(size: int, wanted: str) -> Answer:
    """A file to save; one range of it when that is asked for (RFC 9110 section 14)."""
    headers = [("Content-Disposition", "Attachment"), ("Accept-Ranges", "bytes")]
    match = _RANGE.fullmatch(wanted.strip())
    if not match or match[1] == match[2] == "":
        return Answer(content(size), headers=headers, length=size)
    if match[1]:
        start, stop = int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)
        if match[2] and int(match[2]) < int(match[1]):
            return Answer(content(size), headers=headers, length=size)
    else:
        start, stop = max(size - int(match[2]), 0), size
    if start >= stop:
        raise Refused(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"there are {size} bytes",
            [("Content-Range", f"bytes */{size}")],
        )
    headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{size}"))
    return Answer(
        content(size, start, stop),
        status=HTTPStatus.PARTIAL_CONTENT, headers=headers, length=stop - start,
    )  # fmt: skip
