"""The results as a picture: requests a second by load, a bar a server, by orders of magnitude."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bench.app.load import LOADS

# Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS: Final = {"foobar-api": "#0072b2", "gunicorn gthread": "#999999", "whoami": "#d55e00"}
_THICKNESS: Final = 0.26


def plot(
    results: Mapping[str, Mapping[str, Sequence[float]]], names: Sequence[str], file: Path
) -> None:
    """Writes ``file``, which is the same for the same results."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for at, name in enumerate(names):
        rates = [median(results[load.name][name]) for load in LOADS]
        bars = axes.barh(
            [row + at * _THICKNESS for row in range(len(LOADS))],
            rates,
            _THICKNESS * 0.92,
            color=COLOURS[name],
            label=name,
        )
        axes.bar_label(
            bars, [f"{rate:,.0f}".replace(",", " ") for rate in rates], padding=4, fontsize=8
        )
    middle = _THICKNESS * (len(names) - 1) / 2
    axes.set_yticks([row + middle for row in range(len(LOADS))], [load.name for load in LOADS])
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="requests a second, log")
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.0f}".replace(",", " "))
    )
    axes.margins(x=0.12)
    axes.grid(axis="x", which="major", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=len(names))
    # Identifiers and the time of writing would differ from run to run.
    with mpl.rc_context({"svg.hashsalt": file.name}):
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
