"""What the tests share: the real fleet, rendered once, and its objects."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from charts.render import render
from fleet import lock
from fleet import mirror as upstream
from fleet.registry import Fleet, load
from fleet.validation import build, sources
from fleet.validation.objects import Object
from tests import kustomize
from tests.objects import OVERLAYS, ROOT, read_objects


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    """The real fleet."""
    return load(ROOT / "clusters.yaml", overlays=OVERLAYS)


@pytest.fixture(scope="session")
def rendered(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real fleet, freshly rendered."""
    dist = tmp_path_factory.mktemp("fresh") / "dist"
    for cluster in fleet.clusters:
        render(fleet, cluster, folder=dist / cluster.name, overlays=OVERLAYS)
    return dist


@pytest.fixture(scope="session")
def objects(rendered: Path) -> Sequence[Object]:
    """Every object of the real fleet, without patches and kustomizations."""
    return list(read_objects(rendered))


@pytest.fixture(scope="session")
def mirror() -> Path:
    """A folder that has every file of upstream.lock at the host and path of its URL."""
    folder = upstream.folder()
    if not folder.is_dir():
        pytest.skip("needs upstream's files: run `make mirror`")
    upstream.verify(folder, lock.read())
    return folder


@pytest.fixture(scope="session")
def built(rendered: Path, mirror: Path) -> Sequence[Object]:
    """Everything that reaches the clusters: bundles, patches and overlays included."""
    command = kustomize.program()
    folders = sources.folders(rendered)
    result = build.built(command, folders, dist=rendered, overlays=OVERLAYS, mirror=mirror)
    assert not result.refused
    assert not result.lacking
    return [
        Object(*folder, rendered / Path(*folder), body)
        for folder in folders
        for body in result.objects[folder]
    ]
