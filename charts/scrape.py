"""How a component has its metrics taken: a monitor and the policy that lets the scraper in.

Prometheus on the hub and the agents in the regions select every monitor of their cluster, so a
component says once where its metrics are.
"""

from collections.abc import Sequence
from typing import Final

from constructs import Construct

from charts.labels import NAME, namespace_selector
from charts.network import allow, tcp
from imports.k8s import NetworkPolicyPeer
from imports.monitoring import MetricRelabeling, PodMetricsEndpoint, PodMonitor

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
    """Takes no metric whose whole name matches one of the regular expressions."""
    return {"sourceLabels": ["__name__"], "regex": "|".join(names), "action": "drop"}


def scraped(
    scope: Construct,
    name: str,
    *,
    namespace: str,
    labels: dict[str, str],
    port: str,
    honor_labels: bool = False,
) -> None:
    """Has ``port`` of the pods with ``labels`` scraped, under the job in their name label.

    With ``honor_labels`` a series' own ``namespace`` and ``pod`` stay: it is about them, not
    about the pod that tells of it.
    """
    endpoint: PodMetricsEndpoint = {"port": port}
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
    scope: Construct,
    name: str,
    *,
    namespace: str,
    labels: dict[str, str],
    endpoint: PodMetricsEndpoint,
) -> PodMonitor:
    """The monitor alone, for pods that a policy cannot or need not open."""
    return PodMonitor(
        scope,
        f"{name}-monitor",
        metadata={"name": name, "namespace": namespace},
        spec={
            "jobLabel": NAME,
            "selector": {"matchLabels": labels},
            "podMetricsEndpoints": [endpoint],
        },
    )
