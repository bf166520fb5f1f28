"""A line on the terminal that says how far a long render has come."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar


class Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)

CLEAR: Final = "\r\x1b[K"


@contextmanager
def progress(items: Sequence[T]) -> Iterator[Iterator[T]]:
    """The ``items``, each named on standard error as it comes, if that is a terminal.

    The line is gone when the context ends, however it ends.
    """
    if not sys.stderr.isatty():
        yield iter(items)
        return
    try:
        yield _named(items)
    finally:
        print(CLEAR, end="", file=sys.stderr, flush=True)


def _named(items: Sequence[T]) -> Iterator[T]:
    for number, item in enumerate(items, 1):
        told = f"{CLEAR}{number}/{len(items)} {item.name}"
        print(told, end="", file=sys.stderr, flush=True)
        yield item
