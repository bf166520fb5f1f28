"""Grafana on the hub: dashboards, logs, alerts. All of it is code, so it keeps nothing on disk.

Dashboards, data sources and settings come from ConfigMaps; its own database, with who is signed
in and what they starred, begins anew with each pod.
"""

from configparser import ConfigParser
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, Final, Self

from charts.cert_manager import issuer_of, serving_certificate
from charts.component import Component
from charts.ingress import PAGES, SIGN_IN_LIMIT, IngressController, lead_to, leading_to
from charts.labels import selector
from charts.monitoring import alertmanager, loki, prometheus
from charts.monitoring.dashboards import DASHBOARDS, UPSTREAM, as_json
from charts.monitoring.secrets import GRAFANA_SIGN_IN
from charts.network import TO_DNS, allow, tcp
from charts.scheduling import OPERATING
from charts.scrape import MONITORING, scraped
from charts.security import NOBODY, RESTRICTED_CONTAINER
from charts.text import as_yaml, checksum
from charts.upstream import GRAFANA_IMAGE, kube_prometheus
from charts.workload import (
    DEPLOYMENT_STRATEGY,
    REVISION_HISTORY_LIMIT,
    empty_dir,
    pod,
    resources,
    service_port,
)
from fleet.registry import Fleet, Hub
from imports.k8s import (
    ConfigMap,
    Container,
    Deployment,
    DeploymentSpec,
    ObjectMeta,
    Service,
    ServiceAccount,
    Volume,
)
from imports.traefik import IngressRoute, IngressRouteSpec, Middleware

if TYPE_CHECKING:
    from constructs import Construct

GRAFANA: Final = "grafana"
PORT: Final = 3000
DATA_MIB: Final = 512
TMP_MIB: Final = 64
TLS_SECRET: Final = "grafana-tls"

META: Final[ObjectMeta] = {"name": GRAFANA, "namespace": MONITORING}
LABELS: Final = selector(GRAFANA)

FOLDERS: Final = "/etc/dashboards"
"""A folder in here is a folder in Grafana."""
OURS: Final = "Fleet"
THEIRS: Final = "Kubernetes"


def settings(host: str) -> dict[str, dict[str, str]]:
    """Sections and keys of grafana.ini."""
    return {
        "server": {"root_url": f"https://{host}/"},
        "security": {
            "cookie_secure": "true",
            "disable_gravatar": "true",
            "strict_transport_security": "true",
            "content_security_policy": "true",
            # Anybody could lock out whoever is on call; Traefik limits each client instead.
            "disable_brute_force_login_protection": "true",
        },
        "users": {"allow_sign_up": "false", "default_theme": "system"},
        "auth.anonymous": {"enabled": "false"},
        # Every other path would take passwords too.
        "auth.basic": {"enabled": "false"},
        # Nothing is called at home, and nothing is fetched from there.
        "analytics": {
            "reporting_enabled": "false",
            "check_for_updates": "false",
            "check_for_plugin_updates": "false",
            "feedback_links_enabled": "false",
        },
        "plugins": {
            "plugin_admin_enabled": "false",
            "preinstall_disabled": "true",
            "public_key_retrieval_disabled": "true",
        },
        "news": {"news_feed_enabled": "false"},
        "snapshots": {"external_enabled": "false"},
        # It shows what Prometheus and Alertmanager have; rules of its own would die with the pod.
        "unified_alerting": {"enabled": "true", "execute_alerts": "false"},
        "dashboards": {"default_home_dashboard_path": f"{FOLDERS}/{OURS}/fleet.json"},
        "log": {"mode": "console", "level": "warn"},
        "log.console": {"format": "json"},
    }


