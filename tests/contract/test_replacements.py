"""A cluster that has Traefik or cert-manager of its own gets nothing that needs the platform's."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from charts.catalogue import load
from fleet.registry import Fleet
from rendering.render import render
from rendering.validation.objects import Object
from tests.objects import FLEETS, OVERLAYS, read_objects

OWN = {
    "hub": ("kube-system", "traefik", "letsencrypt"),
    "k3s": ("kube-system", "traefik", "letsencrypt"),
    "edge": ("ingress", "public", "letsencrypt-staging"),
}
"""By cluster of the fleet own-traefik: Traefik's namespace and ingress class, and the issuer."""

Objects = Mapping[str, Sequence[Object]]


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return load(FLEETS / "own-traefik.yaml")


@pytest.fixture(scope="module")
def objects(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    dist = tmp_path_factory.mktemp("own-traefik")
    for cluster in fleet.clusters:
        render(fleet, cluster, folder=dist / cluster.name, overlays=OVERLAYS)
    found = list(read_objects(dist))
    return {name: [each for each in found if each.cluster == name] for name in OWN}


def mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """Every mapping in an object, at any depth."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from mappings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from mappings(inner)


@pytest.mark.parametrize("cluster", OWN)
class TestOwnTraefik:
    def test_routes_and_challenges_name_its_class(self, cluster: str, objects: Objects) -> None:
        _, ingress_class, _ = OWN[cluster]
        named = [
            (each.kind, mapping["ingressClassName"])
            for each in objects[cluster]
            for mapping in mappings(each.body)
            if "ingressClassName" in mapping
        ]
        assert {name for _, name in named} == {ingress_class}
        routes = [each for each in objects[cluster] if each.kind.startswith("IngressRoute")]
        issuers = [each for each in objects[cluster] if each.kind == "ClusterIssuer"]
        assert len(named) == len(routes) + len(issuers) > 0

    def test_policies_let_it_in_wherever_it_routes_to(self, cluster: str, objects: Objects) -> None:
        namespace, *_ = OWN[cluster]
        peer = {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "traefik"}},
        }
        policies = [each for each in objects[cluster] if each.kind == "NetworkPolicy"]
        admitting = {
            each.namespace
            for each in policies
            for rule in each.body["spec"].get("ingress", ())
            if peer in rule.get("from", ())
        }
        routed = {each.namespace for each in objects[cluster] if each.kind.startswith("Ingress")}
        # The bundle's policy of Argo CD's server is patched, which is no object of dist.
        assert routed <= admitting
        selected = {
            mapping["kubernetes.io/metadata.name"]
            for each in policies
            for mapping in mappings(each.body)
            if "kubernetes.io/metadata.name" in mapping
        }
        assert "traefik" not in selected

    def test_nothing_is_left_of_the_platforms(self, cluster: str, objects: Objects) -> None:
        assert objects[cluster]
        for each in objects[cluster]:
            assert each.namespace != "traefik", str(each)
            assert each.component != "traefik", str(each)
            # By its chart it reads every namespace.
            assert (each.kind, each.name) not in {("Role", "traefik"), ("RoleBinding", "traefik")}
            assert each.body.get("spec", {}).get("type") != "LoadBalancer", str(each)

    def test_it_is_scraped_as_the_job_that_dashboards_know(
        self, cluster: str, objects: Objects
    ) -> None:
        namespace, *_ = OWN[cluster]
        (monitor,) = (
            each.body["spec"]
            for each in objects[cluster]
            if each.kind == "PodMonitor" and each.name == "traefik"
        )
        assert monitor["namespaceSelector"] == {"matchNames": [namespace]}
        assert monitor["selector"]["matchLabels"][monitor["jobLabel"]] == "traefik"

    def test_certificates_come_from_the_issuer_of_the_cluster(
        self, cluster: str, objects: Objects
    ) -> None:
        *_, issuer = OWN[cluster]
        named = {
            each.body["spec"]["issuerRef"]["name"]
            for each in objects[cluster]
            if each.kind == "Certificate"
        }
        assert named == {issuer}
