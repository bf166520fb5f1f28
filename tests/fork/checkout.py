"""A fork of this checkout in a folder of its own, changed and regenerated as the documents say."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.objects import ROOT
from upstream import mirror


@dataclass(frozen=True)
class Checkout:
    folder: Path
    mirror: Path | None = None
    """Upstream's files in place of those that other tests use."""

    def run(self, *command: str) -> str:
        """Runs a command in the fork and returns what it prints; it has to succeed."""
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}"
        return result.stdout

    def make(self, *arguments: str) -> str:
        return self.run("make", "--no-print-directory", *arguments, f"PYTHON={sys.executable}")

    def pytest(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "pytest", "--quiet", *arguments)

    def contract_suite(self) -> None:
        self.pytest("tests/committed")

    def edit(self, file: str, changes: Mapping[str, str]) -> None:
        """Replaces texts that ``file`` holds."""
        path = self.folder / file
        text = path.read_text("utf-8")
        for old, new in changes.items():
            assert old in text, f"{file}: {old}"
            text = text.replace(old, new)
        path.write_text(text, "utf-8")

    def commit(self) -> None:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "Change the fleet")

    def reset(self) -> None:
        """Forgets what was changed since the last commit."""
        self._git("reset", "--quiet", "--hard")
        self._git("clean", "--quiet", "--force", "-d")

    def changed(self) -> set[str]:
        """The files that differ from the last commit."""
        self._git("add", "--all")
        names = self._git("diff", "--cached", "--name-only", "--no-renames", "-z")
        return set(names.rstrip("\0").split("\0"))

    def _git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=fork", "-c", "user.email=fork@example.net")
        return self.run("git", *identity, *arguments)

    def _environment(self) -> dict[str, str]:
        """Without what the outer pytest and make tell their own processes."""
        outer = ("PYTEST_", "PYTHONDONTWRITEBYTECODE", "MAKE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
        return {**kept, mirror.VARIABLE: str(self.mirror or mirror.folder())}


def fork(folder: Path) -> Checkout:
    """Copies every file that Git knows or would add, and commits them."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    made = Checkout(folder)
    made.run("git", "init", "--quiet")
    made.commit()
    return made
