"""Prometheus Agent in a region: scrapes, keeps on disk, and writes to the hub.

It answers no queries and runs no rules. What the hub did not take waits in the write-ahead log.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts import kinds
from charts.component import LATER, Component
from charts.ingress import IngressController
from charts.labels import NAME
from charts.monitoring import ingest
from charts.monitoring.names import PROMETHEUS_AGENT
from charts.monitoring.operator import operated_resources
from charts.monitoring.scraper import (
    EGRESS,
    common,
    grant_scraping,
    monitor_kubernetes,
    monitor_traefik,
)
from charts.monitoring.secrets import INGEST_CREDENTIALS
from charts.network import allow, tcp
from charts.scrape import FROM_SCRAPERS, MONITORING, monitor
from charts.storage import volume
from fleet.registry import Fleet, Region
from imports.monitoring import PrometheusAgent, PrometheusAgentSpec, RemoteWrite

if TYPE_CHECKING:
    from constructs import Construct

LABELS: Final = {NAME: PROMETHEUS_AGENT}
"""What the operator labels the pods with."""

BUFFER_HOURS: Final = 9
"""Hours between two cuts of the write-ahead log.

A cut takes up to two thirds of the log, whether sent or not (tsdb/agent/db.go of Prometheus
v3.13), so what is left is never less than a third of this: three hours, of which the hub may miss
two. Prometheus's own two hours would leave 40 minutes.
"""


@dataclass(frozen=True, kw_only=True)
class PrometheusAgentComponent(Component[Region]):
    """The custom resource, its rights, monitors and policies."""

    NAME = PROMETHEUS_AGENT
    NAMESPACE = MONITORING
    CLUSTER_KINDS = (kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING)

    cluster: str
    """The label ``cluster`` of all its series."""
    region: str
    """The label ``region`` of all its series."""
    ingress: IngressController
    url: str
    """Where it writes to: the cluster's own path at the hub."""
    storage_class: str | None
    """Of the volume that the write-ahead log is on; None is the default of the cluster."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Region) -> Self:
        return cls(
            cluster=cluster.name,
            region=cluster.region_label,
            ingress=IngressController.of(cluster),
            url=f"https://{fleet.hub.prometheus_host}{ingest.METRICS.path(cluster.name)}",
            storage_class=cluster.volume_class,
        )

    def add_to(self, chart: "Construct") -> None:
        grant_scraping(chart, account=PROMETHEUS_AGENT)
        PrometheusAgent(
            chart,
            "agent",
            # The first configuration has what watches the agent itself. Whatever changes it comes
            # minutes later, and as long the region would count as silent.
            metadata={"name": "agent", "namespace": MONITORING, "annotations": dict(LATER)},
            spec=self._agent(),
        )
        monitor_kubernetes(chart)
        monitor_traefik(chart, self.ingress)
        monitor(
            chart,
            PROMETHEUS_AGENT,
            namespace=MONITORING,
            labels=LABELS,
            endpoint={"port": "web"},
        )
        monitor(
            chart,
            f"{PROMETHEUS_AGENT}-reloader",
            namespace=MONITORING,
            labels=LABELS,
            endpoint={
                "port": "reloader-web",
                # Its init container, which is over, has a port of that name as well.
                "relabelings": [
                    {
                        "sourceLabels": ["__meta_kubernetes_pod_container_init"],
                        "regex": "true",
                        "action": "drop",
                    }
                ],
            },
        )
        allow(
            chart,
            PROMETHEUS_AGENT,
            namespace=MONITORING,
            labels=LABELS,
            ingress=[{"from": FROM_SCRAPERS, "ports": tcp("web", "reloader-web")}],
            egress=EGRESS,
        )

    def _agent(self) -> PrometheusAgentSpec:
        where = {"cluster": self.cluster, "region": self.region}
        return {
            **common(PROMETHEUS_AGENT, where),  # type: ignore[typeddict-item] # no TypedDict is closed
            "externalLabels": where,
            "storage": volume("10Gi", self.storage_class),
            "walCompression": True,
            "additionalArgs": [
                {
                    "name": "storage.agent.wal-truncate-frequency",
                    "value": f"{BUFFER_HOURS}h",
                },
                {"name": "storage.agent.retention.max-time", "value": f"{BUFFER_HOURS}h"},
            ],
            "resources": operated_resources(cpu="100m", memory="256Mi", limit="1Gi"),
            "remoteWrite": [self._hub()],
        }

    def _hub(self) -> RemoteWrite:
        return {
            "name": "hub",
            "url": self.url,
            "basicAuth": {
                "username": {"name": INGEST_CREDENTIALS, "key": "username"},
                "password": {"name": INGEST_CREDENTIALS, "key": "password"},
            },
            "remoteTimeout": "30s",
            # Half a second of round trip and 2000 samples a request: ten requests under way are
            # 40 000 samples a second, and ten times that is lost on a restart. Failing is slow to
            # try again and does not give up, nor on 429.
            "queueConfig": {
                "capacity": 10_000,
                "maxSamplesPerSend": 2_000,
                "minShards": 1,
                "maxShards": 10,
                "batchSendDeadline": "5s",
                "minBackoff": "1s",
                "maxBackoff": "30s",
                "retryOnRateLimit": True,
            },
            "metadataConfig": {"send": True, "sendInterval": "5m"},
        }