DATA_SOURCES: Final[dict[str, Any]] = {
    "apiVersion": 1,
    "prune": True,
    "datasources": [
        {
            "name": "Prometheus",
            "uid": "prometheus",
            "type": "prometheus",
            "url": prometheus.URL,
            "access": "proxy",
            "isDefault": True,
            "editable": False,
            "jsonData": {
                # What is taken every 30 seconds is no finer than that.
                "timeInterval": "30s",
                "httpMethod": "POST",
                "manageAlerts": True,
                "alertmanagerUid": "alertmanager",
            },
        },
        {
            "name": "Loki",
            "uid": "loki",
            "type": "loki",
            "url": loki.URL,
            "access": "proxy",
            "editable": False,
            "jsonData": {"maxLines": 1000, "manageAlerts": False},
        },
        {
            "name": "Alertmanager",
            "uid": "alertmanager",
            "type": "alertmanager",
            "url": alertmanager.URL,
            "access": "proxy",
            "editable": False,
            "jsonData": {"implementation": "prometheus", "handleGrafanaManagedAlerts": False},
        },
    ],
}

PROVIDERS: Final[dict[str, Any]] = {
    "apiVersion": 1,
    "providers": [
        {
            "name": "files",
            "type": "file",
            "allowUiUpdates": False,
            "options": {"path": FOLDERS, "foldersFromFilesStructure": True},
        }
    ],
}


def _ini(sections: dict[str, dict[str, str]]) -> str:
    parser = ConfigParser(interpolation=None)
    parser.read_dict(sections)
    text = StringIO()
    parser.write(text)
    return text.getvalue().rstrip() + "\n"


@dataclass(frozen=True, kw_only=True)
class Grafana(Component[Hub]):
    """Deployment, configuration, dashboards, certificate, route and policies."""

    NAME = GRAFANA
    NAMESPACE = MONITORING
    REQUIRED = True
    OTHER_NAMESPACES = (PAGES,)
    BEHIND_TRAEFIK = True
    BUNDLES = (kube_prometheus("grafana-dashboardDefinitions.yaml"),)

    host: str
    """Its hostname."""
    issuer: str
    """The ClusterIssuer of the certificate of ``host``."""
    ingress: IngressController

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(
            host=cluster.grafana_host,
            issuer=issuer_of(cluster),
            ingress=IngressController.of(cluster),
        )

    def add_to(self, chart: "Construct") -> None:
        files = {
            "grafana.ini": _ini(settings(self.host)),
            "datasources.yaml": as_yaml(DATA_SOURCES),
            "dashboards.yaml": as_yaml(PROVIDERS),
        }
        serving_certificate(
            chart,
            namespace=PAGES,
            name=GRAFANA,
            secret=TLS_SECRET,
            host=self.host,
            issuer=self.issuer,
        )
        ServiceAccount(chart, "account", metadata=META, automountServiceAccountToken=False)
        ConfigMap(chart, "config", metadata=META, data=files)
        for dashboard in DASHBOARDS:
            ConfigMap(
                chart,
                f"dashboard-{dashboard['uid']}",
                metadata={"name": f"dashboard-{dashboard['uid']}", "namespace": MONITORING},
                data={f"{dashboard['uid']}.json": as_json(dashboard)},
            )
        Service(
            chart,
            "service",
            metadata=META,
            spec={
                "selector": LABELS,
                "ports": [service_port("http", PORT)],
            },
        )
        # Dashboards are read again as their files change.
        Deployment(chart, "deployment", metadata=META, spec=_deployment(checksum(*files.values())))
        lead_to(chart, GRAFANA, namespace=MONITORING, port="http", number=PORT)
        Middleware(
            chart,
            "headers",
            metadata={"name": GRAFANA, "namespace": PAGES},
            spec={"headers": {"contentTypeNosniff": True, "referrerPolicy": "same-origin"}},
        )
        IngressRoute(
            chart, "route", metadata={"name": GRAFANA, "namespace": PAGES}, spec=self._route()
        )
        scraped(chart, GRAFANA, namespace=MONITORING, labels=LABELS, port="http")
        allow(
            chart,
            GRAFANA,
            namespace=MONITORING,
            labels=LABELS,
            ingress=[{"from": [self.ingress.pods], "ports": tcp("http")}],
            egress=[
                TO_DNS,
                {
                    "to": [prometheus.PODS, alertmanager.PODS],
                    "ports": tcp("web"),
                },
                {
                    "to": [{"podSelector": {"matchLabels": selector(loki.LOKI)}}],
                    "ports": tcp("http"),
                },
            ],
        )

    def _route(self) -> IngressRouteSpec:
        return self.ingress.https_route(
            TLS_SECRET,
            {
                "kind": "Rule",
                # Its metrics are for the scraper.
                "match": f"Host(`{self.host}`) && !Path(`/metrics`)",
                "priority": 10,
                "middlewares": [{"name": GRAFANA}],
                "services": [{"name": leading_to(GRAFANA), "port": "http"}],
            },
            {
                "kind": "Rule",
                "match": f"Host(`{self.host}`) && PathPrefix(`/login`) && Method(`POST`)",
                "priority": 20,
                "middlewares": [{"name": SIGN_IN_LIMIT}, {"name": GRAFANA}],
                "services": [{"name": leading_to(GRAFANA), "port": "http"}],
            },
        )


