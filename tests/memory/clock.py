"""Time that a test lets pass."""

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Time that passes only when somebody waits, or calls a cluster."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.lock = threading.RLock()
        """Nothing happens at the same time."""
        self.watchers: list[Callable[[], None]] = []

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return (EPOCH + timedelta(seconds=self.seconds)).timestamp()

    def stamp(self) -> str:
        return (EPOCH + timedelta(seconds=self.seconds)).isoformat(timespec="microseconds")

    def sleep(self, seconds: float) -> None:
        """Passes in small parts, so that controllers do theirs in between."""
        with self.lock:
            end, part = self.seconds + seconds, max(5.0, seconds / 10)
            while self.seconds < end:
                self.seconds = min(end, self.seconds + part)
                for watcher in self.watchers:
                    watcher()
