"""docs/applications.md brings a second app to a fleet: all of its commands that need no cluster."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.fork.checkout import Checkout, fork
from tests.objects import SAMPLE, read
from tests.tutorial import add_apps, steps

IMAGE = "registry.example.com/links-api"


@pytest.fixture(scope="module")
def read_through(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The fleet of the document's reader, who has taken every step."""
    if not all(map(shutil.which, ("git", "make"))):
        pytest.skip("needs git and make on the PATH")
    made = fork(tmp_path_factory.mktemp("reader") / "fork")
    (made.folder / "clusters.yaml").write_bytes(SAMPLE.read_bytes())
    if made.changed():
        made.make("update")
        made.commit()
    made.run("git", "tag", "before")
    for step in steps():
        if step.kind == "yaml":
            add_apps(made.folder / "clusters.yaml", step.text)
        elif not step.on_clusters:
            made.run("bash", "-c", _as_here(step.text))
    return made


def _as_here(command: str) -> str:
    """The same on the Python of this test, for somebody whom Git knows."""
    folder = Path(sys.executable).parent
    identity = "-c user.name=reader -c user.email=reader@example.net"
    command = command.replace("git ", f"git {identity} ", 1)
    command = command.replace("make update", f"make update PYTHON={sys.executable}")
    # A diff is 1 if there is any.
    ended = "; [ $? -eq 1 ]" if "--diff" in command else ""
    return f"PATH={folder}{os.pathsep}$PATH; {command}{ended}"


def test_a_second_app_is_one_file_and_lines_of_the_registry(read_through: Checkout) -> None:
    """And what is generated of them: no Python, and no document that somebody writes."""
    names = read_through.run("git", "diff", "--name-only", "before").splitlines()
    assert {"apps/links-api.yaml", "clusters.yaml"} <= set(names)
    rest = {name for name in names if not name.startswith(("dist/", "docs/"))}
    assert rest <= {"apps/links-api.yaml", "clusters.yaml", "README.md"}
    # What is generated is up to date.
    assert "up to date" in read_through.run(sys.executable, "main.py", "--validate", "--diff")
    read_through.run(sys.executable, "-m", "fleet", "docs", "--check")


def test_each_region_runs_the_image_that_it_was_left_with(read_through: Checkout) -> None:
    """The first has the new one; the second was promoted and rolled back."""
    for region, version in (("us-east", "1.1.0"), ("eu-west", "1.0.0")):
        folder = read_through.folder / "dist" / region / "links-api"
        deployment = read(folder / "Deployment.links-api.yaml")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["image"] == f"{IMAGE}:{version}"
        guards = folder.with_name("tenant-links-api")
        assert (guards / "IngressRoute.links-api.yaml").exists()
