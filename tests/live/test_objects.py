"""A real API server takes every folder of dist, bundles included: nothing refused, no warning."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from charts.argocd_access import ARGOCD_MANAGER
from fleet.registry import Fleet
from rendering.validation.objects import Object
from tests.live.cluster import apply, kubectl
from tests.live.conftest import Bootstrapped

pytestmark = pytest.mark.live


def folders(built: Sequence[Object], cluster: str) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    for component in sorted({each.component for each in built if each.cluster == cluster}):
        yield (
            component,
            [each.body for each in built if (each.cluster, each.component) == (cluster, component)],
        )


@pytest.fixture(params=["tooling", "us-east", "eu-west"])
def cluster(request: pytest.FixtureRequest, up: Bootstrapped) -> str:
    name: str = request.param
    return name


def test_the_fleet_is_the_one_that_the_tests_know(fleet: Fleet) -> None:
    assert fleet.names == ("tooling", "us-east", "eu-west")


def test_every_folder_would_apply(cluster: str, built: Sequence[Object], fleet: Fleet) -> None:
    """In a region with the rights of Argo CD's account there, and no more."""
    account = f"--as=system:serviceaccount:argocd:{ARGOCD_MANAGER}"
    seen = set()
    for component, objects in folders(built, cluster):
        applied = apply(
            cluster,
            objects,
            "--dry-run=server",
            "--force-conflicts",
            *([] if cluster == fleet.hub.name else [account]),
        )
        assert applied.count("serverside-applied (server dry run)") == len(objects), component
        seen.add(component)
    assert seen == set(fleet.cluster(cluster).components)


def test_traefik_reads_only_where_it_is_let(cluster: str, fleet: Fleet) -> None:
    """Secrets of the namespaces behind it, and of no other."""
    components = fleet.cluster(cluster).classes
    behind = {each.NAMESPACE for each in components if each.BEHIND_TRAEFIK} | {"traefik"}
    for each in components:
        asked = kubectl(
            cluster,
            "auth",
            "can-i",
            "list",
            "secrets",
            "--as=system:serviceaccount:traefik:traefik",
            f"--namespace={each.NAMESPACE}",
        )
        assert (asked.stdout.strip() == "yes") == (each.NAMESPACE in behind), each.NAMESPACE
