"""Where pods go, and which of them stay when a cluster is full."""

from collections.abc import Sequence
from typing import Final

from imports.k8s import PodDisruptionBudgetSpec, Toleration, TopologySpreadConstraint

PLATFORM: Final = "platform"
"""Priority class of what workloads need in order to be served: Traefik, cert-manager, Argo CD."""
SERVING: Final = "serving"
"""Priority class of the workloads that answer users: apps."""
SYSTEM: Final = "system-node-critical"
"""Kubernetes' own class for what a node cannot do without."""

EVERY_NODE: Final[Sequence[Toleration]] = ({"operator": "Exists"},)
"""For agents of a node: no taint keeps them off it."""


def over_nodes(
    labels: dict[str, str], *, revision: str = "pod-template-hash"
) -> list[TopologySpreadConstraint]:
    """Spreads the pods with ``labels`` over the nodes, each rollout's by themselves.

    Softly: a cluster of one node still runs them all. ``revision`` is the label that each rollout
    has a value of its own for: a Deployment's, unless it is given.
    """
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels},
            "matchLabelKeys": [revision],
        }
    ]


def one_at_a_time(labels: dict[str, str]) -> PodDisruptionBudgetSpec:
    """Lets a drain take one of the pods with ``labels``, and any that is broken anyway."""
    return {
        "maxUnavailable": 1,
        "selector": {"matchLabels": labels},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
