"""The results as Markdown: the targets beside what was measured, and a table a size."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.synth.results import Results, Subject

TITLES: Final[Mapping[str, str]] = {
    "ours": "`python main.py`",
    "floor": "empty App, same imports",
    "real": "`python main.py`, the real fleet",
    "pyyaml": "PyYAML, objects as data",
    "helm": "helm, a process a cluster",
    "helm-each": "helm, a process a component",
    "kustomize": "kustomize, a process a cluster",
    "kustomize-each": "kustomize, a process a component",
}

REAL: Final[Subject] = ("real", 0)
FLOOR: Final[Subject] = ("floor", 0)

MIB: Final = 2**20


@dataclass(frozen=True)
class Target:
    claim: str
    measured: str
    met: bool


def tables(results: Results, objects: Mapping[int, int]) -> Iterator[str]:
    """A table for the real fleet and each size; ``objects`` tells how many objects a size has."""
    yield from _table("The real fleet", results, 0, FLOOR)
    for regions, count in objects.items():
        yield from _table(
            f"{regions} regions and the hub, {count} objects", results, regions, ("ours", regions)
        )


def _table(title: str, results: Results, regions: int, unit: Subject) -> Iterator[str]:
    yield f"\n### {title}\n"
    yield "| | CPU s | ratio | wall s | peak MiB | processes |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name in results.contenders(regions):
        subject = name, regions
        yield (
            f"| {TITLES[name]} | {results.cpu(subject):.2f} | {results.ratio(subject, unit):.2f} "
            f"| {results.wall(subject):.2f} | {results.rss(subject) / MIB:.0f} "
            f"| {results.processes(subject)} |"
        )


def targets(results: Results, sizes: Sequence[int]) -> Iterator[str]:
    yield "| target | measured | |"
    yield "|---|--:|---|"
    for target in _targets(results, sizes):
        verdict = "met" if target.met else "**missed**"
        yield f"| {target.claim} | {target.measured} | {verdict} |"


def _targets(results: Results, sizes: Sequence[int]) -> Iterator[Target]:
    ratio = results.ratio(REAL, FLOOR)
    yield Target(
        "the real fleet in 1.5 times the CPU time of an empty App", f"{ratio:.2f}", ratio <= 1.5
    )
    for regions in sizes:
        for peer in results.contenders(regions):
            if regions >= 30 and peer.startswith(("helm", "kustomize")):
                yield _ahead(results, peer, regions, least=2 if regions >= 300 else 1)
    if len(sizes) > 2:
        yield _linear(results, *sizes[-3:])
    peak = results.rss(("ours", sizes[-1])) / MIB
    yield Target(f"{sizes[-1]} regions in less than 400 MiB", f"{peak:.0f} MiB", peak < 400)


def _ahead(results: Results, peer: str, regions: int, *, least: float) -> Target:
    ratio = results.ratio((peer, regions), ("ours", regions))
    return Target(
        f"{regions} regions: {TITLES[peer]}, takes {least} times our CPU time or more",
        f"{ratio:.2f}",
        ratio >= least,
    )


def _linear(results: Results, small: int, middle: int, large: int) -> Target:
    """What one region more costs does not grow, but for what noise may do."""
    cost = {size: results.cpu(("ours", size)) for size in (small, middle, large)}
    before = (cost[middle] - cost[small]) / (middle - small)
    after = (cost[large] - cost[middle]) / (large - middle)
    return Target(
        f"linear: a region between {middle} and {large} costs what one between {small} and "
        f"{middle} does, or 1.1 times as much",
        f"{after / before:.2f}",
        after <= 1.1 * before,
    )
