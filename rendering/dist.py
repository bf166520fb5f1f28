"""The folder dist as a whole: replaced at once or not at all, but for what people put there.

A render deletes what an earlier one wrote and this one does not: the folder of a retired region, a
component left out, an object under its former name. It deletes nothing else. What a render writes
says so itself: an object carries a label and its file its name, a kustomization or patch begins
with ``HEADER``. A person or an editor put any other file there, and the render is refused until
somebody moves it. No record is kept, so the rule holds after a merge, a checkout or a copy, for a
render of any earlier registry, and for files that Git does not know.

A file that the new render writes too is replaced whoever changed it: ``main.py --diff`` shows what
that undoes.
"""

import os
import re
import secrets
import shutil
import signal
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

import yaml

from charts.baseline import Baseline
from fleet import documents
from fleet.errors import InputError

HEADER: Final = "# Rendered by main.py, which replaces or deletes this file.\n"
KUSTOMIZATION: Final = "kustomization.yaml"

_IN_EVERY_CLUSTER: Final = Baseline.NAME
_ROOT: Final = Path(__file__).resolve().parent.parent
_UNMARKED: Final = ("bundle", "patches")
"""Folders of patches that had no header before 0.2.0."""


class Summary(NamedTuple):
    """What a render comes to, in files; an object is one."""

    objects: int
    folders: int
    added: int
    changed: int
    removed: int

    def __str__(self) -> str:
        total = self.added + self.changed + self.removed
        more = ", ".join(
            f"{count} {how}"
            for how, count in (("added", self.added), ("removed", self.removed))
            if count
        )
        files = f"{total} {'file' if total == 1 else 'files'} changed" if total else "no changes"
        return f"{self.objects} objects in {self.folders} folders, {files}" + (
            f" ({more})" if more else ""
        )


@contextmanager
def staged(dist: Path, *, only: Collection[str] | None = None) -> Iterator[Path]:
    """A new folder beside ``dist`` to render into, removed when the context ends.

    It starts empty, or, if ``only`` some clusters are to be rendered, with copies of the others
    that ``dist`` has. SIGTERM ends the context like ^C does, so that nothing stays behind. Raises
    InputError if ``dist`` cannot be the folder of a render.
    """
    _check_place(dist)
    dist = dist.resolve()
    _recover(dist)
    dist.parent.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, _interrupt)
    # Named before it is made, so that an interruption at any moment leaves nothing.
    folder = dist.with_name(f".{dist.name}-{secrets.token_hex(4)}")
    try:
        folder.mkdir()
        if only is not None and dist.exists():
            for cluster in dist.iterdir():
                if cluster.name not in only:
                    _copy(cluster, folder / cluster.name)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


def check_deletions(dist: Path, staged: Path, *, labels: Mapping[str, str], overlays: Path) -> None:
    """Raises InputError for every file that ``replace`` would delete though no render wrote it.

    ``labels`` are those that every rendered object has.
    """
    unmarked = not any(map(_has_header, dist.glob(f"*/*/{KUSTOMIZATION}")))
    problems = []
    for file in sorted(_files(dist) - _files(staged)):
        if not _is_rendered(dist / file, labels, unmarked=unmarked):
            component = Path(*Path(file).parts[:2])
            place = (
                f"to {overlays / component}" if (staged / component).is_dir() else f"out of {dist}"
            )
            problems.append(
                f"{dist / file}: main.py did not write this file and would delete it; "
                f"move it {place}, or delete it yourself"
            )
    if problems:
        raise InputError(*problems)


def replace(dist: Path, staged: Path) -> Summary:
    """Puts ``staged`` in the place of ``dist``; what only the old one had is gone with it.

    Two renames: a process killed between them leaves the old folder whole under the name that
    the next run looks for.
    """
    dist = dist.resolve()
    summary = _summary(dist, staged)
    previous = _previous(dist)
    if dist.exists():
        dist.rename(previous)
    try:
        staged.rename(dist)
    except BaseException:
        _recover(dist)
        raise
    shutil.rmtree(previous, ignore_errors=True)
    return summary


