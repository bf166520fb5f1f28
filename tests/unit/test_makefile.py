"""What the targets of the Makefile say where something is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.objects import ROOT


def make(
    *arguments: str, cwd: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    inherited = {
        key: value
        for key, value in os.environ.items()
        if key not in {"PYTHON", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL"}
    }
    return subprocess.run(
        ["make", *arguments],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("target", ["diff", "fresh", "lint", "test", "workflows"])
@pytest.mark.parametrize("active", ["", "/nowhere"])
def test_without_an_environment_a_target_says_how_to_make_one(
    target: str, active: str, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    result = make(target, cwd=tmp_path, environment={"VIRTUAL_ENV": active})
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    python = f"{active or '.venv'}/bin/python"
    assert line.endswith(f"{python} does not exist: run `make setup` first.  Stop.")


def test_with_an_environment_it_is_used(tmp_path: Path) -> None:
    """The active one, that of .venv, or what PYTHON says."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for folder in ("active", ".venv"):
        (tmp_path / folder / "bin").mkdir(parents=True)
        (tmp_path / folder / "bin" / "python").symlink_to(sys.executable)

    def python(**environment: str) -> str:
        result = make("--dry-run", "synth", cwd=tmp_path, environment=environment)
        assert result.returncode == 0, result.stderr
        return result.stdout.split('"')[1]

    assert python(VIRTUAL_ENV="active") == "active/bin/python"
    assert python() == ".venv/bin/python"
    assert python(PYTHON="/some/python", VIRTUAL_ENV="active") == "/some/python"


def test_setup_makes_no_environment_of_an_unsupported_python(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "fleet").mkdir()
    shutil.copy(ROOT / "fleet" / "__init__.py", tmp_path / "fleet")
    programs = tmp_path / "bin"
    programs.mkdir()
    # A python3 that takes itself for an old one.
    (programs / "python3").write_text(
        f"#!{sys.executable}\nimport sys\nsys.version_info = (3, 10, 13)\nsys.path.insert(0, '')\n"
        "assert sys.argv[1] == '-c'\nexec(sys.argv[2])\n"
    )
    (programs / "python3").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    result = make("setup", cwd=tmp_path, environment={"PATH": path})
    assert result.returncode == 2
    assert "needs Python 3." in result.stderr.splitlines()[0]
    assert "is Python 3.10.13;" in result.stderr.splitlines()[0]
    assert not (tmp_path / ".venv").exists()
