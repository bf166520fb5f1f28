"""What kustomize built before, by the content of everything that it read.

A bundle takes seconds to build and to parse, and seldom changes. Entries are content-addressed:
one that is there is right, and one that is lost costs time only.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from fleet import atomic

UNUSED_SECONDS: Final = 30 * 24 * 3600
"""How long an entry stays that nothing uses."""


def folder() -> Path:
    """A folder in the user's cache; it need not exist."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "foobar-platform" / "builds"


class Memory:
    """Objects by fingerprint, one JSON text per object and one file per build."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, fingerprint: str) -> Sequence[str] | None:
        """The objects of a build as JSON, or None if it is not known."""
        file = self._folder / fingerprint
        try:
            text = file.read_text("utf-8")
            os.utime(file)
        except OSError:
            return None
        return text.splitlines()

    def add(self, fingerprint: str, objects: Sequence[Mapping[str, Any]]) -> None:
        """Remembers a build, unless JSON cannot hold its objects, as with a date."""
        try:
            lines = [json.dumps(each) for each in objects]
        except TypeError:
            return
        if [json.loads(line) for line in lines] != list(objects):
            return
        # A cache that cannot be written is no fault of what is checked, and other processes may be
        # tidying up as well.
        with suppress(OSError):
            atomic.write(self._folder / fingerprint, "\n".join(lines).encode())
            for file in self._folder.glob("[!.]*"):
                if time.time() - file.stat().st_mtime > UNUSED_SECONDS:
                    file.unlink()
