"""``python -m fleet image``: where foobar-api's image of this commit goes, and how it is built.

The registry and the repository are those of the image that the regions run, so a fork pushes to
its own. The same commit gives the same answers.
"""

import argparse
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from charts.catalogue import load
from fleet.errors import InputError
from fleet.registry import Fleet
from foobar_api import VERSION

FLEET: Final = Path("clusters.yaml")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "fact",
        choices=ANSWERS,
        help="registry: the host to sign in to; name: what to push; arguments: of the build",
    )


def run(args: argparse.Namespace) -> int:
    print(ANSWERS[args.fact](load(FLEET)))
    return 0


def repository(fleet: Fleet) -> str:
    """The image that all regions run, without tag and digest; raises InputError if they differ."""
    regions: dict[str, list[str]] = {}
    for region in fleet.regions:
        regions.setdefault(region.image_repository, []).append(region.name)
    if not regions:
        raise InputError(f"{FLEET}: has no region; the image goes where a region pulls it from")
    if len(regions) > 1:
        told = "; ".join(f"{image} in {', '.join(names)}" for image, names in regions.items())
        raise InputError(
            f"{FLEET}: the regions pull foobar-api from different repositories: {told}; an image "
            "is pushed to one, so give all regions the same"
        )
    return next(iter(regions))


def _registry(fleet: Fleet) -> str:
    return repository(fleet).partition("/")[0]


def _name(fleet: Fleet) -> str:
    # A tag is never pushed twice: it has the commit in it.
    return f"{repository(fleet)}:{VERSION}-{_git('rev-parse', 'HEAD')[:12]}"


def _arguments(fleet: Fleet) -> str:
    created = datetime.fromtimestamp(int(_git("log", "-1", "--format=%ct")), UTC)
    given = {
        "VERSION": VERSION,
        "REVISION": _git("rev-parse", "HEAD"),
        "CREATED": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "SOURCE": fleet.git.web,
    }
    return " ".join(f"--build-arg {name}={value}" for name, value in given.items())


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise InputError(f"git {' '.join(arguments)}: {result.stderr.strip()}")
    return result.stdout.strip()


ANSWERS: Final[Mapping[str, Callable[[Fleet], str]]] = {
    "registry": _registry,
    "name": _name,
    "arguments": _arguments,
}
