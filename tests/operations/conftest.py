"""What tests of the commands share: a fleet in memory, and no kubectl to reach any other."""

import fcntl
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import commands
from charts.catalogue import load
from fleet.errors import exit_on_input_error
from fleet.registry import Fleet
from operations import contexts, kubectl, signing_in, waiting
from operations.cluster import Manifest
from rendering.render import render
from rendering.validation import build, sources
from tests import kustomize
from tests.memory import Interrupted
from tests.objects import FLEETS
from tests.operations.world import VARIABLES, World


@dataclass(frozen=True)
class Rendered:
    """A fleet, its dist, and what kustomize makes of each folder of it."""

    fleet: Fleet
    dist: Path
    folders: Mapping[Path, Sequence[Manifest]]


@pytest.fixture(scope="session")
def one_region(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The smallest fleet that serves users, so that a bootstrap of it takes few calls."""
    fleet = load(FLEETS / "one-region.yaml")
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    root /= "one-region"
    root.mkdir(exist_ok=True)
    with (root / "lock").open("w") as lock:
        # It takes ten seconds, so the first worker that needs it does it for all.
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = root / "folders.pickle"
        if not kept.is_file():
            kept.write_bytes(pickle.dumps(built(fleet, root / "dist", mirror)))
    return Rendered(fleet, root / "dist", pickle.loads(kept.read_bytes()))  # noqa: S301 - our own


def built(fleet: Fleet, dist: Path, mirror: Path) -> Mapping[Path, Sequence[Manifest]]:
    """Renders the fleet into ``dist``, and gives what kustomize makes of each folder."""
    overlays = dist.parent / "overlays"
    for cluster in fleet.clusters:
        render(fleet, cluster, folder=dist / cluster.name, overlays=overlays)
    result = build.built(
        kustomize.program(),
        sources.folders(dist),
        dist=dist,
        overlays=overlays,
        mirror=mirror,
        memory=kustomize.MEMORY,
    )
    assert not result.refused
    assert not result.lacking
    return {
        dist / Path(*folder): list(map(_pruned, objects))
        for folder, objects in result.objects.items()
    }


def _pruned(manifest: Manifest) -> Manifest:
    """Without the schemas of a definition, which are large and which nothing here reads."""
    if manifest["kind"] != "CustomResourceDefinition":
        return manifest
    versions = [{"name": version["name"]} for version in manifest["spec"]["versions"]]
    return {**manifest, "spec": {**manifest["spec"], "versions": versions}}


@pytest.fixture
def make_world(one_region: Rendered, monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    """Makes fleets of bare clusters, of which the last one is what the commands find."""
    for name in list(os.environ):
        if name.startswith(("ALERTS_", "BUCKET_", "GIT_", "GITHUB_APP_", "REGISTRY_")):
            monkeypatch.delenv(name)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kubectl, "kustomize", one_region.folders.__getitem__)
    monkeypatch.setattr(kubectl, "client_version", lambda: (1, 34))
    monkeypatch.setattr(signing_in, "attempt", lambda region, server, token: None)
    monkeypatch.setattr("operations.bootstrap.resolver", registered(one_region.fleet))

    def make() -> World:
        world = World(one_region.fleet, one_region.dist, one_region.folders)
        monkeypatch.setattr(waiting, "time", world.clock)
        monkeypatch.setattr(
            contexts.FleetOptions, "connect", lambda options: (world.fleet, world.clusters)
        )
        return world

    return make


def registered(fleet: Fleet) -> Callable[[str | None], Callable[[str], list[str]]]:
    """DNS as the registry wants it."""
    addresses = {host: str(cluster.address) for cluster in fleet.clusters for host in cluster.hosts}
    return lambda server: lambda host: [addresses[host]]


@pytest.fixture
def world(make_world: Callable[[], World]) -> World:
    return make_world()


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def taken(self) -> list[str]:
        return [line for line in self.out.splitlines() if line.startswith("+ ")]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], one_region: Rendered) -> Callable[..., Result]:
    """Runs ``python -m fleet`` in this process; a command that is killed has status 137."""

    def run(*arguments: str, dist: Path = one_region.dist) -> Result:
        where = ("--dist", str(dist)) if arguments[0] in ("bootstrap", "addresses") else ()
        capsys.readouterr()
        try:
            with exit_on_input_error():
                status = commands.main([*arguments, *where])
        except Interrupted:
            status = 137
        except SystemExit as error:
            status = int(str(error.code))
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run
