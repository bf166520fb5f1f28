"""``python -m fleet promote``: moves foobar-api's image on by one region, a line in clusters.yaml.

Regions follow each other in the order of the file: a new image goes to the first, and from there
to the next, each by a change of its own that somebody reviews.
"""

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import NamedTuple

from fleet.errors import InputError
from fleet.registry import Fleet, Region, load
from fleet.source import read


class Step(NamedTuple):
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
    step = promote(args.fleet, args.image)
    print(f"{step.region}: {step.before} → {step.after}" if step else "nothing to promote")
    return 0


def promote(path: Path, image: str | None) -> Step | None:
    """Writes the next step into the registry at ``path``; None when every region is there.

    Raises InputError, also for an ``image`` that the registry does not take; then nothing is
    written.
    """
    step = following(load(path), image)
    if step is None:
        return None
    source = read(path)
    (at,) = (
        at for at, each in enumerate(source.data["clusters"]) if each.get("name") == step.region
    )
    place = source.places["clusters", at, "image"]
    lines = path.read_text("utf-8").splitlines(keepends=True)
    line = lines[place.line - 1]
    if line.count(step.before) != 1:
        raise InputError(
            f"{path}:{place.line}: does not hold {step.before} on one line with its key; "
            "write it so, or edit it by hand"
        )
    lines[place.line - 1] = line.replace(step.before, step.after)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write("".join(lines))
    written = Path(file.name)
    try:
        load(written)
        written.chmod(path.stat().st_mode)
        written.replace(path)
    except InputError as error:
        raise InputError(*(each.replace(file.name, str(path)) for each in error.problems)) from None
    finally:
        written.unlink(missing_ok=True)
    return step


def following(fleet: Fleet, image: str | None) -> Step | None:
    """The first region that does not run what it is to run next."""
    regions = [each for each in fleet.clusters if isinstance(each, Region)]
    if image is not None:
        first = regions[0] if regions else None
        if first is None or str(first.image) == image:
            return None
        return Step(first.name, str(first.image), image)
    for before, region in itertools.pairwise(regions):
        if region.image != before.image:
            return Step(region.name, str(region.image), str(before.image))
    return None
