"""``python -m fleet promote``: moves an app's image on by one region, a line in clusters.yaml.

Regions follow each other in the order of the file: a new image goes to the first, and from there
to the next, each by a change of its own that somebody reviews.
"""

import argparse
import itertools
from pathlib import Path
from typing import NamedTuple

from charts.catalogue import load
from fleet.diagnostics import choice, shown
from fleet.errors import InputError
from fleet.registry import Fleet
from operations.edit import change


class Promotion(NamedTuple):
    """A region, an app, and its image there before and after."""

    region: str
    app: str
    before: str
    after: str


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fleet", type=Path, default=Path("clusters.yaml"), metavar="FILE")
    parser.add_argument("--app", help="the app; without it, the only one that the regions run")
    parser.add_argument(
        "--image", help="a new image, for the first region; without it, what a region before has"
    )


def run(args: argparse.Namespace) -> int:
    promotion = promote(args.fleet, args.image, args.app)
    print(
        f"{promotion.region}: {promotion.before} → {promotion.after}"
        if promotion
        else "nothing to promote"
    )
    return 0


def promote(path: Path, image: str | None, app: str | None = None) -> Promotion | None:
    """Writes the next step into the registry at ``path``; None when every region is there.

    Raises InputError, also for an ``app`` that no region runs and for an ``image`` that the
    registry does not take; then nothing is written.
    """
    fleet = load(path)
    step = following(fleet, image, chosen(fleet, app))
    if step is None:
        return None
    change(path, {(step.region, "apps", step.app, "image"): (step.before, step.after)})
    return step


def chosen(fleet: Fleet, app: str | None) -> str | None:
    """``app``, or the only one that the regions run; None where they run none.

    Raises InputError where there are several, or none of that name.
    """
    running = list(dict.fromkeys(name for region in fleet.regions for name in region.apps))
    if app is None and len(running) > 1:
        raise InputError(f"--app: is missing; the regions run {', '.join(running)}")
    if app is not None and app not in running:
        raise InputError(f"--app: no region runs {shown(app)}{choice(app, running)}")
    return app or next(iter(running), None)


def following(fleet: Fleet, image: str | None, app: str | None) -> Promotion | None:
    """The next promotion: of the first region that differs from what it should run."""
    running = [
        (region.name, region.apps[app].image) for region in fleet.regions if app in region.apps
    ]
    if app is None or not running:
        return None
    if image is not None:
        first, before = running[0]
        return None if before == image else Promotion(first, app, before, image)
    for (_, ahead), (region, before) in itertools.pairwise(running):
        if before != ahead:
            return Promotion(region, app, before, ahead)
    return None
