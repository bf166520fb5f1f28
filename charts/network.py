"""The NetworkPolicy rules that several components need, so that each is worded once.

Every namespace of ours denies all traffic first; components add what they need on top.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from charts.labels import namespace_selector
from imports.k8s import (
    NetworkPolicy,
    NetworkPolicyEgressRule,
    NetworkPolicyIngressRule,
    NetworkPolicyPeer,
    NetworkPolicyPort,
)

if TYPE_CHECKING:
    from constructs import Construct

EVERYWHERE: Final[Sequence[NetworkPolicyPeer]] = (
    {"ipBlock": {"cidr": "0.0.0.0/0"}},
    {"ipBlock": {"cidr": "::/0"}},
)
"""Any address. The API server is one of them: on a managed control plane it is no pod."""

TO_DNS: Final[NetworkPolicyEgressRule] = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": namespace_selector("kube-system")},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
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
