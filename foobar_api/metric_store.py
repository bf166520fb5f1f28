"""The values of metrics, in memory that the arbiter and all workers share.

The memory is anonymous and mapped before the first worker forks, so no file system can fill up
under it, vanish or forbid writing. Each process writes a segment of its own and needs no lock; a
scrape sums the segments, whichever worker answers it. The segment of a worker that ended goes to
the next one: counters continue where they stood, and gauges start unset.

``prometheus_client`` creates a value for each series through ``values.ValueClass``, which is where
`Store.value` belongs.
"""

import json
import math
import mmap
from array import array
from collections.abc import Callable, Sequence
from typing import Final

SLOTS: Final = 64
"""Workers that can have a segment: twice as many as there can be, for those that replace others."""
SERIES: Final = 4096
"""Series that a segment holds."""
_NAMES: Final = SERIES * 96
"""Bytes for the keys of a segment's series; the longest that are usual have some 80."""

_GAUGE: Final = "gauge"
_TOTALS: Final[dict[str, Callable[[Sequence[float]], float]]] = {"livesum": sum, "livemin": min}


class _Segment:
    """The series of one process: a list of keys that only grows, and a number for each."""

    def __init__(self, memory: memoryview, series: int) -> None:
        self._used = memory[:8].cast("q")  # bytes of _names
        self.numbers = memory[8 : 8 * (series + 1)].cast("d")
        self._names = memory[8 * (series + 1) :]
        self._read = 0
        self._reported = 0
        self.positions: dict[str, int] = {}

    def read(self) -> None:
        """Learn the keys that another process has added."""
        used = self._used[0]
        for key in bytes(self._names[self._read : used]).decode().splitlines():
            self.positions[key] = len(self.positions)
        self._read = used

    def unreported(self) -> list[str]:
        """The keys that are new since the last call in this process."""
        self.read()
        keys = list(self.positions)[self._reported :]
        self._reported += len(keys)
        return keys

    def position(self, key: str) -> int | None:
        """Where the number of ``key`` is, which is added if need be; None if it does not fit."""
        if (known := self.positions.get(key)) is not None:
            return known
        line = f"{key}\n".encode()
        position, end = len(self.positions), self._read + len(line)
        if position == len(self.numbers) or end > len(self._names):
            return None
        self.numbers[position] = _unset(key)
        self._names[self._read : end] = line
        # Last, since it is what shows the key to others.
        self._used[0] = self._read = end
        self.positions[key] = position
        return position

    def unset_gauges(self) -> None:
        self.read()
        for key, position in self.positions.items():
            if json.loads(key)[0] == _GAUGE:
                self.numbers[position] = math.nan


def _unset(key: str) -> float:
    return math.nan if json.loads(key)[0] == _GAUGE else 0.0


class Store:
    """The segments of all processes. Make it before the workers fork."""

    def __init__(self, on_full: Callable[[], None], *, series: int = SERIES) -> None:
        """``on_full`` is called for each series that a segment has no room for."""
        size = 8 * (series + 1) + _NAMES
        memory = memoryview(mmap.mmap(-1, (1 + SLOTS) * size))
        self._segments = [
            _Segment(memory[start : start + size], series) for start in range(0, len(memory), size)
        ]
        self._own = self._segments[0]
        self._slots: dict[int, int] = {}
        self._values: list[Value] = []
        self._on_full = on_full

    # Processes

    def reserve(self, worker: int) -> None:
        """Before the fork of ``worker``, which is gunicorn's number of it."""
        taken = self._slots.values()
        free = next((slot for slot in range(1, 1 + SLOTS) if slot not in taken), None)
        if free is not None:
            self._slots[worker] = free

    def adopt(self, worker: int) -> None:
        """In ``worker``: what this process counts from now on is that worker's."""
        slot = self._slots.get(worker)
        self._own = self._segments[slot] if slot else _Segment(memoryview(bytearray(16)), 1)
        self._own.read()
        for value in self._values:
            value.place(self._own)

    def release(self, worker: int) -> None:
        """Once ``worker`` has ended, whichever way: forget its gauges and keep its counts."""
        if slot := self._slots.pop(worker, None):
            self._segments[slot].unset_gauges()

    # Series

    def value(  # noqa: PLR0917 - prometheus_client calls it
        self,
        kind: str,
        metric: str,
        name: str,
        labelnames: Sequence[str],
        labelvalues: Sequence[str],
        _help: str,
        multiprocess_mode: str = "livesum",
    ) -> "Value":
        """For ``prometheus_client.values.ValueClass``."""
        # A bucket's bound is a label of the series, but not one by which the metric is asked for.
        count = len(labelvalues) - ("le" in labelnames)
        parts = [kind, metric, list(labelvalues[:count]), [name, *labelvalues[count:]]]
        key = json.dumps(parts, separators=(",", ":"))
        made = Value(self, key, _TOTALS[multiprocess_mode])
        self._values.append(made)
        made.place(self._own)
        return made

    def full(self) -> None:
        self._on_full()

    def series(self) -> set[tuple[str, tuple[str, ...]]]:
        """Metric and labels of the series that are new since the last call, in any process."""
        keys = (json.loads(key) for segment in self._segments for key in segment.unreported())
        return {(metric, tuple(labels)) for _, metric, labels, _ in keys}

    def numbers(self, key: str) -> list[float]:
        """The numbers of ``key`` in all processes that have set one."""
        found = (
            segment.numbers[position]
            for segment in self._segments
            if (position := segment.positions.get(key)) is not None
        )
        return [number for number in found if not math.isnan(number)]


class Value:
    """The number of one series in this process, and in all when it is read."""

    def __init__(self, store: Store, key: str, total: Callable[[Sequence[float]], float]) -> None:
        self._store = store
        self._key = key
        self._total = total
        self._unset = _unset(key)
        self._numbers: memoryview[float] | array[float] = array("d", [self._unset])
        self._position = 0

    def place(self, segment: _Segment) -> None:
        """Keep the number in ``segment``; if it is full, where nobody else sees it."""
        position = segment.position(self._key)
        if position is None:
            self._numbers, self._position = array("d", [self._unset]), 0
            self._store.full()
        else:
            self._numbers, self._position = segment.numbers, position

    def inc(self, amount: float) -> None:
        """Of a counter; a gauge can only be set."""
        self._numbers[self._position] += amount

    def set(self, value: float, **_: float) -> None:
        self._numbers[self._position] = value

    def get(self) -> float:
        """Of all processes; NaN for a gauge that no living one has set."""
        numbers = self._store.numbers(self._key)
        return self._total(numbers) if numbers else self._unset

    def get_exemplar(self) -> None:
        """None is kept."""
