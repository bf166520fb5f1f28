"""A fleet whose clusters keep their Traefik, and in part their cert-manager, comes up as well."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from charts.catalogue import load
from charts.ingress import EXTERNAL_NAMES
from fleet.registry import Cluster
from operations import contexts, kubectl, waiting
from tests.memory import MemoryCluster
from tests.objects import FLEETS
from tests.operations.conftest import Rendered, Result, built, registered
from tests.operations.world import World


@pytest.fixture(scope="module")
def own_traefik(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    fleet = load(FLEETS / "own-traefik.yaml")
    dist = tmp_path_factory.mktemp("own-traefik") / "dist"
    return Rendered(fleet, dist, built(fleet, dist, mirror))


def definitions(rendered: Rendered) -> Iterator[Mapping[str, Any]]:
    """Those of Traefik and cert-manager, as a cluster has that was given both by somebody else."""
    for path, manifests in rendered.folders.items():
        if path.parts[-2:] in (("hub", "traefik"), ("hub", "cert-manager")):
            for manifest in manifests:
                if manifest["kind"] == "CustomResourceDefinition":
                    yield manifest


@pytest.fixture
def world(
    make_world: Callable[[], World],
    one_region: Rendered,
    own_traefik: Rendered,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    make_world()
    world = World(own_traefik.fleet, own_traefik.dist, own_traefik.folders)
    monkeypatch.setattr(kubectl, "kustomize", own_traefik.folders.__getitem__)
    monkeypatch.setattr("operations.bootstrap.resolver", registered(own_traefik.fleet))
    monkeypatch.setattr(waiting, "time", world.clock)
    monkeypatch.setattr(
        contexts.FleetOptions, "connect", lambda options: (world.fleet, world.clusters)
    )
    for member in world.fleet.clusters:
        for manifest in definitions(one_region):
            if member.issuer_name or manifest["spec"]["group"] == "traefik.io":
                world.clusters[member.name].put(manifest)
        furnish(member, world.clusters[member.name])
    return world


def furnish(member: Cluster, cluster: MemoryCluster) -> None:
    """Gives a cluster what its registry says that it has."""
    own = member.traefik
    assert own
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": own.namespace}})
    cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": own.service, "namespace": own.namespace},
            "status": {"loadBalancer": {"ingress": [{"ip": str(member.address)}]}},
        }
    )
    labels = {"app.kubernetes.io/name": "traefik"}
    metadata = {"name": "traefik-1", "namespace": own.namespace, "labels": labels}
    spec = {"containers": [{"name": "traefik", "args": [f"--{EXTERNAL_NAMES.lower()}"]}]}
    cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    cluster.put(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": own.ingress_class},
        }
    )


def test_it_comes_up(
    world: World,
    command: Callable[..., Result],
    own_traefik: Rendered,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Their schemas are left out of what tests apply.
    monkeypatch.setattr("operations.checks._names_a_class", lambda version: True)
    missing = command("bootstrap", dist=own_traefik.dist)
    assert missing.status == 2
    assert missing.err.splitlines() == [
        f"{name}: has no ClusterIssuer letsencrypt; create it, or correct `issuerName`"
        for name in ("hub", "k3s")
    ]
    world.clock.sleep(60)
    for name in ("hub", "k3s"):
        issuer = {
            "apiVersion": "cert-manager.io/v1",
            "kind": "ClusterIssuer",
            "metadata": {"name": "letsencrypt"},
        }
        world.clusters[name].put(issuer)
    result = command("bootstrap", dist=own_traefik.dist)
    assert result.status == 0, result.err
    for cluster in world.clusters.values():
        assert cluster.stored("namespace", "traefik") is None


@pytest.mark.parametrize(
    "container",
    [
        pytest.param({"args": [f"--{EXTERNAL_NAMES}=true"]}, id="argument"),
        pytest.param({"command": ["traefik", f"--{EXTERNAL_NAMES.upper()}=TRUE"]}, id="command"),
        pytest.param(
            {
                "env": [
                    {
                        "name": "TRAEFIK_PROVIDERS_KUBERNETESCRD_ALLOWEXTERNALNAMESERVICES",
                        "value": "true",
                    }
                ]
            },
            id="environment",
        ),
        pytest.param(None, id="neither"),
        pytest.param({"args": [f"--{EXTERNAL_NAMES}=false"]}, id="forbidden"),
    ],
)
def test_a_hubs_traefik_has_to_follow_services_that_stand_for_others(
    world: World,
    command: Callable[..., Result],
    own_traefik: Rendered,
    container: Mapping[str, Any] | None,
    request: pytest.FixtureRequest,
) -> None:
    """By one of them it reaches each of the hub's pages; a region has no such Services."""
    for name, cluster in world.clusters.items():
        namespace = "ingress" if name == "edge" else "kube-system"
        spec = {"containers": [{"name": "traefik", **(container or {})}]}
        cluster.edit("pod", "traefik-1", namespace, spec=spec)
    result = command("bootstrap", dist=own_traefik.dist)
    refused = [line for line in result.err.splitlines() if "ExternalName" in line]
    if request.node.callspec.id in ("neither", "forbidden"):
        (line,) = refused
        assert line.startswith("hub: Traefik does not lead to Services of type ExternalName")
        assert line.endswith(f"start it with --{EXTERNAL_NAMES}=true")
    else:
        assert not refused
