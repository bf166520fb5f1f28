"""What the clients of a worker make it hold in memory, and who leaves when that is too much.

A client that stalls holds what it has sent, and what it does not take. Each is within its limits,
and a thousand of them together would still be more than a pod has.
"""

from collections.abc import Callable
from time import monotonic
from typing import Final, Generic, Protocol, TypeVar

FREED: Final = 1 / 8
"""Of the budget, what is freed at once, so that not every byte that comes looks for somebody."""


LONGEST: Final = 30.0
"""Seconds after which waiting longer makes no difference: some connections are never idle."""


class Holder(Protocol):
    """A connection."""

    @property
    def waits_since(self) -> float | None:
        """When the server began to wait for the client; None while it does not."""


H = TypeVar("H", bound=Holder)


class Budget(Generic[H]):
    """How many bytes all connections may hold together."""

    def __init__(self, most: int, evict: Callable[[H], None]) -> None:
        """``evict`` closes a connection soon, which frees what it holds."""
        self.used = 0
        """Bytes of those that stay."""
        self._most = most
        self._evict = evict
        self._held: dict[H, int] = {}
        self._leaving: dict[H, int] = {}
        self._leaving_size = 0

    @property
    def share(self) -> int:
        """Bytes that one connection may hold, so that it does not drive out all others."""
        return self._most // 2

    @property
    def exhausted(self) -> bool:
        """Whether there is no room, or only once those who have to leave have done so."""
        return self.used + self._leaving_size > self._most

    def count(self, holder: H, size: int) -> None:
        """``holder`` holds ``size`` bytes from now on.

        If that is too much for all together, those who hold most for longest are evicted. What
        counts is bytes times seconds, so a large upload that proceeds outlives a small one that
        stalls.
        """
        if holder in self._leaving:
            self._leaving_size += size - self._leaving.pop(holder)
            if size:
                self._leaving[holder] = size
            return
        self.used += size - self._held.pop(holder, 0)
        if size:
            self._held[holder] = size
        if self.used > self._most:
            self._make_room()

    def _make_room(self) -> None:
        now = monotonic()
        weights = {
            holder: size * min(now - holder.waits_since, LONGEST)
            for holder, size in self._held.items()
            if holder.waits_since is not None
        }
        for holder in sorted(weights, key=weights.__getitem__, reverse=True):
            if self.used <= self._most * (1 - FREED):
                break
            size = self._leaving[holder] = self._held.pop(holder)
            self.used -= size
            self._leaving_size += size
            self._evict(holder)
