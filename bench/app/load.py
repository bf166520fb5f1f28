"""What is asked of each server, by wrk and h2load."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final, NamedTuple

from fleet.errors import InputError


class Load(NamedTuple):
    """One way of asking. ``target`` is the least ratio to whoami that is aimed at."""

    name: str
    command: Sequence[str]
    path: str
    target: float | None


# Kept connections or new ones; one client thread leaves the servers most of a small machine.
_KEPT: Final = ("wrk", "--threads=1", "--connections=32")
_NEW: Final = ("wrk", "--threads=1", "--connections=8", "--header=Connection: close")
_HTTP2: Final = ("h2load", "--clients=8", "--max-concurrent-streams=10")

LOADS: Final = (
    Load("/ kept", _KEPT, "/", 1.4),
    Load("/bench kept", _KEPT, "/bench", 0.35),
    Load("/ new", _NEW, "/", None),
    Load("/bench new", _NEW, "/bench", 0.6),
    Load("/ HTTP/2", _HTTP2, "/", None),
    Load("/bench HTTP/2", _HTTP2, "/bench", 0.35),
)

MEMORY: Final = 4.0
"""Times whoami's memory that are aimed at, at most."""


def missing() -> list[str]:
    return [tool for tool in ("wrk", "h2load") if not shutil.which(tool)]


def measure(load: Load, port: int, seconds: int) -> float:
    """Requests answered in a second. Raises InputError when some were not."""
    # Chosen so that both tools speak to the address that every contender listens on.
    url = f"https://127.0.0.1:{port}{load.path}"
    if load.command[0] == "wrk":
        command = [*load.command, f"--duration={seconds}s", url]
    else:
        command = [*load.command, f"--duration={seconds}", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Requests/sec:\s+([\d.]+)|([\d.]+) req/s", done.stdout)
    # wrk counts a connection that the server closes as an error of reading unless it was asked to.
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)|(\d+) failed", done.stdout)
    if not found or (failed and failed[failed.lastindex or 1] != "0"):
        raise InputError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return float(found[1] or found[2])
