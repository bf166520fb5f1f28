"""Where foobar-api's image goes: to the repository that the regions of clusters.yaml pull from."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.errors import InputError
from fleet.git import Git
from foobar_api import VERSION
from operations.image import repository
from tests.objects import APPS, ROOT, load

HUB = """\
git:
  repository: git@gitlab.com:team/fleet.git
  revision: main
acme:
  email: ops@foobar-platform.dev
clusters:
  - name: hub
    role: hub
    address: 198.51.100.1
"""


def registry(folder: Path, **images: str) -> Path:
    """A registry with a region for each image."""
    path = folder / "clusters.yaml"
    path.write_text(
        HUB
        + "".join(
            f"  - name: {name}\n    role: region\n    address: 198.51.100.{at}\n"
            f"    apps: {{foobar-api: {{hostname: {name}, image: {image}}}}}\n"
            for at, (name, image) in enumerate(images.items(), 2)
        )
    )
    return path


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("registry.example.com/team/app:1.0.0", "registry.example.com/team/app"),
        ("registry.example.com:5000/app:1.0.0", "registry.example.com:5000/app"),
        (f"registry.example.com:5000/app@sha256:{'0' * 64}", "registry.example.com:5000/app"),
        (f"localhost/a/b/c:2@sha256:{'0' * 64}", "localhost/a/b/c"),
    ],
)
def test_the_repository_is_that_of_the_regions(image: str, expected: str, tmp_path: Path) -> None:
    assert repository(load(registry(tmp_path, north=image))) == expected


def test_regions_may_run_different_versions_from_one_repository(tmp_path: Path) -> None:
    images = {"north": "registry.example.com/app:1.1.0", "south": "registry.example.com/app:1.0.0"}
    assert repository(load(registry(tmp_path, **images))) == "registry.example.com/app"


def test_regions_that_disagree_are_named(tmp_path: Path) -> None:
    fleet = load(
        registry(
            tmp_path,
            north="one.example.com/app:1.0.0",
            east="two.example.com/app:1.0.0",
            south="one.example.com/app:1.0.0",
        )
    )
    with pytest.raises(InputError) as raised:
        repository(fleet)
    assert str(raised.value) == (
        "clusters.yaml: the regions pull foobar-api from different repositories: "
        "one.example.com/app in north, south; two.example.com/app in east; an image is pushed to "
        "one, so give all regions the same"
    )


def test_a_fleet_without_regions_has_no_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^clusters\.yaml: no region runs foobar-api"):
        repository(load(registry(tmp_path)))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/team/fleet.git", "https://github.com/team/fleet"),
        ("https://git.example.org/team/sub/fleet", "https://git.example.org/team/sub/fleet"),
        ("git@gitlab.com:team/fleet.git", "https://gitlab.com/team/fleet"),
        ("ssh://git@ssh.github.com:443/team/fleet.git", "https://ssh.github.com/team/fleet"),
    ],
)
def test_people_read_the_repository_over_https(url: str, expected: str) -> None:
    assert Git(repository=url, revision="main").web == expected


class TestCommand:
    """In a checkout of another fleet."""

    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        registry(tmp_path, north="registry.example.com:5000/team/app:0.1.0")
        shutil.copy(ROOT / "Makefile", tmp_path)
        shutil.copytree(APPS, tmp_path / "apps")
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        for command in (
            ["git", "init", "--quiet"],
            ["git", "add", "clusters.yaml"],
            ["git", *identity, "commit", "--quiet", "--message", "one"],
        ):
            subprocess.run(command, cwd=tmp_path, check=True)
        return tmp_path

    @staticmethod
    def run(checkout: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=checkout, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip

    @staticmethod
    def head(checkout: Path) -> str:
        command = ["git", "rev-parse", "HEAD"]
        return subprocess.run(
            command, cwd=checkout, capture_output=True, text=True, check=True
        ).stdout.strip()

    @pytest.mark.parametrize("fact", ["registry", "name", "arguments"])
    def test_it_prints_a_fact_of_this_commit(self, fact: str, checkout: Path) -> None:
        head = self.head(checkout)
        result = self.run(checkout, sys.executable, "-m", "fleet", "image", fact)
        assert (result.returncode, result.stderr) == (0, "")
        if fact == "registry":
            assert result.stdout == "registry.example.com:5000\n"
        elif fact == "name":
            name = f"registry.example.com:5000/team/app:{VERSION}-{head[:12]}"
            assert result.stdout == f"{name}\n"
        else:
            assert f"--build-arg VERSION={VERSION} --build-arg REVISION={head} " in result.stdout
            assert "--build-arg SOURCE=https://gitlab.com/team/fleet\n" in result.stdout

    def test_the_workflow_signs_in_to_that_registry(self, checkout: Path) -> None:
        output = checkout / "output"
        result = self.run(
            checkout, "make", "image-registry",
            PYTHON=sys.executable, GITHUB_OUTPUT=str(output),
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert output.read_text() == "registry=registry.example.com:5000\n"

    @pytest.mark.parametrize("target", ["image-push", "image-registry"])
    def test_nothing_is_pushed_where_regions_disagree(self, target: str, checkout: Path) -> None:
        registry(checkout, north="one.example.com/app:1.0.0", south="two.example.com/app:1.0.0")
        docker = checkout / "bin" / "docker"
        docker.parent.mkdir()
        docker.write_text(f"#!/bin/sh\ntouch {checkout / 'built'}\n")
        docker.chmod(0o755)
        result = self.run(
            checkout, "make", target,
            PYTHON=sys.executable, GITHUB_OUTPUT=str(checkout / "output"),
            PATH=f"{docker.parent}:{os.environ['PATH']}",
        )  # fmt: skip
        assert result.returncode != 0
        assert "different repositories: one.example.com/app in north" in result.stderr
        assert not (checkout / "output").exists()
        assert not (checkout / "built").exists()


def test_no_registry_of_ours_is_in_a_script_or_a_workflow() -> None:
    files = [
        ROOT / "Makefile",
        ROOT / "foobar_api" / "Containerfile",
        *(ROOT / ".github").rglob("*.*"),
    ]
    for file in filter(Path.is_file, files):
        text = file.read_text("utf-8")
        assert "vultrcr.com" not in text, file
        assert "foobar-platform/foobar-platform" not in text, file
