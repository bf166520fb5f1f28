"""Prometheus on the hub: receives from the regions, scrapes its own cluster, runs the rules.

Its custom resource, Service and job are named as kube-prometheus names them, which its rules and
dashboards ask for.
"""

from typing import ClassVar, Final

from cdk8s import App

from charts import kinds
from charts.cert_manager import SOLVER_LABELS, SOLVER_PORT, serving_certificate
from charts.component import Component
from charts.labels import NAME
from charts.monitoring.scraper import EGRESS, common, grant_scraping, monitor_kubernetes
from charts.monitoring.secrets import PROMETHEUS_SIGN_IN
from charts.network import allow, pods, tcp
from charts.scrape import FROM_SCRAPERS, MONITORING
from charts.storage import volume
from charts.traefik import TRAEFIK, TRAEFIK_PODS, grant_watch
from fleet.registry import ComponentName, Issuer
from imports.k8s import Service
from imports.monitoring import Prometheus, ServiceMonitor
from imports.traefik import IngressRoute, Middleware

PROMETHEUS: Final = "prometheus-k8s"
"""Name of the account, the Service and the job."""
PORT: Final = 9090
URL: Final = f"http://{PROMETHEUS}.{MONITORING}.svc:{PORT}"

TLS_SECRET: Final = "prometheus-tls"

MEMORY: Final = "4Gi"
SERIES: Final = 500_000
"""What fits into MEMORY with room for queries: some 4 kB a series (docs/scale.md)."""

LATE_HOURS: Final = 9
"""How late a sample may come: as late as an agent can have kept it."""

LABELS: Final = {NAME: "prometheus", "app.kubernetes.io/instance": "k8s"}
"""What the operator labels the pods with."""
PODS: Final = pods(MONITORING, LABELS)


class PrometheusHub(Component):
    """The custom resource, its rights, Service, monitors, page behind a sign-in, and policies."""

    NAME: ClassVar[ComponentName] = "prometheus"
    NAMESPACE = MONITORING
    CLUSTER_KINDS = (kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING)
    BEHIND_TRAEFIK = True

    def __init__(
        self,
        app: App,
        *,
        cluster: str,
        region: str,
        host: str,
        issuer: Issuer,
        retention: str,
        storage: str,
        storage_class: str | None,
    ) -> None:
        """Prometheus of ``cluster`` at ``https://host/``, which keeps samples for ``retention``.

        ``storage`` is the size of its volume, of ``storage_class``.
        """
        super().__init__(app)
        where = {"cluster": cluster, "region": region}

        grant_scraping(self, account=PROMETHEUS)
        Prometheus(
            self,
            "prometheus",
            metadata={"name": "k8s", "namespace": MONITORING},
            spec={
                **common(PROMETHEUS, where),  # type: ignore[typeddict-item] # no TypedDict is closed
                "externalUrl": f"https://{host}",
                # On alerts that no series gave these labels, such as absent().
                "externalLabels": where,
                "retention": retention,
                # The volume holds the write-ahead log and a compaction besides.
                "retentionSize": f"{int(gibibytes(storage) * 0.8)}GiB",
                "storage": volume(storage, storage_class),
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
                "resources": {
                    "requests": {"cpu": "500m", "memory": "2Gi"},
                    "limits": {"memory": MEMORY},
                },
            },
        )
        Service(
            self,
            "service",
            metadata={
                "name": PROMETHEUS,
                "namespace": MONITORING,
                "labels": {NAME: "prometheus"},
            },
            spec={
                "selector": LABELS,
                "ports": [
                    {"name": "web", "port": PORT, "targetPort": "web", "protocol": "TCP"},
                    {
                        "name": "reloader-web",
                        "port": 8080,
                        "targetPort": "reloader-web",
                        "protocol": "TCP",
                    },
                ],
            },
        )
        # By the Service, whose name is the job.
        ServiceMonitor(
            self,
            "monitor",
            metadata={"name": PROMETHEUS, "namespace": MONITORING},
            spec={
                "selector": {"matchLabels": {NAME: "prometheus"}},
                "endpoints": [{"port": "web"}, {"port": "reloader-web"}],
            },
        )
        monitor_kubernetes(self)

        serving_certificate(
            self,
            namespace=MONITORING,
            name="prometheus",
            secret=TLS_SECRET,
            host=host,
            issuer=issuer,
        )
        Middleware(
            self,
            "sign-in",
            metadata={"name": PROMETHEUS_SIGN_IN, "namespace": MONITORING},
            spec={"basicAuth": {"secret": PROMETHEUS_SIGN_IN, "removeHeader": True}},
        )
        IngressRoute(
            self,
            "route",
            metadata={"name": "prometheus", "namespace": MONITORING},
            spec={
                "ingressClassName": TRAEFIK,
                "entryPoints": ["websecure"],
                "routes": [
                    {
                        "kind": "Rule",
                        # Pages and queries: neither what ends the process nor what writes.
                        "match": f"Host(`{host}`) && !PathPrefix(`/-/`)"
                        " && !PathPrefix(`/api/v1/write`) && !PathPrefix(`/api/v1/otlp`)",
                        "priority": 10,
                        "middlewares": [{"name": PROMETHEUS_SIGN_IN}],
                        "services": [{"name": PROMETHEUS, "port": "web"}],
                    }
                ],
                "tls": {"secretName": TLS_SECRET},
            },
        )
        grant_watch(self, namespace=MONITORING)
        allow(
            self,
            "acme-solver",
            namespace=MONITORING,
            labels=SOLVER_LABELS,
            ingress=[{"from": [TRAEFIK_PODS], "ports": tcp(SOLVER_PORT)}],
        )
        allow(
            self,
            "prometheus",
            namespace=MONITORING,
            labels=LABELS,
            ingress=[
                {
                    "from": [TRAEFIK_PODS, pods(MONITORING, {NAME: "grafana"})],
                    "ports": tcp("web"),
                },
                {"from": FROM_SCRAPERS, "ports": tcp("web", "reloader-web")},
            ],
            egress=EGRESS,
        )


def gibibytes(size: str) -> int:
    """A size of the registry, in Gi or Ti, as a number."""
    return int(size[:-2]) * {"Gi": 1, "Ti": 1024}[size[-2:]]
