"""What bootstrap requires of load balancers, of the names that lead to them, and of nodes."""

from collections.abc import Collection, Mapping
from ipaddress import ip_address

import pytest

from charts.catalogue import load
from fleet.registry import Region
from operations import checks
from operations.addresses import name_of
from tests.memory import MemoryCluster
from tests.objects import FLEETS

NAMES = {
    "aws.example.org": ["198.51.100.7"],
    "lb.example.net": ["198.51.100.6", "198.51.100.7"],
    "digitalocean.192.0.2.4.nip.io": ["203.0.113.9"],
}


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster("aws")


def region(name: str, fleet: str = "clouds", **changes: object) -> Region:
    member = load(FLEETS / f"{fleet}.yaml").cluster(name)
    assert isinstance(member, Region)
    return member.model_copy(update=changes)


def told(member: Region, balancer: str | None, names: Mapping[str, Collection[str]]) -> list[str]:
    def resolve(host: str) -> Collection[str]:
        if host not in names:
            raise LookupError("unknown")
        return names[host]

    return list(checks._of_hosts(member, resolve, balancer))


def test_without_an_address_names_lead_where_the_load_balancer_is() -> None:
    assert told(region("aws"), "lb.example.net", NAMES) == []
    moved = {**NAMES, "aws.example.org": ["203.0.113.1"]}
    assert told(region("aws"), "lb.example.net", moved) == [
        "aws: aws.example.org leads to 203.0.113.1; have it lead to lb.example.net"
    ]


def test_a_name_without_a_record_is_reported_with_where_it_should_lead() -> None:
    names = {"lb.example.net": ["198.51.100.6"]}
    assert told(region("aws"), "lb.example.net", names) == [
        "aws: aws.example.org does not resolve (unknown); have it lead to lb.example.net"
    ]


def test_behind_a_proxy_a_name_may_lead_elsewhere() -> None:
    assert told(region("digitalocean"), "192.0.2.4", NAMES) != []
    assert told(region("digitalocean", behind_proxy=True), "192.0.2.4", NAMES) == []


def node(*addresses: str) -> dict[str, object]:
    listed = [{"type": "InternalIP", "address": each} for each in addresses]
    listed.append({"type": "ExternalIP", "address": "203.0.113.5"})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{addresses[0]}"},
        "status": {"addresses": listed},
    }


def test_nodes_outside_their_networks_are_reported(cluster: MemoryCluster) -> None:
    cluster.put(node("10.0.0.4"))
    assert list(checks._of_nodes(region("aws"), cluster)) == []
    cluster.put(node("203.0.113.4"))
    assert list(checks._of_nodes(region("aws"), cluster)) == [
        (
            "aws: nodes have addresses outside `nodeNetworks`, 203.0.113.4; add their networks, or "
            "Traefik takes every client for a node"
        )
    ]


def test_without_a_proxy_header_node_addresses_do_not_matter(cluster: MemoryCluster) -> None:
    cluster.put(node("203.0.113.4"))
    assert list(checks._of_nodes(region("aws", provider="generic"), cluster)) == []


def test_without_a_proxy_header_of_ours_node_addresses_do_not_matter(
    cluster: MemoryCluster,
) -> None:
    """A Traefik of the cluster's own trusts whom its owner says."""
    cluster.put(node("203.0.113.4"))
    member = region("edge", "own-traefik", provider="aws")
    assert member.balancer.proxy_protocol
    assert list(checks._of_nodes(member, cluster)) == []


