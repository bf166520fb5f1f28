"""Who takes part: the commands that each runs, and where it writes the objects.

A contender writes those of a cluster below <output>/<cluster>, in whatever files it likes.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.synth import fleets
from bench.synth.objects import rendered
from bench.synth.template import Template
from fleet.registry import Fleet

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Command:
    argv: Sequence[str]
    printed: Path = Path("/dev/null")
    """Where what it prints goes."""


@dataclass(frozen=True)
class Contender:
    name: str
    commands: Sequence[Command]
    cwd: Path
    output: Path


def ours(fleet: Fleet, folder: Path, apps: Path) -> Contender:
    """main.py as a person runs it."""
    folder.mkdir(parents=True)
    registry, dist = folder / "clusters.yaml", folder / "dist"
    fleets.write(fleet, registry, apps)
    argv = [sys.executable, str(ROOT / "main.py"), "--fleet", str(registry), "--output", str(dist)]
    return Contender("ours", [Command(argv)], folder, dist)


def real(folder: Path) -> Contender:
    """main.py on the real fleet, overlays included."""
    argv = [sys.executable, "main.py", "--output", str(folder / "dist")]
    return Contender("real", [Command(argv)], ROOT, folder / "dist")


def floor(folder: Path) -> Contender:
    """An empty App."""
    argv = [sys.executable, "-m", "bench.synth.floor", str(folder)]
    return Contender("floor", [Command(argv)], ROOT, folder)


def pyyaml(template: Template, folder: Path) -> Contender:
    """PyYAML, with every object of every cluster as data."""
    folder.mkdir(parents=True)
    lines, output = folder / "objects.jsonl", folder / "out"
    with lines.open("w", encoding="utf-8") as file:
        for cluster in template.facts:
            for component, files in rendered(template.dist / cluster).items():
                for name, body in files.items():
                    file.write(json.dumps([cluster, component, name, body]) + "\n")
    argv = [sys.executable, "-m", "bench.synth.pyyaml", str(lines), str(output)]
    return Contender("pyyaml", [Command(argv)], ROOT, output)
