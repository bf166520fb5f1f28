"""Measures our render beside helm, kustomize and PyYAML on the same objects, in one run."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.synth import contenders, report
from bench.synth.contenders import ROOT, Contender
from bench.synth.environment import environment
from bench.synth.fleets import describe, fleet_of
from bench.synth.measure import Entry, measure, rounds
from bench.synth.objects import by_identity, differences
from bench.synth.peers import PEERS, missing_tool
from bench.synth.plot import plot
from bench.synth.results import Results
from bench.synth.template import Template
from charts.catalogue import load
from fleet.errors import InputError, exit_on_input_error
from fleet.registry import Fleet

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
"""Linux's file system in memory: what a file costs on a disk changes with whoever else writes."""


def main() -> None:
    args = arguments()
    if missing := sorted({tool for peer in args.peers if (tool := missing_tool(peer))}):
        raise InputError(
            f"{' and '.join(missing)}: not on the PATH; bench/README.md says how to build it, "
            "and --peers leaves it out"
        )
    fleet = load(ROOT / "clusters.yaml", overlays=ROOT / "overlays")
    with tempfile.TemporaryDirectory(prefix="bench-synth-", dir=args.scratch) as scratch:
        entries: list[Entry] = [
            (contenders.real(Path(scratch, "real")), 0),
            (contenders.floor(Path(scratch, "floor")), 0),
        ]
        for entry in entries:
            measure(entry, 0)
        objects = {}
        apps = describe(args.apps, Path(scratch, "apps"), like=ROOT / "apps" / "foobar-api.yaml")
        for size in args.regions:
            folder = Path(scratch, str(size))
            some, objects[size] = prepare(fleet_of(size, fleet, apps), args.peers, folder, apps)
            entries += [(contender, size) for contender in some]
        runs = []
        for run in rounds(entries, args.rounds):
            say(f"round {run.round}, {run.regions} regions: {run.contender} {run.cpu:.2f} s CPU")
            runs.append(run)
    results = Results(runs)
    text = "\n".join(
        [
            f"{environment(args.peers)}. Medians of {args.rounds} interleaved rounds.\n",
            *report.targets(results, args.regions),
            *report.tables(results, objects),
        ]
    )
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "synth.md").write_text(text + "\n", encoding="utf-8")
    (args.out / "synth.json").write_text(json.dumps(results.plain(), indent=1), encoding="utf-8")
    plot(results, args.regions, args.out / "synth.svg")
    print(text)


def prepare(
    fleet: Fleet, peers: Sequence[str], folder: Path, apps: Path
) -> tuple[list[Contender], int]:
    """Everybody who renders ``fleet``, run once and found to make the same objects; how many."""
    say(f"{len(fleet.regions)} regions: rendering, then warming up and checking each peer")
    ours = contenders.ours(fleet, folder / "ours", apps)
    measure((ours, 0), 0)
    template = Template(fleet, ours.output)
    theirs = [PEERS[name](template, folder / name) for name in peers]
    for peer in theirs:
        measure((peer, 0), 0)
        problems = [
            problem
            for cluster in fleet.names
            for problem in differences(ours.output / cluster, peer.output / cluster)
        ]
        if problems:
            raise InputError(*problems[:10])
    return [ours, *theirs], sum(len(by_identity(ours.output / name)) for name in fleet.names)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.synth", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add("--regions", type=_sizes, default=[3, 30, 300], help="sizes of fleets (3,30,300)")
    add("--apps", type=_number, default=1, help="apps that each region runs (%(default)s)")
    add("--rounds", type=int, default=5, help="measured runs of everything (%(default)s)")
    add("--peers", type=_peers, default=list(PEERS), help=f"some of {','.join(PEERS)} (all)")
    add(
        "--scratch",
        type=Path,
        default=MEMORY if MEMORY.is_dir() else None,
        help="folder to render in (%(default)s)",
    )
    add("--out", type=Path, default=ROOT / "bench" / "out", help="folder for the results")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    return sorted({int(size) for size in text.split(",")})


def _number(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return int(text)


def _peers(text: str) -> list[str]:
    names = text.split(",") if text else []
    if unknown := sorted(set(names) - set(PEERS)):
        raise argparse.ArgumentTypeError(f"no peer {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    with exit_on_input_error():
        main()
