"""What brings links-api to a cluster: its description, and the folder that its image ships."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from charts.catalogue import TAKEN
from fleet import apps
from fleet.score import Description
from tests.objects import ROOT

FOLDER: Final = ROOT / "examples" / "links_api"


@pytest.fixture(scope="module")
def description() -> Description:
    (found,) = apps.load(FOLDER, TAKEN).values()
    return found


def test_the_platform_takes_its_description(description: Description) -> None:
    assert description.name == "links-api"
    assert description.secrets == {"db": ("url",), "token": ("token",)}


def test_the_app_drains_for_as_long_as_the_platform_counts_on(description: Description) -> None:
    variables = description.container.variables
    assert float(variables["DRAIN_SECONDS"]) == description.platform.drain


def test_every_job_is_a_module_of_the_app(description: Description) -> None:
    jobs = description.jobs
    assert jobs
    for job in jobs.values():
        interpreter, option, module = job.command
        assert (interpreter, option) == ("python3", "-m")
        assert importlib.util.find_spec(module), module


def test_the_image_ships_the_app_and_all_that_it_imports(tmp_path: Path) -> None:
    target = tmp_path / "app"
    result = subprocess.run(
        [".ci/assemble", "examples/links_api", target],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    if "No matching distribution" in result.stderr:
        pytest.skip("needs the package index")
    assert result.returncode == 0, result.stdout + result.stderr
    assert all(file.suffix in (".py", "") for file in (target / "links_api").iterdir())
    # Without the packages of the tests.
    script = f"import sys; sys.path.insert(0, {str(target)!r}); import links_api.__main__"
    subprocess.run([sys.executable, "-I", "-S", "-c", script], cwd=tmp_path, check=True)
