"""A real API server takes every folder of dist, bundles included: nothing refused, no warning.

Speaks to the kubectl contexts that are named like the clusters, and to nothing else. The objects
stay there; pods need not start.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from charts.argocd_access import ARGOCD_MANAGER, TOKEN_SECRET
from charts.compose import COMPONENTS
from fleet.registry import Fleet
from tests.live.cluster import DRY_ONLY, apply, kubectl, prepare
from tests.objects import Object

pytestmark = pytest.mark.live


def folders(built: Sequence[Object], cluster: str) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    for component in sorted({each.component for each in built if each.cluster == cluster}):
        yield (
            component,
            [each.body for each in built if (each.cluster, each.component) == (cluster, component)],
        )


@pytest.fixture(scope="module", params=["tooling", "us-east", "eu-west"])
def cluster(request: pytest.FixtureRequest, built: Sequence[Object], fleet: Fleet) -> str:
    """A cluster that has the namespaces and the custom resource definitions of its folders."""
    name: str = request.param
    assert name in fleet.names
    prepare(name, built)
    return name


def test_the_fleet_is_the_one_that_the_tests_know(fleet: Fleet) -> None:
    assert fleet.names == ("tooling", "us-east", "eu-west")


def test_every_folder_would_apply(cluster: str, built: Sequence[Object], fleet: Fleet) -> None:
    seen = set()
    for component, objects in folders(built, cluster):
        applied = apply(cluster, objects, "--dry-run=server")
        assert applied.count("serverside-applied (server dry run)") == len(objects), component
        seen.add(component)
    assert seen == set(fleet.cluster(cluster).components)


def test_every_folder_applies_and_stays(cluster: str, built: Sequence[Object]) -> None:
    """A second time nothing changes: no default of the API server is fought over."""
    for component, objects in folders(built, cluster):
        staying = [each for each in objects if each["kind"] not in DRY_ONLY]
        apply(cluster, staying)
        before = generations(cluster, staying)
        apply(cluster, staying)
        assert generations(cluster, staying) == before, component


def generations(cluster: str, objects: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    result = kubectl(cluster, "get", "--filename=-", "--output=json", objects=objects)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    return {
        f"{each['kind']}/{each['metadata']['name']}": each["metadata"].get("generation", 0)
        for each in found.get("items", [found])
    }


def test_argo_cd_may_apply_every_folder(
    cluster: str, built: Sequence[Object], fleet: Fleet
) -> None:
    """With the rights of its service account in the region, and no more."""
    if cluster == fleet.hub.name:
        pytest.skip("the hub deploys to itself with the bundle's own rights")
    account = f"--as=system:serviceaccount:argocd:{ARGOCD_MANAGER}"
    for component, objects in folders(built, cluster):
        assert apply(cluster, objects, account, "--dry-run=server"), component
    for what, namespace in (("secrets", "foobar-api"), ("secrets", "kube-system")):
        asked = kubectl(cluster, "auth", "can-i", "get", what, account, f"--namespace={namespace}")
        assert asked.stdout.strip() == "no", f"{what} in {namespace}"


def test_the_token_that_argo_cd_signs_in_with(cluster: str, fleet: Fleet) -> None:
    """The API server fills the Secret that dist declares without data, and knows its holder."""
    if cluster == fleet.hub.name:
        pytest.skip("only regions have one")
    for _ in range(50):
        secret = json.loads(
            kubectl(cluster, "-n", "argocd", "get", "secret", TOKEN_SECRET, "-ojson").stdout
        )
        if {"token", "ca.crt"} <= secret.get("data", {}).keys():
            return
        time.sleep(0.2)
    pytest.fail("the Secret stays empty")


def test_pods_are_admitted(cluster: str, built: Sequence[Object]) -> None:
    """Pod Security, quota and priority refuse none: every workload gets its pods made."""
    mine = [each for each in built if each.cluster == cluster and each.kind == "Deployment"]
    failing: list[str] = []
    for _ in range(100):
        failing = []
        for each in mine:
            got = kubectl(
                cluster, "-n", str(each.namespace), "get", "deployment", each.name, "-ojson"
            )
            status = json.loads(got.stdout).get("status", {})
            conditions = {one["type"]: one for one in status.get("conditions", ())}
            if "ReplicaFailure" in conditions or not status.get("replicas"):
                failing.append(f"{each}: {conditions.get('ReplicaFailure')}")
        if not failing:
            return
        time.sleep(0.3)
    pytest.fail("\n".join(failing))


def test_traefik_reads_only_where_it_is_let(cluster: str, fleet: Fleet) -> None:
    """Secrets of the namespaces behind it, and of no other."""
    components = [COMPONENTS[name] for name in fleet.cluster(cluster).components]
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
