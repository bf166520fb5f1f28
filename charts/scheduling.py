"""Where pods go, and which of them stay when a cluster is full."""

from collections.abc import Mapping, Sequence
from typing import Final

from imports.k8s import PodDisruptionBudgetSpec, Toleration, TopologySpreadConstraint

PLATFORM: Final = "platform"
"""Priority class of what apps need in order to be served: Traefik, cert-manager, metrics-server."""
SERVING: Final = "serving"
"""Priority class of the workloads that answer users: apps."""
OPERATING: Final = "operating"
"""Priority class of what deploys and watches. Users are served without it, so it never takes the
place of an app: the agent, kube-state-metrics, Prometheus Operator, and on the hub Argo CD without
its controller, Prometheus, Alertmanager, Grafana and Loki."""
SYSTEM: Final = "system-node-critical"
"""Kubernetes' own class for what runs on every node, and can run on no other instead."""

PRIORITIES: Final[Mapping[str, int]] = {PLATFORM: 1_000_000, SERVING: 100_000, OPERATING: 10_000}
"""The classes by falling priority: a pod that finds no room takes that of a lower one.

A value is immutable (PriorityClass in Kubernetes' API reference), so a new order needs a new
class."""

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
