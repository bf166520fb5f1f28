"""The guard finds a test that reads the fleet of the checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guard import OwnFleetError
from tests.objects import MAIN, ROOT, SAMPLE


@pytest.mark.parametrize("path", ["clusters.yaml", "dist/README.md", "overlays/none/x.yaml"])
def test_no_file_of_the_own_fleet_is_opened(path: str) -> None:
    with pytest.raises(OwnFleetError):
        (ROOT / path).read_bytes()


@pytest.mark.parametrize("folder", ["dist", "overlays"])
def test_no_folder_of_the_own_fleet_is_listed(folder: str) -> None:
    with pytest.raises(OwnFleetError):
        list((ROOT / folder).iterdir())


@pytest.mark.parametrize("command", [MAIN, (sys.executable, "-m", "fleet", "status")])
def test_no_command_runs_on_the_own_fleet(command: tuple[str, ...]) -> None:
    with pytest.raises(OwnFleetError):
        subprocess.run(command, cwd=ROOT, check=False)


def test_other_files_are_read(tmp_path: Path) -> None:
    """Also those of the same names elsewhere, which shutil.rmtree opens by name alone."""
    assert SAMPLE.read_bytes()
    assert (ROOT / "README.md").read_bytes()
    (tmp_path / "work" / "dist").mkdir(parents=True)
    shutil.rmtree(tmp_path / "work")
