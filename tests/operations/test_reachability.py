"""What bootstrap requires of load balancers, of the names that lead to them, and of nodes."""

from collections.abc import Collection, Mapping

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


def region(name: str, **changes: object) -> Region:
    member = load(FLEETS / "clouds.yaml").cluster(name)
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


def test_a_load_balancer_is_known_by_its_dns_name(cluster: MemoryCluster) -> None:
    assert name_of(cluster) is None
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "traefik", "namespace": "traefik"},
        "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.net"}]}},
    }
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "traefik"}})
    cluster.put(service)
    assert name_of(cluster) == "lb.example.net"
