"""A line on the terminal that says how far a long render has come."""

import sys
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar


class Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)

_CLEAR = "\r\x1b[K"


def progress(items: Sequence[T]) -> Iterator[T]:
    """The ``items``, each named on standard error as it comes, if that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    try:
        for number, item in enumerate(items, 1):
            print(f"{_CLEAR}{number}/{len(items)} {item.name}", end="", file=sys.stderr, flush=True)
            yield item
    finally:
        print(_CLEAR, end="", file=sys.stderr, flush=True)
