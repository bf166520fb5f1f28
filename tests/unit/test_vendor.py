"""Bundles as local files: what is copied, what is trusted, and what is told when it is not."""

import shutil
from pathlib import Path

import pytest
import yaml

from fleet.errors import InputError
from fleet.registry import Fleet
from rendering import vendor, vendored
from rendering.render import render
from rendering.validation import build
from tests import kustomize
from tests.objects import OVERLAYS, read
from tests.unit.conftest import CONTENT, Upstream
from upstream import lock
from upstream.fetch import mirrored

URL, OTHER = CONTENT


@pytest.fixture
def folder(tmp_path: Path, upstream: Upstream) -> Path:
    update(tmp_path / "vendor", upstream)
    return tmp_path / "vendor"


def update(folder: Path, upstream: Upstream, *urls: str) -> list[str]:
    return vendored.update(folder, urls or list(CONTENT), upstream.fetch, lock.read())


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


def test_a_second_time_changes_and_fetches_nothing(folder: Path, upstream: Upstream) -> None:
    upstream.read.clear()
    assert update(folder, upstream) == []
    assert upstream.read == []


def test_what_nobody_needs_goes(folder: Path, upstream: Upstream) -> None:
    assert update(folder, upstream, URL) == ["- files.example.org/two.yaml/two.yaml"]
    assert not (folder / "files.example.org/two.yaml").exists()


def test_a_wrong_copy_is_replaced(folder: Path, upstream: Upstream) -> None:
    copy = folder / "files.example.org/two.yaml/two.yaml"
    copy.write_bytes(b"kind: Evil\n")
    assert update(folder, upstream) == ["~ files.example.org/two.yaml/two.yaml"]
    assert copy.read_bytes() == CONTENT[OTHER]


def test_a_change_of_the_lock_is_refused_until_it_is_vendored(
    folder: Path, upstream: Upstream
) -> None:
    upstream.content[OTHER] = b"kind: Corrected\n"
    upstream.lock()
    with pytest.raises(InputError, match=r"two\.yaml: has sha256 .* run `python -m fleet vendor`"):
        vendored.load(folder)
    assert update(folder, upstream) == ["~ files.example.org/two.yaml/two.yaml"]
    assert vendored.load(folder)


def test_a_url_that_cannot_be_read_changes_nothing(folder: Path, upstream: Upstream) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="404"):
        update(folder, upstream, URL, "https://files.example.org/missing.yaml")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_folder_that_is_not_ours_stays(folder: Path, upstream: Upstream) -> None:
    (folder / "SHA256SUMS").write_text("of another program\n")
    with pytest.raises(InputError, match=r"vendor/SHA256SUMS: is no copy of a bundle; remove it$"):
        update(folder, upstream)
    assert (folder / "SHA256SUMS").exists()


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path, upstream: Upstream) -> None:
    (tmp_path / "vendor").write_text("a file")
    with pytest.raises(InputError, match=r"vendor: is a file; remove it$"):
        update(tmp_path / "vendor", upstream)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("files.example.org/two.yaml/two.yaml", b"kind: Evil\n", "has sha256"),
        ("files.example.org/two.yaml/two.yaml", None, "is missing; restore it"),
        (
            "files.example.org/two.yaml/kustomization.yaml",
            b"resources: [two.yaml, https://elsewhere.example.org/evil.yaml]\n",
            "does not name two.yaml alone",
        ),
        (
            "files.example.org/three.yaml/three.yaml",
            b"kind: Three\n",
            "upstream.lock does not have it; run `python -m fleet vendor`",
        ),
        ("files.example.org/two.yaml/more.yaml", b"kind: More\n", "is no copy of a bundle"),
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
    vendored.update(tmp_path / "vendor", urls, mirrored(mirror), lock.read())
    copies = vendored.load(tmp_path / "vendor")
    shutil.copytree(OVERLAYS, tmp_path / "overlays")
    region = fleet.regions[0]
    folders = [(region.name, name) for name in ("cert-manager", "prometheus-operator")]
    found = []
    for part, given in (("local", copies), ("remote", None)):
        dist, overlays = tmp_path / part, tmp_path / "overlays"
        render(fleet, region, folder=dist / region.name, overlays=overlays, copies=given)
        found.append(
            build.built(
                command,
                folders,
                dist=dist,
                overlays=overlays,
                mirror=None if given else mirror,
            )
        )
    local, remote = found
    assert local.objects == remote.objects
    assert local.objects.keys() == set(folders)
