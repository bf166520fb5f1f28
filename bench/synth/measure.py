"""Measures contenders, each run in the meter's own process tree."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from bench.synth.contenders import Contender
from bench.synth.results import Run

Entry: TypeAlias = tuple[Contender, int]
"""A contender and how many regions it renders."""

_METER: Final = Path(__file__).with_name("meter.py")


def measure(entry: Entry, number: int) -> Run:
    """One run. Raises CalledProcessError if a command of the contender fails."""
    contender, regions = entry
    # Set on many build machines; it is for compiled modules not to be kept, which nobody wants
    # who renders twice.
    environment = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}
    measured = subprocess.run(
        [sys.executable, "-I", "-S", _METER],
        input=json.dumps([[list(each.argv), str(each.printed)] for each in contender.commands]),
        env=environment,
        cwd=contender.cwd,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    cost = json.loads(measured.stdout)
    return Run(contender.name, regions, number, len(contender.commands), **cost)


def rounds(entries: Sequence[Entry], count: int) -> Iterator[Run]:
    """Every entry once a round, so that a machine that slows down slows all of them."""
    for number in range(1, count + 1):
        for entry in entries:
            yield measure(entry, number)
