"""``python -m fleet vendor``: copies of every bundle of the fleet, so that dist needs no network.

What is in vendor/ is named by every later render, in place of the URL. Without the folder dist
names URLs, which Argo CD fetches.
"""

import argparse
import shutil
from pathlib import Path

from charts.catalogue import COMPONENTS, load
from fleet.errors import InputError
from fleet.registry import Fleet
from rendering import vendored
from upstream import lock, mirror
from upstream.fetch import add_mirror


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fleet", type=Path, default=Path("clusters.yaml"), metavar="FILE")
    add_mirror(parser)
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--check",
        action="store_true",
        help="write and fetch nothing; fail unless vendor/ has every bundle as it is locked",
    )
    one.add_argument(
        "--remove", action="store_true", help="remove vendor/, so that dist names URLs again"
    )


def run(args: argparse.Namespace) -> int:
    folder = vendored.VENDOR
    if args.remove:
        if folder.exists():
            vendored.check_ours(folder)
            shutil.rmtree(folder)
        print(f"{folder}: removed; run `python main.py`")
        return 0
    urls = bundles(load(args.fleet))
    if args.check:
        check(folder, urls)
        print(f"{folder}: {len(urls)} files, as {lock.PATH.name} has them")
        return 0
    changes = vendored.update(folder, urls, mirror.reader(args.mirror), lock.read())
    print("\n".join(changes) or f"{folder}: up to date")
    if changes:
        print("Run `python main.py`, and commit vendor/ with dist/.")
    return 0


def check(folder: Path, urls: list[str]) -> None:
    """Raises InputError unless ``folder`` is whole and has ``urls``."""
    copies = vendored.load(folder)
    if copies is None:
        raise InputError(f"{folder}: is not there; run `python -m fleet vendor`")
    if missing := [url for url in urls if url not in copies]:
        raise InputError(
            *(f"{folder}: has no copy of {url}; run `python -m fleet vendor`" for url in missing)
        )


def bundles(fleet: Fleet) -> list[str]:
    """The URLs of all bundles of the fleet's components, each once."""
    return sorted(
        {
            url
            for cluster in fleet.clusters
            for component in COMPONENTS
            if component.NAME in cluster.components
            for url in component.BUNDLES
        }
    )
