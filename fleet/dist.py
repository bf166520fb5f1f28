"""The folder dist as a whole: replaced at once or not at all."""

import shutil
import signal
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from fleet.errors import InputError


@contextmanager
def staged(dist: Path, *, only: Collection[str] | None = None) -> Iterator[Path]:
    """A new folder beside ``dist`` to render into, removed when the context ends.

    It starts empty, or, if ``only`` some clusters are to be rendered, with copies of the others
    that ``dist`` has. SIGTERM ends the context like ^C does, so that nothing stays behind. Raises
    InputError if ``dist`` holds what no render wrote.
    """
    _recover(dist)
    _check_ours(dist)
    dist.parent.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix=f".{dist.name}-", dir=dist.parent))
    try:
        folder.chmod(0o755)
        if only is not None and dist.exists():
            for cluster in dist.iterdir():
                if cluster.name not in only:
                    shutil.copytree(cluster, folder / cluster.name)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


def replace(dist: Path, staged: Path) -> None:
    """Puts ``staged`` in the place of ``dist``; what only the old one had is gone with it.

    Two renames: a process killed between them leaves the old folder whole under the name that
    the next run looks for.
    """
    previous = _previous(dist)
    if dist.exists():
        dist.rename(previous)
    try:
        staged.rename(dist)
    except BaseException:
        _recover(dist)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def _previous(dist: Path) -> Path:
    return dist.with_name(f".{dist.name}.previous")


def _recover(dist: Path) -> None:
    previous = _previous(dist)
    if previous.exists() and not dist.exists():
        previous.rename(dist)
    shutil.rmtree(previous, ignore_errors=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _check_ours(dist: Path) -> None:
    """A folder is ours if it is empty or all it has is <cluster>/<component>/kustomization.yaml."""
    if not dist.exists():
        return
    if not dist.is_dir():
        raise InputError(f"{dist}: is a file; name a folder to render into")
    for entry in sorted(dist.iterdir()):
        if not any(entry.glob("*/kustomization.yaml")):
            raise InputError(
                f"{dist}: holds {entry.name}, which no render wrote and this one would remove; "
                "move it away, or name a folder of its own with --output"
            )
