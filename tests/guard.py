"""Keeps tests away from the fleet of this checkout, because a fork has another one.

Tests run on the fixture fleets in tests/fixtures/fleets. Only the tests in ``MAY_READ`` may read
clusters.yaml, dist/ and overlays/, or run a command that does.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.objects import ROOT

OWN: Final = tuple(str(ROOT / name) for name in ("clusters.yaml", "dist", "overlays"))
MAY_READ: Final = tuple(ROOT / "tests" / name for name in ("committed", "fork", "live"))

_READS: Final = frozenset({"open", "os.listdir", "os.scandir"})
_allowed: bool = False


class OwnFleetError(AssertionError):
    """A test has read the fleet of this checkout."""


@contextmanager
def reading_allowed(test: Path) -> Iterator[None]:
    """Lets ``test`` read the fleet of this checkout, if it is one of those that may."""
    global _allowed  # noqa: PLW0603 - an audit hook has no other way to know which test runs
    _allowed = any(test.is_relative_to(folder) for folder in MAY_READ)
    try:
        yield
    finally:
        _allowed = False


def install() -> None:
    """Watches this process from now on; Python cannot remove an audit hook."""
    sys.addaudithook(_audit)


def _audit(event: str, arguments: Sequence[object]) -> None:
    if _allowed:
        return
    if event in _READS and isinstance(arguments[0], str | bytes | os.PathLike):
        name = os.fsdecode(arguments[0])
        if event == "open" and arguments[1] is None and not os.path.isabs(name):  # noqa: PTH117
            return  # os.open with dir_fd, as shutil.rmtree calls it: relative to any folder
        path = os.path.abspath(name)  # noqa: PTH100 - called for every file
        if path in OWN or path.startswith(tuple(f"{own}{os.sep}" for own in OWN)):
            raise OwnFleetError(f"{path}: use the fixture `fleet` or a file of tests/fixtures")
    elif event == "subprocess.Popen":
        _, command, folder, _ = arguments
        words = command.split() if isinstance(command, str) else [str(each) for each in command]  # type: ignore[attr-defined]
        if Path(str(folder or ".")).resolve() == ROOT and _renders(words):
            raise OwnFleetError(f"{' '.join(words)}: run it in the folder of the fixture `project`")


def _renders(words: Sequence[str]) -> bool:
    """Whether a command reads the fleet of the folder that it runs in."""
    named = any(Path(word).name == "main.py" for word in words)
    return named or ("-m", "fleet") in pairwise(words)