def _deployment(annotations: dict[str, str]) -> DeploymentSpec:
    return {
        "replicas": 1,
        "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
        "strategy": DEPLOYMENT_STRATEGY,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS, "annotations": annotations},
            "spec": {
                **pod(
                    account=GRAFANA,
                    priority=OPERATING,
                    user=NOBODY,
                    containers=[_container()],
                ),
                "volumes": _volumes(),
            },
        },
    }


def _container() -> Container:
    return {
        "name": GRAFANA,
        "image": GRAFANA_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {
                "name": "GF_PATHS_CONFIG",
                "value": "/etc/grafana/grafana.ini",
            },
            {
                "name": "GF_SECURITY_ADMIN_USER__FILE",
                "value": "/etc/grafana/sign-in/username",
            },
            {
                "name": "GF_SECURITY_ADMIN_PASSWORD__FILE",
                "value": "/etc/grafana/sign-in/password",
            },
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {
            "httpGet": {"path": "/api/health", "port": "http"},
            "periodSeconds": 10,
        },
        "livenessProbe": {
            "httpGet": {"path": "/api/health", "port": "http"},
            "periodSeconds": 30,
        },
        "startupProbe": {
            "httpGet": {"path": "/api/health", "port": "http"},
            "periodSeconds": 5,
            "failureThreshold": 60,
        },
        "resources": resources(cpu="100m", memory="256Mi", limit="1Gi", volumes=DATA_MIB + TMP_MIB),
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [
            {
                "name": "config",
                "mountPath": "/etc/grafana/grafana.ini",
                "subPath": "grafana.ini",
            },
            {
                "name": "provisioning",
                "mountPath": "/etc/grafana/provisioning",
            },
            {
                "name": "sign-in",
                "mountPath": "/etc/grafana/sign-in",
                "readOnly": True,
            },
            {"name": "fleet", "mountPath": f"{FOLDERS}/{OURS}"},
            {"name": "kubernetes", "mountPath": f"{FOLDERS}/{THEIRS}"},
            {"name": "data", "mountPath": "/var/lib/grafana"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the container
        ],
    }


def _volumes() -> list[Volume]:
    return [
        {"name": "config", "configMap": {"name": GRAFANA}},
        {
            "name": "provisioning",
            "configMap": {
                "name": GRAFANA,
                "items": [
                    {
                        "key": f"{kind}.yaml",
                        "path": f"{kind}/{kind}.yaml",
                    }
                    for kind in ("datasources", "dashboards")
                ],
            },
        },
        {
            "name": "sign-in",
            "secret": {"secretName": GRAFANA_SIGN_IN, "defaultMode": 0o440},
        },
        {
            "name": "fleet",
            "projected": {
                "sources": [
                    {"configMap": {"name": f"dashboard-{dashboard['uid']}"}}
                    for dashboard in DASHBOARDS
                ]
            },
        },
        {
            "name": "kubernetes",
            "projected": {
                "sources": [
                    {"configMap": {"name": f"grafana-dashboard-{name}"}} for name in UPSTREAM
                ]
            },
        },
        empty_dir("data", DATA_MIB),
        empty_dir("tmp", TMP_MIB),
    ]
