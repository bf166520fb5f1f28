"""The results as a picture: CPU seconds against regions, both by orders of magnitude."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from bench.synth.report import TITLES
from bench.synth.results import Results

# Okabe and Ito's palette, which colour-blind readers can tell apart; a pair has one colour.
STYLES: Final[Mapping[str, tuple[str, str]]] = {
    "ours": ("#0072b2", "-"),
    "pyyaml": ("#777777", "-"),
    "helm": ("#d55e00", "-"),
    "helm-each": ("#d55e00", "--"),
    "kustomize": ("#009e73", "-"),
    "kustomize-each": ("#009e73", "--"),
}


def plot(results: Results, sizes: list[int], file: Path) -> None:
    """Writes ``file``, which is the same for the same results."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, (colour, line) in STYLES.items():
        if name in results.contenders(sizes[-1]):
            axes.plot(
                sizes,
                [results.cpu((name, size)) for size in sizes],
                line,
                color=colour,
                marker="o",
                linewidth=3 if name == "ours" else 1.5,
                zorder=3 if name == "ours" else 2,
                label=TITLES[name].replace("`", ""),
            )
    axes.axhline(results.cpu(("floor", 0)), color="#0072b2", linestyle=":", label=TITLES["floor"])
    axes.set(
        xscale="log", yscale="log", xlabel="regions", ylabel="CPU seconds, user and system, log"
    )
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(which="major", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    # Identifiers and the time of writing would differ from run to run.
    with mpl.rc_context({"svg.hashsalt": file.name}):
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
