"""Runs commands one after another and tells what their processes cost, children included.

A program of its own and a small one, since Linux starts a process's peak memory with its parent's:

    python -I -S meter.py < [[argv, file for its output], ...]

writes one JSON object with `cpu` (user and system seconds), `wall` (seconds) and `rss`: the
largest sum, over all moments sampled, of the peaks (bytes) of the processes then alive.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

PROC = Path("/proc")
INTERVAL = 0.05


def main() -> None:
    commands = json.load(sys.stdin)
    sampler = Sampler()
    sampler.start()
    cpu, start = 0.0, time.perf_counter()
    for argv, output in commands:
        opened = (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        process = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[opened])
        _, status, usage = os.wait4(process, 0)
        if status:
            sys.exit(f"{' '.join(argv)}: exit {os.waitstatus_to_exitcode(status)}")
        cpu += usage.ru_utime + usage.ru_stime
        sampler.peak = max(sampler.peak, usage.ru_maxrss * 1024)
    wall = time.perf_counter() - start
    sampler.end()
    json.dump({"cpu": cpu, "wall": wall, "rss": sampler.peak}, sys.stdout)


class Sampler(Thread):
    """Watches this process's descendants; a command too short for it is its own peak."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._ended = Event()

    def run(self) -> None:
        while not self._ended.wait(INTERVAL):
            self.peak = max(self.peak, sum(map(peak_of, descendants(os.getpid()))))

    def end(self) -> None:
        self._ended.set()
        self.join()


def descendants(ancestor: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            # What follows the name in parentheses: the state, then the parent.
            fields = read(entry / "stat").rpartition(")")[2].split()
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    waiting = [ancestor]
    while waiting:
        found = children.get(waiting.pop(), [])
        yield from found
        waiting += found


def peak_of(process: int) -> int:
    _, _, rest = read(PROC / str(process) / "status").partition("VmHWM:")
    return int(rest.split()[0]) * 1024 if rest else 0


def read(path: Path) -> str:
    """The text of ``path``; empty if its process has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
