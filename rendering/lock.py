"""``python -m fleet lock``: brings upstream.lock to hold what the code uses, and nothing else.

The code uses the bundles of all components, even of those that every cluster leaves out, the
schemas that cdk8s.yaml imports, and the Helm charts of apps. Without ``--accept`` no entry changes.
It reads only files that are not locked yet, and those in the folder of ``--mirror``, which must be
as locked.
"""

import argparse
from pathlib import Path

from bindings.generator import ROOT, read_config
from charts.catalogue import COMPONENTS, charts
from fleet.apps import APPS
from fleet.errors import InputError
from upstream import lock, mirror
from upstream.fetch import Fetch, add_mirror, download, fetch_all, mirrored, place
from upstream.lock import Lock


def configure(parser: argparse.ArgumentParser) -> None:
    add_mirror(parser)
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--accept",
        action="store_true",
        help="read every file again and lock what its URL holds now",
    )
    one.add_argument(
        "--check",
        action="store_true",
        help="write and read nothing; exit with 1 if files are missing or no longer used",
    )


def run(args: argparse.Namespace) -> int:
    wanted = used()
    before = lock.read() if lock.PATH.exists() else {}
    if args.check:
        stale = changes(before, {url: before.get(url, "") for url in wanted})
        if stale:
            print("\n".join([*stale, f"{lock.PATH.name}: run `make lock`"]))
        return 1 if stale else 0
    in_folder = [url for url in wanted if args.mirror and (args.mirror / place(url)).is_file()]
    new = wanted - before.keys()
    urls = sorted(wanted if args.accept else new.union(in_folder))
    contents = fetch_all(urls, _source(args.mirror, again=args.accept))
    sums = {url: lock.digest(content) for url, content in contents.items()}
    changed = [url for url in urls if before.get(url, sums[url]) != sums[url]]
    if changed and not args.accept:
        raise InputError(*(lock.changed(url, sums[url], before) for url in changed))
    after = {url: sums.get(url) or before[url] for url in wanted}
    if after != before:
        lock.write(after)
    if not args.mirror:
        mirror.keep(contents)
    told = changes(before, after) or [f"{lock.PATH.name}: up to date, {len(after)} files"]
    print("\n".join(told))
    return 0


def used(apps: Path = ROOT / APPS) -> set[str]:
    """The URLs of all upstream files that rendering, imports and tests use.

    The Helm charts among them are those that the files of ``apps`` name.
    """
    bundles = {url for component in COMPONENTS for url in component.BUNDLES}
    schemas = {url for urls in read_config(ROOT / "cdk8s.yaml").values() for url in urls}
    urls = bundles | schemas | charts(apps)
    if wrong := sorted(url for url in urls if not lock.URL.fullmatch(url)):
        raise InputError(*(f"{url}: is not of the form https://<host>/<path>" for url in wrong))
    return urls


def changes(before: Lock, after: Lock) -> list[str]:
    """One line for each entry that was added, changed or dropped."""
    return [
        *(f"+ {url}" for url in sorted(after.keys() - before.keys())),
        *(f"~ {url}" for url in sorted(after) if before.get(url, after[url]) != after[url]),
        *(f"- {url}" for url in sorted(before.keys() - after.keys())),
    ]


def _source(directory: Path | None, *, again: bool) -> Fetch:
    """Reads from ``directory``; else from our mirror unless ``again``; else from the network."""
    if directory:
        return mirrored(directory)
    root = mirror.folder()

    def read(url: str) -> bytes:
        path = root / place(url)
        return path.read_bytes() if path.is_file() and not again else download(url)

    return read
