"""The folder vendor/: copies of other projects' manifests, as upstream.lock has them.

A copy is a folder at the host and path of its URL, with a kustomization beside the file, because
kustomize takes nothing but folders from outside the one it builds.
"""

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from fleet.documents import dump
from fleet.errors import InputError
from upstream import lock
from upstream.fetch import Fetch, fetch_all, place
from upstream.lock import Lock

VENDOR: Final = Path("vendor")
KUSTOMIZATION: Final = "kustomization.yaml"
_MEND: Final = "run `python -m fleet vendor`"


def load(folder: Path) -> Mapping[str, str] | None:
    """Where in ``folder`` each URL's copy is; None if there is no such folder.

    Raises InputError with a line for each copy that is not what upstream.lock has.
    """
    if not folder.exists():
        return None
    check_ours(folder)
    sums = lock.read()
    copies = _copies(folder)
    if problems := [line for url in copies for line in _faults(folder, url, sums)]:
        raise InputError(*problems)
    return {url: place(url) for url in copies}


def update(folder: Path, urls: Collection[str], fetch: Fetch, sums: Lock) -> list[str]:
    """Brings ``folder`` to hold copies of ``urls`` and nothing else; returns what changed.

    Fetches what it does not hold yet. Raises InputError, and changes nothing, if ``folder`` holds
    anything but copies, or if a URL cannot be read.
    """
    before = _copies(folder) if folder.exists() else []
    check_ours(folder)
    wrong = {url for url in before if any(_faults(folder, url, sums))}
    right = set(urls).intersection(before) - wrong
    contents = {
        **{url: (folder / _file(url)).read_bytes() for url in right},
        **fetch_all([url for url in urls if url not in right], fetch),
    }
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as staged:
        new = Path(staged) / "new"
        for url, content in contents.items():
            path = new / _file(url)
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            (path.parent / KUSTOMIZATION).write_text(_kustomization(path.name), "utf-8")
        if folder.exists():
            folder.rename(Path(staged) / "old")
        shutil.move(new, folder)
    return [
        *(f"+ {_file(url)}" for url in sorted(set(urls) - set(before))),
        *(f"~ {_file(url)}" for url in sorted(set(urls).intersection(before) - right)),
        *(f"- {_file(url)}" for url in sorted(set(before) - set(urls))),
    ]


def check_ours(folder: Path) -> None:
    """Raises InputError if ``folder`` is a file, or holds one that is no part of a copy."""
    if folder.is_file():
        raise InputError(f"{folder}: is a file; remove it")
    strangers = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in {path.parent.name, KUSTOMIZATION}
    ]
    if strangers:
        raise InputError(*(f"{path}: is no copy of a bundle; remove it" for path in strangers))


def _copies(folder: Path) -> list[str]:
    """The URLs that ``folder`` has a place for."""
    places = {path.parent.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return sorted(f"https://{each.as_posix()}" for each in places)


def _file(url: str) -> str:
    """``host/path/name.yaml/name.yaml``: the last folder is one file's own."""
    path = place(url)
    return f"{path}/{Path(path).name}"


def _kustomization(file: str) -> str:
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [file],
    }
    return dump(content)


def _faults(folder: Path, url: str, sums: Lock) -> Iterator[str]:
    path = folder / _file(url)
    beside = path.parent / KUSTOMIZATION
    if url not in sums:
        yield f"{path}: {lock.PATH.name} does not have it; {_MEND}"
    elif not path.is_file():
        yield f"{path}: is missing; restore it, or {_MEND}"
    elif (found := lock.digest(path.read_bytes())) != sums[url]:
        yield (
            f"{path}: has sha256 {found}, but {lock.PATH.name} has {sums[url]}; "
            f"restore it, or {_MEND}"
        )
    elif not beside.is_file() or beside.read_text("utf-8") != _kustomization(path.name):
        yield f"{beside}: does not name {path.name} alone; restore it, or {_MEND}"
