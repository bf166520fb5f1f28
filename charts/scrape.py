"""How Prometheus scrapes a component: a monitor, and the policy that lets the scraper in.

Prometheus on the hub and the agents in the regions select every monitor of their cluster, so a
component names its metrics port once.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from charts.labels import NAME, namespace_selector
from charts.network import allow, tcp
from imports.k8s import NetworkPolicyPeer
from imports.monitoring import MetricRelabeling, PodMetricsEndpoint, PodMonitor, PodMonitorSpec

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


class Limits(NamedTuple):
    """What one answer of a target may have; Prometheus takes nothing of a larger one."""

    samples: int
    """Samples that are left when metrics have been dropped."""
    megabytes: int
    """Of the whole text, unpacked."""


OF_AN_APP: Final = Limits(samples=10_000, megabytes=8)
"""Of one pod of an app: foobar-api exports 150 samples, a large program in Java some thousand."""
OF_ANY_TARGET: Final = Limits(samples=200_000, megabytes=64)
"""Of whatever is scraped: kube-state-metrics exports 60 samples a pod (docs/scale.md), so this is a
cluster of three thousand pods."""


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
    dropped: Sequence[str] = (),
    limits: Limits | None = None,
) -> None:
    """Scrapes ``path`` of ``port`` of the pods with ``labels``; their name label is the job.

    With ``honor_labels`` each series keeps its own ``namespace`` and ``pod``: it is about those,
    not about the pod that exports it. Metrics are dropped whose whole name matches one of the
    regular expressions ``dropped``. A pod that exports more than ``limits`` counts as down.
    """
    endpoint: PodMetricsEndpoint = {"port": port}
    # Prometheus's own default.
    if path != "/metrics":
        endpoint["path"] = path
    if honor_labels:
        endpoint["honorLabels"] = True
    if dropped:
        endpoint["metricRelabelings"] = [drop(*dropped)]
    monitor(scope, name, namespace=namespace, labels=labels, endpoint=endpoint, limits=limits)
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
    limits: Limits | None = None,
) -> None:
    """The monitor alone, for pods that a policy cannot or need not open."""
    spec: PodMonitorSpec = {
        "jobLabel": NAME,
        "selector": {"matchLabels": labels},
        "podMetricsEndpoints": [endpoint],
    }
    if limits:
        spec["sampleLimit"] = limits.samples
        spec["bodySizeLimit"] = f"{limits.megabytes}MB"
    PodMonitor(
        scope,
        f"{name}-monitor",
        metadata={"name": name, "namespace": namespace},
        spec=spec,
    )
