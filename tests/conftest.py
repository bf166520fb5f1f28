"""Fixtures that all tests share: fixture fleets, rendered once, and their objects."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from charts.catalogue import load
from fleet.registry import Fleet
from rendering.render import render
from rendering.validation import build, sources
from rendering.validation.objects import Object
from tests import guard, kustomize
from tests.objects import APPS, FLEETS, OVERLAYS, SAMPLE, read_objects
from upstream import lock
from upstream import mirror as upstream

# A busy machine is slow, which is no fault of what is tested.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

guard.install()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with guard.reading_allowed(item.path):
        return (yield)


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    """The sample fleet."""
    return load(SAMPLE, overlays=OVERLAYS)


@pytest.fixture(scope="session")
def rendered(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample fleet, rendered."""
    return _rendered(fleet, tmp_path_factory.mktemp("sample") / "dist")


def _rendered(fleet: Fleet, dist: Path) -> Path:
    for cluster in fleet.clusters:
        render(fleet, cluster, folder=dist / cluster.name, overlays=OVERLAYS)
    return dist


@pytest.fixture(scope="session")
def objects(rendered: Path) -> Sequence[Object]:
    """Every object of the sample fleet, without patches and kustomizations."""
    return _some(read_objects(rendered))


def _some(objects: Iterable[Object]) -> Sequence[Object]:
    """All of ``objects``: of none, whatever a test claims of each would hold."""
    found = list(objects)
    assert found
    return found


@pytest.fixture(scope="session", params=sorted(FLEETS.glob("*.yaml")), ids=lambda path: path.stem)
def any_fleet(request: pytest.FixtureRequest) -> Fleet:
    """Each fixture fleet in turn, for claims that hold for every fleet."""
    return load(request.param)


@pytest.fixture(scope="session")
def any_dist(any_fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each fixture fleet in turn, rendered."""
    return _rendered(any_fleet, tmp_path_factory.mktemp("any") / "dist")


@pytest.fixture(scope="session")
def any_objects(any_dist: Path) -> Sequence[Object]:
    """Every object of each fixture fleet in turn."""
    return _some(read_objects(any_dist))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the sample fleet as a checkout does, to run commands in; read-only."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(SAMPLE, folder / "clusters.yaml")
    shutil.copytree(OVERLAYS, folder / "overlays")
    shutil.copytree(APPS, folder / "apps")
    return folder


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
    result = build.built(
        command,
        folders,
        dist=rendered,
        overlays=OVERLAYS,
        mirror=mirror,
        memory=kustomize.MEMORY,
    )
    assert not result.refused
    assert not result.lacking
    return _some(
        Object(*folder, rendered / Path(*folder), body)
        for folder in folders
        for body in result.objects[folder]
    )
