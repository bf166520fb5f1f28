"""Bundles as local files: what is copied, what is trusted, and what is told when it is not."""

import shutil
from pathlib import Path

import pytest
import yaml

from charts import vendor
from charts.render import render
from fleet import vendored
from fleet.errors import InputError
from fleet.registry import Fleet
from tests import kustomize
from tests.objects import OVERLAYS, read

URL = "https://files.example.org/one/bundle.yaml"
OTHER = "https://files.example.org/two.yaml"
CONTENT = {URL: b"kind: One\n", OTHER: b"kind: Two\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vendored.update(tmp_path / "vendor", list(CONTENT), CONTENT.__getitem__, accept=False)
    return tmp_path / "vendor"


def test_each_url_has_a_folder_that_kustomize_takes(folder: Path) -> None:
    copies = vendored.load(folder)
    assert copies is not None
    assert copies.keys() == CONTENT.keys()
    for url, content in CONTENT.items():
        base = read(folder / copies[url] / "kustomization.yaml")
        (file,) = base["resources"]
        assert (folder / copies[url] / file).read_bytes() == content


def test_no_folder_is_no_copies(tmp_path: Path) -> None:
    assert vendored.load(tmp_path / "vendor") is None


def test_a_second_time_changes_nothing(folder: Path) -> None:
    assert vendored.update(folder, list(CONTENT), CONTENT.__getitem__, accept=False) == []


def test_what_nobody_needs_goes(folder: Path) -> None:
    assert vendored.update(folder, [URL], CONTENT.__getitem__, accept=False) == [
        "- files.example.org/two.yaml/two.yaml"
    ]
    assert not (folder / "files.example.org/two.yaml").exists()


def test_a_url_that_gives_something_else_is_refused_until_it_is_accepted(folder: Path) -> None:
    """Upstream may have moved a tag, or somebody else may have."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    moved = {**CONTENT, URL: b"kind: Evil\n"}
    with pytest.raises(InputError, match=rf"{URL}: gave sha256 .* and gives .* --accept"):
        vendored.update(folder, list(moved), moved.__getitem__, accept=False)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert vendored.update(folder, list(moved), moved.__getitem__, accept=True) == [
        "~ files.example.org/one/bundle.yaml/bundle.yaml"
    ]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("files.example.org/two.yaml/two.yaml", b"kind: Evil\n", "has sha256"),
        ("files.example.org/two.yaml/two.yaml", None, "is not there; restore it"),
        (
            "files.example.org/two.yaml/kustomization.yaml",
            b"resources: [two.yaml, https://elsewhere.example.org/evil.yaml]\n",
            "does not name two.yaml alone",
        ),
        ("files.example.org/three.yaml/three.yaml", b"kind: Three\n", "does not name it; remove"),
        ("SHA256SUMS", None, "is not there, so nothing can be trusted"),
        ("SHA256SUMS", b"nonsense\n", "SHA256SUMS:1: is not a sum and a file"),
    ],
)
def test_what_was_tampered_with_is_told(
    folder: Path, file: str, content: bytes | None, message: str
) -> None:
    path = folder / file
    if content is None:
        path.unlink()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        vendored.load(folder)
    (line,) = caught.value.problems
    assert str(path) in line
    assert message in line


def test_dist_names_copies_in_place_of_urls(fleet: Fleet, tmp_path: Path) -> None:
    urls = vendor.bundles(fleet)
    copies = {url: url.removeprefix("https://") for url in urls}
    render(
        fleet,
        fleet.hub,
        folder=tmp_path / "dist" / fleet.hub.name,
        overlays=OVERLAYS,
        copies=copies,
    )
    texts = [path.read_text() for path in tmp_path.rglob("kustomization.yaml")]
    named = [each for text in texts for each in yaml.safe_load(text)["resources"]]
    assert not [each for each in named if "://" in each]
    assert sum(each.startswith("../../../../vendor/") for each in named) >= 10


def test_a_copy_that_is_missing_is_told(fleet: Fleet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vendor: has no copy of https://.*run `python -m fleet"):
        render(fleet, fleet.hub, folder=tmp_path / "dist/x", overlays=OVERLAYS, copies={})


def test_kustomize_builds_the_same_of_copies(fleet: Fleet, mirror: Path, tmp_path: Path) -> None:
    """Without network: what the URLs hold and what the copies hold is one."""
    command = kustomize.program()
    urls = vendor.bundles(fleet)
    contents = {url: kustomize.mirrored(mirror, url).read_bytes() for url in urls}
    vendored.update(tmp_path / "vendor", urls, contents.__getitem__, accept=False)
    copies = vendored.load(tmp_path / "vendor")
    shutil.copytree(OVERLAYS, tmp_path / "overlays")
    region = fleet.regions[0]
    for part, given in (("local", copies), ("remote", None)):
        render(
            fleet,
            region,
            folder=tmp_path / part / region.name,
            overlays=tmp_path / "overlays",
            copies=given,
        )
    for component in ("cert-manager", "prometheus-operator"):
        local = kustomize.build(command, tmp_path / "local" / region.name / component, mirror)
        remote = kustomize.build(command, tmp_path / "remote" / region.name / component, mirror)
        assert local == remote
