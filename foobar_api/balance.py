"""Fair shares of connections among the workers.

All workers wait on one socket, and whichever the kernel runs first takes what has come; on a busy
machine that is one worker for a whole burst. Connections stay where they are taken, so a worker
that has more than another lets that one go first.
"""

import mmap
from typing import Final

_SLOTS: Final = 64
"""At least twice as many as there are workers, so that one that starts meets none that ends."""
_NOBODY: Final = -1


class Shares:
    """How many connections each worker has, in memory that they share; made before they fork."""

    def __init__(self) -> None:
        self._counts = memoryview(mmap.mmap(-1, _SLOTS * 4)).cast("i")
        for slot in range(_SLOTS):
            self._counts[slot] = _NOBODY

    def set(self, worker: int, connections: int) -> None:
        """``worker`` is gunicorn's number of it, which only grows."""
        self._counts[worker % _SLOTS] = connections

    def forget(self, worker: int) -> None:
        """Of a worker that ended, whichever way."""
        self._counts[worker % _SLOTS] = _NOBODY

    def is_ahead(self, worker: int) -> bool:
        """Whether another worker has fewer connections, by more than one and an eighth."""
        own = self._counts[worker % _SLOTS]
        least = min((count for count in self._counts if count != _NOBODY), default=own)
        return own > least + 1 + least // 8


SHARES: Final = Shares()
"""Of the workers of this process; made when this is imported, by gunicorn's arbiter."""
