"""Measures foobar-api beside whoami, when its program is given, and beside plain gunicorn."""

import argparse
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench.app.load import LOADS, measure, missing
from bench.app.plot import plot
from bench.app.report import Results, report
from bench.app.servers import (
    ROOT,
    Server,
    certificate,
    gunicorn,
    memory,
    ours,
    running,
    whoami,
)
from fleet.errors import InputError, exit_on_input_error


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
