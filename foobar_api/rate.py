"""How often a client may do what costs the server something and brings the client nothing."""

from time import monotonic


class Rate:
    """Notices what happens more than ``most`` times in ``seconds``."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._since = monotonic()
        self._count = 0

    def exceeded(self) -> bool:
        """Count one more."""
        self._count += 1
        if self._count > self._most:
            now = monotonic()
            if now - self._since < self._seconds:
                return True
            self._since, self._count = now, 1
        return False
