"""Measures foobar-api beside whoami, when its program is given, and beside plain gunicorn."""

import argparse
import json
import os
import platform
import ssl
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

from bench.app.load import LOADS, MEMORY, Load, measure, missing
from bench.app.plot import plot
from bench.app.servers import (
    ROOT,
    WORKERS,
    Server,
    certificate,
    gunicorn,
    memory,
    ours,
    running,
    whoami,
)
from fleet.errors import InputError, exit_on_input_error

Results = Mapping[str, Mapping[str, Sequence[float]]]
"""Figures of the rounds, by load (or ``memory``) and server."""

BASE: Final = "whoami"


def main() -> None:
    args = arguments()
    if absent := missing():
        raise InputError(f"{' and '.join(absent)}: not on the PATH; apt install wrk nghttp2-client")
    servers = [ours(9443), gunicorn(9453)]
    if args.whoami:
        if not os.access(args.whoami, os.X_OK):
            raise InputError(f"{args.whoami}: no program; bench/README.md says how to build whoami")
        servers.append(whoami(args.whoami.resolve(), 9463))
    results = run(servers, args.rounds, args.seconds)
    text = "\n".join(report(results, [each.name for each in servers], args.rounds))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "app.md").write_text(text + "\n", encoding="utf-8")
    (args.out / "app.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    plot(results, [each.name for each in servers], args.out / "app.svg")
    print(text)


def run(servers: Sequence[Server], rounds: int, seconds: int) -> Results:
    """Everybody in turn, one server alive at a time, then everybody again."""
    results: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="bench-app-") as scratch:
        certificate(Path(scratch))
        for number in range(1, rounds + 1):
            for load in LOADS:
                for server in servers:
                    with running(server, Path(scratch)) as process:
                        measure(load, server.port, 1)  # nothing counts that is done once
                        rate = measure(load, server.port, seconds)
                        results[load.name][server.name].append(rate)
                        results["memory"][server.name].append(memory(process))
                    print(
                        f"round {number}: {load.name}: {server.name} {rate:.0f}/s", file=sys.stderr
                    )
    return results


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


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.app", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add("--whoami", type=Path, metavar="PROGRAM", help="whoami's program; without it, us alone")
    add("--rounds", type=int, default=3, help="measured runs of everything (%(default)s)")
    add("--seconds", type=int, default=5, help="how long each run is (%(default)s)")
    add("--out", type=Path, default=ROOT / "bench" / "out", help="folder for the results")
    return parser.parse_args()


if __name__ == "__main__":
    with exit_on_input_error():
        main()
