"""What tests of the commands share: a fleet in memory, and no kubectl to reach any other."""

import os
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
    dist = tmp_path_factory.mktemp("one-region") / "dist"
    for cluster in fleet.clusters:
        render(fleet, cluster, folder=dist / cluster.name, overlays=dist.parent / "overlays")
    folders = sources.folders(dist)
    result = build.built(
        kustomize.program(),
        folders,
        dist=dist,
        overlays=dist.parent / "overlays",
        mirror=mirror,
        memory=kustomize.MEMORY,
    )
    assert not result.refused
    assert not result.lacking
    return Rendered(
        fleet,
        dist,
        {
            dist / Path(*name): list(map(_pruned, objects))
            for name, objects in result.objects.items()
        },
    )


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
        if name.startswith(("ALERTS_", "BUCKET_", "REGISTRY_")):
            monkeypatch.delenv(name)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kubectl, "kustomize", one_region.folders.__getitem__)
    monkeypatch.setattr(kubectl, "client_version", lambda: (1, 34))
    monkeypatch.setattr(signing_in, "attempt", lambda region, server, token: None)
    monkeypatch.setattr("operations.bootstrap.resolver", _registered(one_region.fleet))

    def make() -> World:
        world = World(one_region.fleet, one_region.dist, one_region.folders)
        monkeypatch.setattr(waiting, "time", world.clock)
        monkeypatch.setattr(
            contexts.FleetOptions, "connect", lambda options: (world.fleet, world.clusters)
        )
        return world

    return make


def _registered(fleet: Fleet) -> Callable[[str | None], Callable[[str], list[str]]]:
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

    def run(*arguments: str) -> Result:
        where = (
            ("--dist", str(one_region.dist)) if arguments[0] in ("bootstrap", "addresses") else ()
        )
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
