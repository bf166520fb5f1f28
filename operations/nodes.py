"""The nodes of a cluster, and whether Traefik believes what comes from them."""

from collections.abc import Iterable
from ipaddress import ip_address

from fleet import registry
from operations.cluster import Manifest


def outside(member: registry.Cluster, nodes: Iterable[Manifest]) -> str:
    """What is wrong if ``nodes`` have addresses outside ``nodeNetworks``, with the remedy.

    Traefik ignores a PROXY header that comes from there, and reports nothing. Where nobody sends
    one, or the Traefik is the cluster's own, this does not matter.
    """
    if not member.balancer.proxy_protocol or member.traefik is not None:
        return ""
    found = sorted(
        address["address"]
        for node in nodes
        for address in node.get("status", {}).get("addresses", [])
        if address["type"] == "InternalIP"
        and not any(ip_address(address["address"]) in each for each in member.node_networks)
    )
    if not found:
        return ""
    return (
        f"nodes have addresses outside `nodeNetworks`, {', '.join(found)}; add their networks, or "
        "Traefik takes every client for a node"
    )
