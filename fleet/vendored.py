"""The folder vendor/: copies of other projects' manifests, and the sums that they are held to.

A copy is a folder at the host and path of its URL, with a kustomization beside the file, because
kustomize takes nothing but folders from outside the one it builds. ``SHA256SUMS`` has the form
that ``sha256sum --check`` reads.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from fleet.documents import dump
from fleet.errors import InputError
from fleet.fetch import Fetch, place

VENDOR: Final = Path("vendor")
SUMS: Final = "SHA256SUMS"
KUSTOMIZATION: Final = "kustomization.yaml"
_MEND: Final = "run `python -m fleet vendor`"


def load(folder: Path) -> Mapping[str, str] | None:
    """Where in ``folder`` each URL's copy is; None if there is no such folder.

    Raises InputError with a line for each copy that is not what it was when it was fetched.
    """
    if not folder.exists():
        return None
    sums = _sums(folder)
    problems = [line for file, known in sums.items() if (line := _fault(folder, file, known))]
    named = {folder / SUMS, *(folder / each for each in sums)}
    named |= {(folder / each).parent / KUSTOMIZATION for each in sums}
    problems += [
        f"{path}: {SUMS} does not name it; remove it, or {_MEND}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in named
    ]
    if problems:
        raise InputError(*problems)
    return {f"https://{Path(file).parent}": str(Path(file).parent) for file in sums}


def update(folder: Path, urls: Collection[str], fetch: Fetch, *, accept: bool) -> list[str]:
    """Brings ``folder`` to hold the content of ``urls`` and nothing else; tells what changed.

    Raises InputError, and changes nothing, where a URL gives something else than it gave before,
    unless that is to be accepted.
    """
    before = _sums(folder) if folder.exists() else {}
    contents = {_file(url): fetch(url) for url in urls}
    sums = {file: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    moved = [file for file in sums if before.get(file, sums[file]) != sums[file]]
    if moved and not accept:
        raise InputError(
            *(
                f"https://{Path(file).parent}: gave sha256 {before[file]} when it was vendored, "
                f"and gives {sums[file]} now; find out why, and take it with --accept"
                for file in moved
            )
        )
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as staged:
        new = Path(staged) / "new"
        new.mkdir()
        for file, content in sorted(contents.items()):
            path = new / file
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            (path.parent / KUSTOMIZATION).write_text(_kustomization(path.name), "utf-8")
        lines = [f"{known}  {file}\n" for file, known in sorted(sums.items())]
        (new / SUMS).write_text("".join(lines), "utf-8")
        if folder.exists():
            folder.rename(Path(staged) / "old")
        shutil.move(new, folder)
    return [
        *(f"+ {file}" for file in sorted(sums.keys() - before.keys())),
        *(f"~ {file}" for file in sorted(moved)),
        *(f"- {file}" for file in sorted(before.keys() - sums.keys())),
    ]


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


def _sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS
    try:
        lines = path.read_text("utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: is not there, so nothing can be trusted; {_MEND}") from None
    sums = {}
    for number, line in enumerate(lines, 1):
        known, spaces, file = line.partition("  ")
        if not spaces or len(known) != hashlib.sha256().digest_size * 2:
            raise InputError(f"{path}:{number}: is not a sum and a file; {_MEND}")
        sums[file] = known
    return sums


def _fault(folder: Path, file: str, known: str) -> str | None:
    path = folder / file
    beside = path.parent / KUSTOMIZATION
    if not path.is_file():
        return f"{path}: is not there; restore it, or {_MEND}"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != known:
        return f"{path}: has sha256 {found}, not {known} of {folder / SUMS}; restore it, or {_MEND}"
    if not beside.is_file() or beside.read_text("utf-8") != _kustomization(path.name):
        return f"{beside}: does not name {path.name} alone; restore it, or {_MEND}"
    return None
