"""``python -m fleet promote``: moves foobar-api's image on by one region, a line in clusters.yaml.

Regions follow each other in the order of the file: a new image goes to the first, and from there
to the next, each by a change of its own that somebody reviews.
"""

import argparse
import itertools
from pathlib import Path
from typing import NamedTuple

from charts.catalogue import load
from fleet.registry import Fleet
from operations.edit import change


class Promotion(NamedTuple):
    """A region, and the image that it is to run instead of the one it runs."""

    region: str
    before: str
    after: str


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fleet", type=Path, default=Path("clusters.yaml"), metavar="FILE")
    parser.add_argument(
        "--image", help="a new image, for the first region; without it, what a region before has"
    )


def run(args: argparse.Namespace) -> int:
    promotion = promote(args.fleet, args.image)
    print(
        f"{promotion.region}: {promotion.before} → {promotion.after}"
        if promotion
        else "nothing to promote"
    )
    return 0


def promote(path: Path, image: str | None) -> Promotion | None:
    """Writes the next step into the registry at ``path``; None when every region is there.

    Raises InputError, also for an ``image`` that the registry does not take; then nothing is
    written.
    """
    step = following(load(path), image)
    if step is None:
        return None
    change(path, {(step.region, "image"): (step.before, step.after)})
    return step


def following(fleet: Fleet, image: str | None) -> Promotion | None:
    """The first region that does not run what it is to run next."""
    regions = fleet.regions
    if image is not None:
        first = regions[0] if regions else None
        if first is None or str(first.image) == image:
            return None
        return Promotion(first.name, str(first.image), image)
    for before, region in itertools.pairwise(regions):
        if region.image != before.image:
            return Promotion(region.name, str(region.image), str(before.image))
    return None
