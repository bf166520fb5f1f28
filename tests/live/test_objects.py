"""A real API server takes every folder of dist, bundles included: nothing refused, no warning."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from charts.argocd_access import ARGOCD_MANAGER
from charts.ingress import PAGES, TRAEFIK
from charts.monitoring.secrets import PROMETHEUS_SIGN_IN, ingest_user
from fleet.registry import Fleet
from rendering.validation.objects import Object, containers
from rendering.validation.quotas import DISK
from tests.live.cluster import apply, kubectl, said
from tests.live.conftest import Bootstrapped

pytestmark = pytest.mark.live

AS_TRAEFIK = "--as=system:serviceaccount:traefik:traefik"


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
    """Secrets of the namespaces that it takes routes from, and of no other."""
    components = fleet.cluster(cluster).classes
    behind = {each.NAMESPACE for each in components if each.HOLDS_ROUTES} | {TRAEFIK}
    for each in components:
        asked = kubectl(
            cluster,
            "auth",
            "can-i",
            "list",
            "secrets",
            AS_TRAEFIK,
            f"--namespace={each.NAMESPACE}",
        )
        assert (asked.stdout.strip() == "yes") == (each.NAMESPACE in behind), each.NAMESPACE


def test_the_hubs_traefik_reads_only_what_it_serves(fleet: Fleet, up: Bootstrapped) -> None:
    """Of all Secrets of the hub: certificates with their keys, and hashes of sign-ins."""
    hub = fleet.hub.name
    secrets = json.loads(said(hub, "get", "secrets", "--all-namespaces", "-ojson"))["items"]

    def readable(secret: Mapping[str, Any]) -> bool:
        metadata = secret["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/secrets/{metadata['name']}"
        return kubectl(hub, "get", "--raw", path, AS_TRAEFIK).returncode == 0

    with ThreadPoolExecutor(8) as pool:
        found = [
            secret
            for secret, is_readable in zip(secrets, pool.map(readable, secrets), strict=True)
            if is_readable
        ]
    served = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found}
    assert served >= {
        (PAGES, "argocd-tls"),
        (PAGES, PROMETHEUS_SIGN_IN),
        *((PAGES, ingest_user(region.name)) for region in fleet.regions),
    }
    assert len(found) < len(secrets)
    for secret in found:
        metadata, data = secret["metadata"], secret["data"]
        if secret["type"] == "kubernetes.io/tls":
            continue
        # While cert-manager issues a certificate, it keeps the key of the new one beside it.
        if metadata.get("labels", {}).get("cert-manager.io/next-private-key") == "true":
            continue
        assert set(data) == {"users"}, metadata["name"]
        for line in b64decode(data["users"]).decode().splitlines():
            assert re.fullmatch(r"[a-z0-9-]+:\{SHA\}[A-Za-z0-9+/=]{28}", line), metadata["name"]


def test_each_container_has_its_share_of_the_disk(cluster: str, fleet: Fleet) -> None:
    """Those that other programs add included; and no pod was evicted for what it has there."""
    ours = {each.NAMESPACE for each in fleet.cluster(cluster).classes} - {"kube-system"}
    pods = json.loads(said(cluster, "get", "pods", "--all-namespaces", "-ojson"))["items"]
    # A pod without an owner is one that a test has made.
    made = [each for each in pods if each["metadata"].get("ownerReferences")]
    without = [
        f"{each['metadata']['namespace']}/{each['metadata']['name']}: {container['name']}"
        for each in made
        if each["metadata"]["namespace"] in ours
        for container in containers(each["spec"])
        if DISK not in container["resources"].get("limits", {})
    ]
    assert without == []
    assert [each for each in made if each["status"].get("reason") == "Evicted"] == []