def balanced(namespace: str, name: str, *points: Mapping[str, str]) -> dict[str, object]:
    """A Service, as its provider has filled it in."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "status": {"loadBalancer": {"ingress": list(points)}},
    }


def namespace(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def test_a_load_balancer_is_known_by_its_dns_name(cluster: MemoryCluster) -> None:
    assert name_of(region("aws"), cluster) is None
    cluster.put(namespace("traefik"))
    cluster.put(balanced("traefik", "traefik", {"hostname": "lb.example.net"}))
    assert name_of(region("aws"), cluster) == "lb.example.net"


class TestLocations:
    """By the page of Vultr's CSI driver: NVMe is not everywhere, and its class exists anyway."""

    @pytest.fixture
    def cluster(self, cluster: MemoryCluster) -> MemoryCluster:
        for name in ("vultr-block-storage", "vultr-block-storage-hdd"):
            cluster.put(
                {
                    "apiVersion": "storage.k8s.io/v1",
                    "kind": "StorageClass",
                    "metadata": {"name": name},
                }
            )
        return cluster

    def told(self, cluster: MemoryCluster, location: str | None, **keys: object) -> list[str]:
        placed = node("10.0.0.4")
        labels = {} if location is None else {"topology.kubernetes.io/region": location}
        cluster.put({**placed, "metadata": {"name": "node-1", "labels": labels}})
        member = region("vultr").model_copy(update=keys)
        return list(checks._of_storage(member, cluster))

    def test_a_default_class_that_is_not_offered_is_reported(self, cluster: MemoryCluster) -> None:
        (told,) = self.told(cluster, "cdg", storage_class=None)
        assert told == (
            "aws: its provider does not list vultr-block-storage in cdg; set `storageClass` to "
            "another one, or to this one if it is offered there by now"
        )

    @pytest.mark.parametrize("location", ["ewr", None])
    def test_one_that_is_offered_is_not(self, location: str | None, cluster: MemoryCluster) -> None:
        assert self.told(cluster, location, storage_class=None) == []

    @pytest.mark.parametrize("named", ["vultr-block-storage", "vultr-block-storage-hdd"])
    def test_who_names_a_class_knows_better(self, named: str, cluster: MemoryCluster) -> None:
        assert self.told(cluster, "cdg", storage_class=named) == []


class TestOwnTraefik:
    """The Service, pods, class and issuer that the registry names in place of components."""

    member = region("k3s", "own-traefik")

    def test_each_thing_that_is_missing_is_reported(self, cluster: MemoryCluster) -> None:
        assert list(checks._of_replacements(self.member, cluster)) == [
            "aws: has no Service kube-system/traefik; name that of its Traefik under `traefik`",
            (
                "aws: has no IngressClass traefik; name that of its Traefik as "
                "`traefik.ingressClass`"
            ),
            (
                "aws: no pod in kube-system has the label app.kubernetes.io/name=traefik, by which "
                "policies let Traefik in; give it to Traefik's pods"
            ),
            (
                "aws: its definition of IngressRoute has no ingressClassName, which Traefik has "
                "since 3.7; upgrade Traefik and its definitions"
            ),
            "aws: has no ClusterIssuer letsencrypt; create it, or correct `issuerName`",
        ]

    def test_what_is_there_is_enough(self, cluster: MemoryCluster) -> None:
        for each in (
            balanced("kube-system", "traefik", {"ip": "192.0.2.9"}, {"ip": "192.0.2.2"}),
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {"name": "traefik"},
            },
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": "traefik-1",
                    "namespace": "kube-system",
                    "labels": {"app.kubernetes.io/name": "traefik", "pod-template-hash": "1"},
                },
            },
            definition("traefik.io", "IngressRoute", {"ingressClassName": {"type": "string"}}),
            definition("cert-manager.io", "ClusterIssuer", {}),
            {
                "apiVersion": "cert-manager.io/v1",
                "kind": "ClusterIssuer",
                "metadata": {"name": "letsencrypt"},
            },
        ):
            cluster.put(each)
        assert list(checks._of_replacements(self.member, cluster)) == []
        # Its address is one of several.
        assert list(checks._of_address(self.member, cluster)) == []
        moved = self.member.model_copy(update={"address": ip_address("192.0.2.7")})
        (told,) = checks._of_address(moved, cluster)
        assert told.startswith("aws: its load balancer is at 192.0.2.9, and the registry says")

    def test_a_cluster_with_the_platforms_components_needs_none(
        self, cluster: MemoryCluster
    ) -> None:
        assert list(checks._of_replacements(region("aws"), cluster)) == []


def definition(group: str, kind: str, properties: Mapping[str, object]) -> dict[str, object]:
    """A CustomResourceDefinition whose objects have ``properties`` in their spec."""
    plural, version = f"{kind.lower()}s", "v1alpha1" if group == "traefik.io" else "v1"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "status": {"conditions": [{"type": "Established", "status": "True"}]},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {
                    "name": version,
                    "schema": {
                        "openAPIV3Schema": {
                            "properties": {"spec": {"type": "object", "properties": properties}}
                        }
                    },
                }
            ],
        },
    }
