"""What main.py deletes in dist: what an earlier render wrote, and nothing that people put there."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from charts.labels import PART_OF, PROJECT
from fleet.errors import InputError
from rendering.dist import HEADER, KUSTOMIZATION, check_deletions, replace, staged
from rendering.render import render
from tests.objects import ROOT, load, read_objects

HUB = """\
git: {repository: https://git.example.org/fleet.git, revision: main}
acme: {email: ops@foobar-platform.dev}
clusters:
  - {name: hub, role: hub, address: 192.0.2.1}
"""
NORTH = """\
  - name: north
    role: region
    address: 192.0.2.2
"""
APP = "    apps: {foobar-api: {hostname: north, image: registry.example.org/app:1.0.0}}\n"

Render = Callable[[str], Path]
"""Renders the text of a registry, and returns the dist."""


@pytest.fixture(scope="module")
def render_of(tmp_path_factory: pytest.TempPathFactory) -> Render:
    known: dict[str, Path] = {}

    def rendered(text: str) -> Path:
        if text not in known:
            folder = tmp_path_factory.mktemp("render")
            (folder / "clusters.yaml").write_text(text)
            fleet = load(folder / "clusters.yaml")
            for cluster in fleet.clusters:
                target = folder / "dist" / cluster.name
                render(fleet, cluster, folder=target, overlays=folder / "overlays")
            known[text] = folder / "dist"
        return known[text]

    return rendered


@pytest.fixture
def dist(render_of: Render, tmp_path: Path) -> Path:
    return Path(shutil.copytree(render_of(HUB + NORTH), tmp_path / "dist"))


def deletions(dist: Path, new: Path) -> list[str]:
    try:
        check_deletions(dist, new, labels={PART_OF: PROJECT}, overlays=Path("overlays"))
    except InputError as error:
        return list(error.problems)
    return []


def contents(folder: Path) -> Mapping[str, bytes | None]:
    """Everything below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def main(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "main.py", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


# What a render wrote


@pytest.mark.parametrize(
    "registry", [HUB, HUB + NORTH + APP, HUB + NORTH.replace("north", "south")]
)
def test_a_render_of_another_registry_is_replaced(
    dist: Path, render_of: Render, registry: str
) -> None:
    """A retired region, a component left out, a cluster under another name, and back."""
    assert deletions(dist, render_of(registry)) == []
    assert deletions(render_of(registry), dist) == []


def test_an_object_under_a_former_name_is_replaced(dist: Path, render_of: Render) -> None:
    for file in dist.glob("*/traefik/*Policy.traefik.yaml"):
        text = file.read_text().replace("name: traefik\n", "name: ingress\n")
        (file.parent / "NetworkPolicy.ingress.yaml").write_text(text)
        file.unlink()
    assert deletions(dist, render_of(HUB + NORTH)) == []


def test_patches_of_another_version_are_replaced(dist: Path, render_of: Render) -> None:
    """Of this version, in a folder of another name; and of the one that did not mark them."""
    new = render_of(HUB)
    for bundle in dist.glob("*/*/bundle"):
        bundle.rename(bundle.with_name("patches"))
    assert deletions(dist, new) == []
    for file in dist.rglob("*.yaml"):
        file.write_text(file.read_text().removeprefix(HEADER))
    assert deletions(dist, new) == []


def test_every_rendered_file_says_that_it_is_rendered(dist: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert deletions(dist, tmp_path / "empty") == []


# What a person put there

COPY = "hub/traefik/Service.copy.yaml"
HAND_WRITTEN = {
    "notes.txt": "remember",
    "hub/README.md": "what this folder is",
    "hub/.DS_Store": "",
    "hub/mine/kustomization.yaml": "resources: [ConfigMap.mine.yaml]\n",
    "hub/mine/ConfigMap.mine.yaml": "kind: ConfigMap\nmetadata: {name: mine}\n",
    "hub/traefik/ConfigMap.listed.yaml": "kind: ConfigMap\nmetadata: {name: listed}\n",
    "hub/traefik/Service.traefik.yaml~": "an editor's copy",
    "hub/traefik/empty.yaml": "",
    "hub/traefik/broken.yaml": "{",
    "hub/traefik/bundle/Deployment.patch.yaml": "kind: Deployment\n",
    "north/traefik/patches/Deployment.patch.yaml": "kind: Deployment\n",
}


@pytest.fixture
def edited(dist: Path) -> Path:
    for name, text in HAND_WRITTEN.items():
        (dist / name).parent.mkdir(exist_ok=True)
        (dist / name).write_text(text)
    shutil.copy(dist / "hub/traefik/Service.traefik.yaml", dist / COPY)
    (dist / "hub/traefik/link").symlink_to(dist)
    listed = dist / "hub/traefik" / KUSTOMIZATION
    listed.write_text(f"{listed.read_text()}- ConfigMap.listed.yaml\n")
    return dist


def test_hand_written_files_are_named_with_a_remedy(edited: Path, render_of: Render) -> None:
    """Also one that the kustomization lists, and one in a folder with its own."""
    names = sorted([*HAND_WRITTEN, COPY, "hub/traefik/link"])
    told = deletions(edited, render_of(HUB + NORTH))
    assert [line.partition(":")[0] for line in told] == [f"{edited}/{name}" for name in names]
    for name, line in zip(names, told, strict=True):
        cluster, _, rest = name.partition("/")
        inside = rest.startswith("traefik/")
        place = f"to overlays/{cluster}/traefik" if inside else f"out of {edited}"
        assert line.endswith(
            f": main.py did not write this file and would delete it; move it {place}, "
            "or delete it yourself"
        )


@pytest.mark.parametrize("options", [(), ("--diff",)])
def test_main_refuses_to_delete_them(edited: Path, options: tuple[str, ...]) -> None:
    (edited.parent / "clusters.yaml").write_text(HUB + NORTH)
    before = contents(edited.parent)
    result = main(*options, cwd=edited.parent)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == len(HAND_WRITTEN) + 2
    assert "dist/hub/README.md: main.py did not write this file" in result.stderr
    assert contents(edited.parent) == before


def test_a_cluster_rendered_alone_leaves_the_others_hand_written_files(
    dist: Path, tmp_path: Path
) -> None:
    """They stay, so nothing has to be refused."""
    (tmp_path / "clusters.yaml").write_text(HUB + NORTH)
    (dist / "north" / "README.md").write_text("mine")
    result = main("--cluster", "hub", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert (dist / "north" / "README.md").read_text() == "mine"


# Where a render goes

BELOW = "main.py runs inside this folder and would replace all of it"
OTHER = "is not empty and is not a render of main.py"


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (".", f".: {BELOW}"),
        ("", f".: {BELOW}"),
        ("/", f"/: {BELOW}"),
        ("..", f"..: {BELOW}"),
        ("overlays", f"overlays: {OTHER}"),
        ("work", f"work: {OTHER}"),
        ("link", f"link: {BELOW}"),
    ],
)
def test_a_folder_of_somebody_else_is_refused(
    output: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.txt").write_text("years of work")
    overlay = tmp_path / "overlays" / "hub" / "traefik"
    overlay.mkdir(parents=True)
    (overlay / KUSTOMIZATION).write_text(
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
    )
    before = contents(tmp_path)
    with pytest.raises(InputError) as caught, staged(Path(output)):
        pass
    assert caught.value.problems == (f"{problem}; name a folder of its own with --output",)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("output", ["hub", "hub/traefik", "hub/traefik/bundle", "new", "new/one"])
def test_a_folder_inside_a_render_is_refused(dist: Path, output: str) -> None:
    """A region's folder would become a whole render."""
    before = contents(dist)
    with pytest.raises(InputError) as caught, staged(dist / output):
        pass
    (told,) = caught.value.problems
    assert told == (
        f"{dist / output}: is inside {dist}, a render of main.py; "
        "name a folder of its own with --output"
    )
    assert contents(dist) == before


def test_a_copy_of_a_cluster_makes_no_render_of_the_working_directory(
    dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(dist / "hub", tmp_path / "before")
    with staged(dist) as new:
        assert new.is_dir()


@pytest.mark.parametrize("output", ["charts/x", "docs/x/y", "tests/x", "overlays/x"])
def test_a_folder_inside_our_sources_is_refused(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rendering.dist._ROOT", tmp_path)
    for file in ("charts/a.py", "docs/a.md", "tests/a.py", f"overlays/hub/traefik/{KUSTOMIZATION}"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("")
    before = contents(tmp_path)
    with pytest.raises(InputError) as caught, staged(tmp_path / output):
        pass
    top = output.partition("/")[0]
    (told,) = caught.value.problems
    assert told == (
        f"{tmp_path / output}: is inside {top}/, a source folder; "
        "name a folder of its own with --output"
    )
    assert contents(tmp_path) == before


def test_a_folder_may_hold_several_renders(
    dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rendering.dist._ROOT", tmp_path)
    (tmp_path / "out").mkdir()
    dist.rename(tmp_path / "out" / "one")
    for name in ("one", "two"):
        with staged(tmp_path / "out" / name) as new:
            assert new.is_dir()


def test_main_refuses_its_own_folders_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "clusters.yaml").write_text(HUB)
    for output in (".", ROOT / "charts" / "x"):
        result = main("--output", output, cwd=tmp_path)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)


# What it says at the end


def test_the_last_line_says_what_a_render_comes_to(dist: Path, tmp_path: Path) -> None:
    (tmp_path / "clusters.yaml").write_text(HUB + NORTH)
    objects, folders = len(list(read_objects(dist))), len(list(dist.glob("*/*/")))
    deployment = dist / "hub" / "traefik" / "Deployment.traefik.yaml"
    deployment.write_text(deployment.read_text().replace("replicas: 2", "replicas: 3"))
    for change in ("1 file changed", "no changes"):
        result = main(cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        assert re.fullmatch(
            rf"dist: {objects} objects in {folders} folders, {change}, \d+\.\d s\n", result.stdout
        )


def test_files_that_come_and_go_are_counted(dist: Path, render_of: Render, tmp_path: Path) -> None:
    new = Path(shutil.copytree(render_of(HUB + NORTH), tmp_path / "new"))
    before, after = {*contents(dist)}, {*contents(new)}
    (new / "hub" / "traefik" / "Service.traefik.yaml").unlink()
    shutil.copytree(new / "north", new / "south")
    added = sum(each.startswith("north/") and each.endswith(".yaml") for each in after)
    assert before == after
    summary = str(replace(dist, new))
    assert summary.endswith(f" folders, {added + 1} files changed ({added} added, 1 removed)")
    assert not new.exists()
