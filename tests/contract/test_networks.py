"""Where pods may connect to, in every fixture fleet, the policies of bundles included."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import pytest

from charts.network import NODE_CACHE
from rendering.validation.objects import Object

METADATA = ("169.254.169.254/32", "fd00:ec2::254/128", "fe80::1/128")
"""Where clouds tell a node, and whoever else asks, its credentials."""

DNS = {(53, "UDP"), (53, "TCP")}


def egress(objects: Sequence[Object]) -> Iterator[tuple[Object, Mapping[str, Any]]]:
    for each in objects:
        if each.kind == "NetworkPolicy":
            for rule in each.body["spec"].get("egress", ()):
                yield each, rule


def opened(rule: Mapping[str, Any], network: IPv4Network | IPv6Network) -> bool:
    """Whether a rule lets packets out to any address of ``network``."""
    if not rule.get("to"):
        return True
    for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
        closed = any(
            network.version == inner.version and network.subnet_of(inner)  # type: ignore[arg-type]
            for inner in map(ip_network, block.get("except", ()))
        )
        if ip_network(block["cidr"]).overlaps(network) and not closed:
            return True
    return False


@pytest.mark.parametrize("address", METADATA)
def test_no_pod_reaches_the_credentials_of_its_node(
    any_objects: Sequence[Object], address: str
) -> None:
    for each, rule in egress(any_objects):
        assert not opened(rule, ip_network(address)), str(each)


def test_bundles_open_no_way_there_either(built: Sequence[Object]) -> None:
    for each, rule in egress(built):
        assert not opened(rule, ip_network(METADATA[0])), str(each)


def test_of_link_local_addresses_only_the_nodes_dns_cache_is_open(
    any_objects: Sequence[Object],
) -> None:
    link_local = ip_network("169.254.0.0/16")
    blocks = [
        peer["ipBlock"]
        for _, rule in egress(any_objects)
        for peer in rule.get("to", ())
        if "ipBlock" in peer and ip_network(peer["ipBlock"]["cidr"]).overlaps(link_local)
    ]
    assert any(block == {"cidr": NODE_CACHE} for block in blocks)
    for block in blocks:
        assert block == {"cidr": NODE_CACHE} or str(link_local) in block["except"]


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("169.254.20.10/32", id="a cache on the node"),
        pytest.param("10.96.0.10/32", id="a cache that answers for the Service kube-dns"),
        pytest.param("fd12:3456::a/128", id="the same, by IPv6"),
    ],
)
def test_whoever_asks_dns_gets_through_to_a_cache_on_its_node(
    any_objects: Sequence[Object], address: str
) -> None:
    asking = 0
    for each, rule in egress(any_objects):
        ports = {(port.get("port"), port.get("protocol")) for port in rule.get("ports", ())}
        if ports >= DNS:
            asking += 1
            assert opened(rule, ip_network(address)), str(each)
    assert asking


def test_dns_may_be_a_pod_of_the_cluster_or_of_the_node(any_objects: Sequence[Object]) -> None:
    """Cilium's local redirect policy leads queries to a pod on the same node."""
    for each, rule in egress(any_objects):
        ports = {(port.get("port"), port.get("protocol")) for port in rule.get("ports", ())}
        if ports == DNS:
            (selector,) = (peer["podSelector"] for peer in rule["to"] if "podSelector" in peer)
            (expression,) = selector["matchExpressions"]
            assert expression == {
                "key": "k8s-app",
                "operator": "In",
                "values": ["kube-dns", "node-local-dns"],
            }, str(each)
