"""Prometheus on the hub: receives from the regions, scrapes its own cluster, runs the rules.

Its custom resource, Service and job are named as kube-prometheus names them, which its rules and
dashboards ask for.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts import kinds
from charts.cert_manager import issuer_of, serving_certificate
from charts.component import Component
from charts.ingress import (
    PAGES,
    REQUEST_LIMIT,
    IngressController,
    beginning_with,
    lead_to,
    leading_to,
    try_again,
)
from charts.labels import NAME
from charts.monitoring.operator import operated_resources, web_ports
from charts.monitoring.scraper import (
    EGRESS,
    common,
    grant_scraping,
    monitor_kubernetes,
    monitor_traefik,
)
from charts.monitoring.secrets import PROMETHEUS_SIGN_IN
from charts.network import allow, pods, tcp
from charts.scrape import FROM_SCRAPERS, MONITORING
from charts.storage import volume
from fleet.registry import Fleet, Hub
from fleet.volumes import mebibytes
from imports.k8s import Service
from imports.monitoring import Prometheus, PrometheusSpec, ServiceMonitor
from imports.traefik import IngressRoute, IngressRouteSpec, Middleware

if TYPE_CHECKING:
    from constructs import Construct

PROMETHEUS: Final = "prometheus-k8s"
"""Name of the account, the Service and the job."""
PORT: Final = 9090
URL: Final = f"http://{PROMETHEUS}.{MONITORING}.svc:{PORT}"

WRITE_PATH: Final = "/api/v1/write"
"""Where it receives samples; the regions' paths end so."""

TLS_SECRET: Final = "prometheus-tls"

MEMORY: Final = "4Gi"
SERIES: Final = 500_000
"""What fits into MEMORY with room for queries: some 4 kB a series (docs/scale.md)."""

RETENTION_SHARE: Final = 0.75
"""Share of its volume that Prometheus may fill with samples, the write-ahead log included.

The rest is for the file system itself (some 2 %) and for compaction, which writes a block before
it deletes those that went into it: up to a tenth of the retention. So what is free is always more
than alerts about a volume ask for (VOLUME_LOW of charts/monitoring/rules/platform.py).
"""

LATE_HOURS: Final = 9
"""How late a sample may come: as late as an agent can have kept it."""

LABELS: Final = {NAME: "prometheus", "app.kubernetes.io/instance": "k8s"}
"""What the operator labels the pods with."""
PODS: Final = pods(MONITORING, LABELS)


@dataclass(frozen=True, kw_only=True)
class PrometheusHub(Component[Hub]):
    """The custom resource, its rights, Service, monitors, page behind a sign-in, and policies."""

    NAME = "prometheus"
    NAMESPACE = MONITORING
    REQUIRED = True
    CLUSTER_KINDS = (kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING)
    OTHER_NAMESPACES = (PAGES,)
    BEHIND_TRAEFIK = True

    cluster: str
    """The label ``cluster`` of all that it scrapes itself."""
    region: str
    """The label ``region`` of all that it scrapes itself."""
    host: str
    """The hostname of its pages."""
    issuer: str
    """The ClusterIssuer of the certificate of ``host``."""
    ingress: IngressController
    retention: str
    """How long it keeps samples."""
    storage: str
    """The size of its volume."""
    storage_class: str | None
    """Of its volume; None is the default of the cluster."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(
            cluster=cluster.name,
            region=cluster.region_label,
            host=cluster.prometheus_host,
            issuer=issuer_of(cluster),
            ingress=IngressController.of(cluster),
            retention=cluster.metrics_retention,
            storage=cluster.metrics_storage,
            storage_class=cluster.volume_class,
        )

    def add_to(self, chart: "Construct") -> None:
        grant_scraping(chart, account=PROMETHEUS)
        Prometheus(
            chart,
            "prometheus",
            metadata={"name": "k8s", "namespace": MONITORING},
            spec=self._prometheus(),
        )
        Service(
            chart,
            "service",
            metadata={
                "name": PROMETHEUS,
                "namespace": MONITORING,
                "labels": {NAME: "prometheus"},
            },
            spec={"selector": LABELS, "ports": web_ports(PORT)},
        )
        # By the Service, whose name is the job.
        ServiceMonitor(
            chart,
            "monitor",
            metadata={"name": PROMETHEUS, "namespace": MONITORING},
            spec={
                "selector": {"matchLabels": {NAME: "prometheus"}},
                "endpoints": [{"port": "web"}, {"port": "reloader-web"}],
            },
        )
        monitor_kubernetes(chart)
        monitor_traefik(chart, self.ingress)
        serving_certificate(
            chart,
            namespace=PAGES,
            name="prometheus",
            secret=TLS_SECRET,
            host=self.host,
            issuer=self.issuer,
        )
        lead_to(chart, PROMETHEUS, namespace=MONITORING, port="web", number=PORT)
        Middleware(
            chart,
            "sign-in",
            metadata={"name": PROMETHEUS_SIGN_IN, "namespace": PAGES},
            spec={"basicAuth": {"secret": PROMETHEUS_SIGN_IN, "removeHeader": True}},
        )
        IngressRoute(
            chart,
            "route",
            metadata={"name": "prometheus", "namespace": PAGES},
            spec=self._route(),
        )
        allow(
            chart,
            "prometheus",
            namespace=MONITORING,
            labels=LABELS,
            ingress=[
                {
                    "from": [self.ingress.pods, pods(MONITORING, {NAME: "grafana"})],
                    "ports": tcp("web"),
                },
                {"from": FROM_SCRAPERS, "ports": tcp("web", "reloader-web")},
            ],
            egress=EGRESS,
        )

    def _prometheus(self) -> PrometheusSpec:
        where = {"cluster": self.cluster, "region": self.region}
        return {
            **common(PROMETHEUS, where),  # type: ignore[typeddict-item] # no TypedDict is closed
            "externalUrl": f"https://{self.host}",
            # On alerts that no series gave these labels, such as absent().
            "externalLabels": where,
            "retention": self.retention,
            "retentionSize": f"{mebibytes(self.storage) * RETENTION_SHARE:.0f}MiB",
            "storage": volume(self.storage, self.storage_class),
            "walCompression": True,
            "evaluationInterval": "30s",
            "enableRemoteWriteReceiver": True,
            "tsdb": {"outOfOrderTimeWindow": f"{LATE_HOURS}h"},
            # What the regions write is there some seconds later than what is scraped here.
            "ruleQueryOffset": "30s",
            "ruleSelector": {},
            "ruleNamespaceSelector": {},
            "alerting": {
                "alertmanagers": [
                    {
                        "name": "alertmanager-main",
                        "namespace": MONITORING,
                        "port": "web",
                        "apiVersion": "v2",
                    }
                ]
            },
            "resources": operated_resources(cpu="500m", memory="2Gi", limit=MEMORY),
        }

    def _route(self) -> IngressRouteSpec:
        return self.ingress.https_route(
            TLS_SECRET,
            {
                "kind": "Rule",
                # Pages and queries: neither what ends the process nor what writes.
                "match": f"Host(`{self.host}`)"
                f" && !{beginning_with('/-/', WRITE_PATH, '/api/v1/otlp')}",
                "priority": 10,
                "middlewares": [{"name": REQUEST_LIMIT}, {"name": PROMETHEUS_SIGN_IN}],
                "services": [{"name": leading_to(PROMETHEUS), "port": "web"}],
            },
            try_again(self.host, WRITE_PATH),
        )
