"""What keeps a client that sends much from taking the time of the others."""

from time import monotonic

import gevent


def give_way() -> None:
    """Let all others whose bytes have arrived, or who connect, have their turn.

    gevent.sleep(0) looks for them only once in fifty calls.
    """
    gevent.sleep(1e-9)


class Rate:
    """Notices what happens more than ``most`` times in ``seconds``.

    It is for what costs the server something and brings the client nothing.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._since = monotonic()
        self._count = 0

    def exceeded(self, count: int = 1) -> bool:
        """Count ``count`` more."""
        self._count += count
        if self._count > self._most:
            now = monotonic()
            if now - self._since < self._seconds:
                return True
            self._since, self._count = now, count
        return False