def _summary(old: Path, new: Path) -> Summary:
    before, after = _files(old), _files(new)
    parts = [file.split("/") for file in after]
    return Summary(
        objects=sum(len(each) == 3 and each[-1] != KUSTOMIZATION for each in parts),
        folders=len({tuple(each[:2]) for each in parts}),
        added=len(after - before),
        changed=sum(_content(old / each) != _content(new / each) for each in before & after),
        removed=len(before - after),
    )


def _files(tree: Path) -> set[str]:
    """What is below ``tree`` but folders, by its path from there; links are not followed."""
    files = set()
    for folder, folders, names in os.walk(tree):
        links = [each for each in folders if Path(folder, each).is_symlink()]
        files |= {f"{folder}/{name}"[len(f"{tree}/") :] for name in (*names, *links)}
    return files


def _content(file: Path) -> bytes:
    return bytes(file.readlink()) if file.is_symlink() else file.read_bytes()


def _is_rendered(file: Path, labels: Mapping[str, str], *, unmarked: bool) -> bool:
    if file.is_symlink() or file.suffix != ".yaml":
        return False
    if _has_header(file):
        return True
    if unmarked and (file.name == KUSTOMIZATION or file.parent.name in _UNMARKED):
        return True
    try:
        objects = documents.read_all(file)
    except (yaml.YAMLError, ValueError):
        return False
    match objects:
        case [{"kind": kind, "metadata": {"name": name, "labels": {**found}}}]:
            wanted = re.sub(r"[^\w.-]", "", f"{kind}.{name}.yaml")  # as cdk8s names files
            return file.name == wanted and labels.items() <= found.items()
        case _:
            return False


def _has_header(file: Path) -> bool:
    with file.open("rb") as content:
        return content.readline() == HEADER.encode()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)


def _previous(dist: Path) -> Path:
    return dist.with_name(f".{dist.name}.previous")


def _recover(dist: Path) -> None:
    previous = _previous(dist)
    if previous.exists() and not dist.exists():
        previous.rename(dist)
    shutil.rmtree(previous, ignore_errors=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _check_place(dist: Path) -> None:
    """Raises InputError unless ``dist`` can be replaced: it is missing, empty, or a render."""
    remedy = "name a folder of its own with --output"
    folder = dist.resolve()
    if Path.cwd().is_relative_to(folder):
        raise InputError(
            f"{dist}: main.py runs inside this folder and would replace all of it; {remedy}"
        )
    if render := _render_around(folder):
        raise InputError(f"{dist}: is inside {render}, a render of main.py; {remedy}")
    if source := _source_around(folder):
        raise InputError(f"{dist}: is inside {source.name}/, a source folder; {remedy}")
    if not dist.exists():
        return
    if not dist.is_dir():
        raise InputError(f"{dist}: is a file; name a folder to render into")
    # Overlays have the same layout; their kind is Component.
    if any(dist.iterdir()) and not any(
        b"\nkind: Kustomization\n" in file.read_bytes()
        for file in dist.glob(f"*/*/{KUSTOMIZATION}")
    ):
        raise InputError(f"{dist}: is not empty and is not a render of main.py; {remedy}")


def _source_around(folder: Path) -> Path | None:
    """The top-level folder of this checkout around ``folder``, if it holds files or overlays."""
    if _ROOT not in folder.parents:
        return None
    top = _ROOT / folder.relative_to(_ROOT).parts[0]
    if folder == top:
        return None
    files = any(each.is_file() for each in top.glob("[!.]*"))
    return top if files or any(top.glob(f"*/*/{KUSTOMIZATION}")) else None


def _render_around(folder: Path) -> Path | None:
    """The render that has ``folder`` inside.

    The folders around the working directory are none, though they may hold a cluster's copy.
    """
    for parent in folder.parents:
        # Looks no further than the first level of a folder such as /tmp.
        clusters = parent.glob(f"*/{_IN_EVERY_CLUSTER}/{KUSTOMIZATION}")
        if not Path.cwd().is_relative_to(parent) and any(map(_has_header, clusters)):
            return parent
    return None
