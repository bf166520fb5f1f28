"""The NetworkPolicy rules that several components need, so that each is worded once.

Every namespace of ours denies all traffic first; components add what they need on top.
"""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from charts.labels import namespace_selector
from fleet.registry import PRIVATE_NETWORK_V6, PRIVATE_NETWORKS, SHARED_NETWORK
from fleet.values import NODES_ONLY
from imports.k8s import (
    NetworkPolicy,
    NetworkPolicyEgressRule,
    NetworkPolicyIngressRule,
    NetworkPolicyPeer,
    NetworkPolicyPort,
)

if TYPE_CHECKING:
    from constructs import Construct

ANYBODY: Final[Sequence[NetworkPolicyPeer]] = (
    {"ipBlock": {"cidr": "0.0.0.0/0"}},
    {"ipBlock": {"cidr": "::/0"}},
)
"""Any address, as the source of what a policy lets in."""


def _block(cidr: str) -> NetworkPolicyPeer:
    """The addresses of a network that pods may reach."""
    whole = ip_network(cidr)
    inner = [str(each) for each in NODES_ONLY if each.overlaps(whole)]
    return {"ipBlock": {"cidr": cidr, "except": inner} if inner else {"cidr": cidr}}


EVERYWHERE: Final[Sequence[NetworkPolicyPeer]] = (_block("0.0.0.0/0"), _block("::/0"))
"""Any address that a pod may ask for something; not where clouds give out credentials of nodes.

The API server is one of these addresses: on a managed control plane it is no pod.
"""

NODE_CACHE: Final = "169.254.20.10/32"
"""The address at which NodeLocal DNSCache listens on every node unless it is given another."""

# NodeLocal DNSCache shares the node's network, so no selector finds it. Besides its own address it
# takes over that of the Service kube-dns, and answers before that is resolved to a pod. The
# Service's address is in none of our files, but it is a private one. Where Cilium redirects
# queries to the cache, it is a pod.
TO_DNS: Final[NetworkPolicyEgressRule] = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": namespace_selector("kube-system")},
            "podSelector": {
                "matchExpressions": [
                    {
                        "key": "k8s-app",
                        "operator": "In",
                        "values": ["kube-dns", "node-local-dns"],
                    }
                ]
            },
        },
        {"ipBlock": {"cidr": NODE_CACHE}},
        *map(_block, (*PRIVATE_NETWORKS, SHARED_NETWORK, PRIVATE_NETWORK_V6)),
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}

TO_API_SERVER: Final[NetworkPolicyEgressRule] = {
    "to": EVERYWHERE,
    # 443 is the port of the kubernetes Service and of HTTPS APIs outside; policies are enforced
    # after the Service address is resolved, which leads to 6443 on the control plane.
    "ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}],
}


def pods(namespace: str, labels: dict[str, str]) -> NetworkPolicyPeer:
    """The pods with ``labels`` in ``namespace``."""
    return {
        "namespaceSelector": {"matchLabels": namespace_selector(namespace)},
        "podSelector": {"matchLabels": labels},
    }


def tcp(*ports: int | str) -> list[NetworkPolicyPort]:
    """TCP ports by number or by the name that the container gives them."""
    return [{"port": port, "protocol": "TCP"} for port in ports]


def default_deny(scope: "Construct", *, namespace: str) -> None:
    """No pod of ``namespace`` talks or listens unless another policy says so."""
    NetworkPolicy(
        scope,
        "default-deny",
        metadata={"name": "default-deny", "namespace": namespace},
        spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    )


def allow(
    scope: "Construct",
    name: str,
    *,
    namespace: str,
    labels: dict[str, str],
    ingress: Sequence[NetworkPolicyIngressRule] = (),
    egress: Sequence[NetworkPolicyEgressRule] = (),
) -> None:
    """Opens ``ingress`` and ``egress`` for the pods with ``labels``, for all if there are none."""
    NetworkPolicy(
        scope,
        f"allow-{name}",
        metadata={"name": name, "namespace": namespace},
        spec={
            "podSelector": {"matchLabels": labels} if labels else {},
            "policyTypes": [
                *(["Ingress"] if ingress else []),
                *(["Egress"] if egress else []),
            ],
            **({"ingress": list(ingress)} if ingress else {}),
            **({"egress": list(egress)} if egress else {}),
        },
    )
