"""The results as a table: what each server answered, its ratio to whoami, and the targets."""

import os
import platform
import ssl
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from statistics import median
from typing import Final

from bench.app.load import LOADS, MEMORY, Load
from bench.app.servers import WORKERS

Results = Mapping[str, Mapping[str, Sequence[float]]]
"""Figures of the rounds, by load (or ``memory``) and server."""

BASE: Final = "whoami"


def report(results: Results, names: Sequence[str], rounds: int) -> Iterator[str]:
    yield (
        f"{os.cpu_count()} cores, {WORKERS} workers, TLS 1.3, P-256, "
        f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION.rpartition(' ')[0]}, "
        f"gunicorn {version('gunicorn')}, gevent {version('gevent')}. "
        f"Requests a second, medians of {rounds} interleaved rounds"
        + (f"; in brackets the ratio to {BASE}.\n" if BASE in names else ".\n")
    )
    yield "| | " + " | ".join(names) + " | target | |"
    yield "|---|" + "--:|" * len(names) + "--:|---|"
    for load in LOADS:
        yield _row(load.name, results, names, load)
    yield _row("memory", results, names, None)


def _row(name: str, results: Results, names: Sequence[str], load: Load | None) -> str:
    cells = []
    for server in names:
        figure = median(results[name][server])
        shown = f"{figure:,.0f}".replace(",", " ") + ("" if load else " MiB")
        if BASE in names and server != BASE:
            shown += f" ({ratio(results, name, server):.2f})"
        cells.append(shown)
    target, verdict = "", ""
    aim = load.target if load else MEMORY
    if aim is not None and BASE in names:
        reached = ratio(results, name, names[0])
        target = f"{'≥' if load else '≤'} {aim:g}"
        verdict = "met" if (reached >= aim if load else reached <= aim) else "**missed**"
    return f"| {name} | " + " | ".join(cells) + f" | {target} | {verdict} |"


def ratio(results: Results, name: str, server: str) -> float:
    """Of a server to whoami: the median of the ratios within rounds."""
    pairs = zip(results[name][server], results[name][BASE], strict=True)
    return median(mine / theirs for mine, theirs in pairs)
