"""Waiting for what somebody else does: an API server, a kubelet, a provider.

All commands wait here, so that a test can let time pass without spending it.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T | None], *, seconds: float, interval: float) -> T | None:
    """The first true answer of ``look``; the last one if there is none within ``seconds``.

    Looks at least once, every ``interval`` seconds.
    """
    end = time.monotonic() + seconds
    while True:
        answer = look()
        if answer or time.monotonic() >= end:
            return answer
        time.sleep(interval)


def pause(seconds: float) -> None:
    time.sleep(seconds)


def now() -> float:
    """Seconds of a clock that is never set back."""
    return time.monotonic()
