"""An overlay has the last word on every object, and a wrong one is refused with its reason."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.registry import Fleet
from rendering.dist import KUSTOMIZATION
from rendering.render import BUNDLE, render
from rendering.validation import build, validate
from rendering.validation.objects import Object
from tests import kustomize
from tests.objects import ROOT, read

COMPONENT = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}


def identity(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a patch has to name of its object."""
    names = {key: value for key, value in body["metadata"].items() if key in ("name", "namespace")}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": names}


def other(value: Any) -> Any:
    """Another value for every leaf, but for the names by which lists are merged."""
    match value:
        case dict():
            return {key: each if key == "name" else other(each) for key, each in value.items()}
        case list() if all(isinstance(each, dict) and "name" in each for each in value):
            return [other(each) for each in value]
        case list():
            # kustomize merges lists of mappings by keys of their own: these stay as they are.
            return value if any(isinstance(each, dict) for each in value) else ["probe"]
        case bool():
            return not value
        case int():
            return value + 1
        case _:
            return f"{value}-probe"


def missing(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """The paths of all that ``wanted`` has and ``found`` has not."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            yield from missing(value, (found or {}).get(key), f"{path}.{key}")
    elif isinstance(wanted, list):
        for each in wanted:
            if isinstance(each, dict) and "name" in each:
                same = [one for one in found or () if one.get("name") == each["name"]]
                yield from missing(each, same[0] if same else None, f"{path}[{each['name']}]")
            elif each not in (found or ()):
                yield f"{path}: {each}"
    elif wanted != found:
        yield f"{path}: {wanted}"


def write(folder: Path, patches: Sequence[Mapping[str, Any]]) -> None:
    folder.mkdir(parents=True)
    for at, patch in enumerate(patches):
        (folder / f"patch-{at}.yaml").write_text(yaml.safe_dump(patch))
    content = {**COMPONENT, "patches": [{"path": f"patch-{at}.yaml"} for at in range(len(patches))]}
    (folder / KUSTOMIZATION).write_text(yaml.safe_dump(content))


def probes(rendered: Path, objects: Sequence[Object]) -> dict[build.Folder, list[dict[str, Any]]]:
    """For each folder one patch per object: an annotation, and another value of all we patch."""
    found: dict[build.Folder, list[dict[str, Any]]] = {}
    for each in objects:
        patch = identity(each.body)
        ours = rendered / each.cluster / each.component / BUNDLE / f"{each.kind}.{each.name}.yaml"
        body = read(ours) if ours.is_file() else {}
        if isinstance(body, list):
            # JSON patches of a custom resource, whose lists a merge patch replaces.
            patch["spec"] = {"groups": [{"name": "probe", "rules": []}]}
        for key in body.keys() - identity(each.body).keys() if isinstance(body, dict) else ():
            patch[key] = other(body[key])
        if isinstance(body, dict):
            for key in ("labels", "annotations"):
                patch["metadata"][key] = other(body.get("metadata", {}).get(key, {}))
        patch["metadata"].setdefault("annotations", {})["probe"] = "overlay"
        found.setdefault((each.cluster, each.component), []).append(patch)
    return found


def test_an_overlay_wins_on_every_object_of_every_component(
    fleet: Fleet, rendered: Path, built: Sequence[Object], mirror: Path, tmp_path: Path
) -> None:
    """Whether Python renders the object, a bundle brings it, or we patch it."""
    wanted = probes(rendered, built)
    for folder, patches in wanted.items():
        write(tmp_path / "overlays" / Path(*folder), patches)
    for cluster in fleet.clusters:
        into = tmp_path / "dist" / cluster.name
        render(fleet, cluster, folder=into, overlays=tmp_path / "overlays")
    result = build.built(
        kustomize.program(),
        list(wanted),
        dist=tmp_path / "dist",
        overlays=tmp_path / "overlays",
        mirror=mirror,
        memory=kustomize.MEMORY,
    )
    assert not result.refused
    assert not result.lacking
    lost = []
    for folder, patches in wanted.items():
        after = {str(identity(body)): body for body in result.objects[folder]}
        for patch in patches:
            body = after[str(identity(patch))]
            lost += [f"{folder} {patch['kind']}: {each}" for each in missing(patch, body)]
    assert lost == []
    assert sum(map(len, wanted.values())) == len(built)


WRONG = ROOT / "tests" / "fixtures" / "overlays" / "wrong"


@pytest.mark.parametrize("group", ["unbuildable", "buildable"])
def test_a_wrong_overlay_is_refused(
    group: str, fleet: Fleet, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fault of every overlay at once, with one line each, and nothing else."""
    kustomize.program()
    mirror = mirror.resolve()
    shutil.copytree(WRONG / group, tmp_path / "overlays")
    problems = (tmp_path / "overlays" / "problems.txt").read_text().splitlines()
    monkeypatch.chdir(tmp_path)
    for cluster in fleet.clusters:
        folder = tmp_path / "dist" / cluster.name
        render(fleet, cluster, folder=folder, overlays=Path("overlays"))
    report = validate(Path("dist"), Path("overlays"), mirror=mirror, memory=kustomize.MEMORY)
    assert sorted(report.problems) == sorted(problems)
    assert report.unchecked == []


def test_without_kustomize_it_says_which_half_was_not_checked(
    rendered: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the files show by themselves is checked all the same."""
    dist = tmp_path / "dist"
    shutil.copytree(rendered / "us-east", dist / "us-east")
    file = dist / "us-east" / "traefik" / "Deployment.traefik.yaml"
    file.write_text(re.sub(r"(image: \S+):\S+", r"\1:latest", file.read_text()))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    report = validate(dist, tmp_path / "overlays", mirror=mirror)
    (problem,) = report.problems
    assert "container traefik runs docker.io/traefik:latest" in problem
    (line,) = report.unchecked
    assert line.startswith("neither kustomize nor kubectl is on the PATH")


def test_without_mirror_it_names_the_files(rendered: Path, tmp_path: Path) -> None:
    kustomize.program()
    report = validate(rendered, tmp_path / "overlays")
    (line,) = report.unchecked
    assert "folders were checked as files and not as built" in line
    assert "run `make mirror`" in line
    assert "https://raw.githubusercontent.com/argoproj/argo-cd/" in line
