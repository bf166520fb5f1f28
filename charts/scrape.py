"""How Prometheus scrapes a component: a monitor, and the policy that lets the scraper in.

Prometheus on the hub and the agents in the regions select every monitor of their cluster, so a
component names its metrics port once.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from charts.labels import NAME, namespace_selector
from charts.network import allow, tcp
from imports.k8s import NetworkPolicyPeer
from imports.monitoring import MetricRelabeling, PodMetricsEndpoint, PodMonitor

if TYPE_CHECKING:
    from constructs import Construct

MONITORING: Final = "monitoring"
"""The namespace of what scrapes, stores and shows; kube-prometheus's rules expect the name."""

# What Prometheus Operator v0.93.1 labels the pods of Prometheus and of PrometheusAgent with.
SCRAPER_NAMES: Final = ("prometheus", "prometheus-agent")

FROM_SCRAPERS: Final[Sequence[NetworkPolicyPeer]] = (
    {
        "namespaceSelector": {"matchLabels": namespace_selector(MONITORING)},
        "podSelector": {
            "matchExpressions": [{"key": NAME, "operator": "In", "values": list(SCRAPER_NAMES)}]
        },
    },
)


def drop(*names: str) -> MetricRelabeling:
    """Drops each metric whose whole name matches one of the regular expressions."""
    return {"sourceLabels": ["__name__"], "regex": "|".join(names), "action": "drop"}


def keep(*names: str) -> MetricRelabeling:
    """Drops each metric whose whole name matches none of the regular expressions."""
    return {"sourceLabels": ["__name__"], "regex": "|".join(names), "action": "keep"}


def scraped(
    scope: "Construct",
    name: str,
    *,
    namespace: str,
    labels: dict[str, str],
    port: str,
    path: str = "/metrics",
    honor_labels: bool = False,
) -> None:
    """Scrapes ``path`` of ``port`` of the pods with ``labels``; their name label is the job.

    With ``honor_labels`` each series keeps its own ``namespace`` and ``pod``: it is about those,
    not about the pod that exports it.
    """
    endpoint: PodMetricsEndpoint = {"port": port}
    # Prometheus's own default.
    if path != "/metrics":
        endpoint["path"] = path
    if honor_labels:
        endpoint["honorLabels"] = True
    monitor(scope, name, namespace=namespace, labels=labels, endpoint=endpoint)
    allow(
        scope,
        f"{name}-metrics",
        namespace=namespace,
        labels=labels,
        ingress=[{"from": FROM_SCRAPERS, "ports": tcp(port)}],
    )


def monitor(
    scope: "Construct",
    name: str,
    *,
    namespace: str,
    labels: dict[str, str],
    endpoint: PodMetricsEndpoint,
) -> None:
    """The monitor alone, for pods that a policy cannot or need not open."""
    PodMonitor(
        scope,
        f"{name}-monitor",
        metadata={"name": name, "namespace": namespace},
        spec={
            "jobLabel": NAME,
            "selector": {"matchLabels": labels},
            "podMetricsEndpoints": [endpoint],
        },
    )
