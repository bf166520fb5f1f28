"""Alertmanager on the hub: groups alerts, drops those with a known cause, notifies people.

The configuration is an object without secrets: where messages go is in a Secret made outside Git.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self

from charts.component import Component
from charts.labels import NAME
from charts.monitoring.operator import operated_pods, operated_resources, web_ports
from charts.monitoring.rules.rule import OUTSIDE
from charts.monitoring.secrets import ALERT_RECEIVERS
from charts.network import EVERYWHERE, TO_DNS, allow, pods, tcp
from charts.scheduling import one_at_a_time
from charts.scrape import FROM_SCRAPERS, MONITORING
from charts.storage import volume
from charts.upstream import ALERTMANAGER_IMAGE, ALERTMANAGER_VERSION
from fleet.registry import Fleet, Hub, Messenger
from imports.k8s import PodDisruptionBudget, Service, ServiceAccount
from imports.monitoring import Alertmanager as AlertmanagerResource
from imports.monitoring import (
    AlertmanagerConfig,
    AlertmanagerConfigSpec,
    AlertmanagerSpec,
    Receiver,
    SecretKeySelector,
    ServiceMonitor,
    SourceMatch,
)

if TYPE_CHECKING:
    from constructs import Construct

ALERTMANAGER: Final = "alertmanager-main"
"""Name of the account, the Service and the job, as kube-prometheus's rules expect them."""
PORT: Final = 9093
URL: Final = f"http://{ALERTMANAGER}.{MONITORING}.svc:{PORT}"

TITLE: Final = (
    "{{ .CommonLabels.cluster }}{{ with .CommonLabels.app }} {{ . }}{{ end }}: "
    "{{ .CommonLabels.alertname }}"
)
"""What a message is about."""

IDENTITY: Final = (
    "alertname",
    "cluster",
    "namespace",
    "app",
    "hostname",
    "name",
    "signal",
    "node",
    "instance",
    "device",
    "mountpoint",
    "persistentvolumeclaim",
    "pod",
    "container",
    "job",
    "job_name",
    "integration",
)
"""The labels that tell two things apart which the same alert is about. Only if all of them agree,
a critical alert suppresses the warning: one volume's says nothing about another's. Alertmanager
takes a label that both lack for equal.
"""

LABELS: Final = {NAME: "alertmanager", "alertmanager": "main"}
"""What the operator labels the pods with."""
PODS: Final = pods(MONITORING, LABELS)


@dataclass(frozen=True, kw_only=True)
class Alertmanager(Component[Hub]):
    """Two replicas that agree on what was sent, their configuration, and policies."""

    NAME = "alertmanager"
    NAMESPACE = MONITORING
    REQUIRED = True

    pages_by: Messenger
    """How alerts of severity ``critical`` are sent."""
    notices_by: Messenger
    """How all other alerts are sent."""
    grafana_host: str
    """Grafana's hostname, which links in messages lead to."""
    storage_class: str | None
    """Of its volumes; None is the default of the cluster."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(
            pages_by=cluster.pages_by,
            notices_by=cluster.notices_by,
            grafana_host=cluster.grafana_host,
            storage_class=cluster.volume_class,
        )

    def add_to(self, chart: "Construct") -> None:
        ServiceAccount(
            chart,
            "account",
            metadata={"name": ALERTMANAGER, "namespace": MONITORING},
            automountServiceAccountToken=False,
        )
        AlertmanagerResource(
            chart,
            "alertmanager",
            metadata={"name": "main", "namespace": MONITORING},
            spec=self._alertmanager(),
        )
        AlertmanagerConfig(
            chart,
            "config",
            metadata={"name": "main", "namespace": MONITORING},
            spec=self._configuration(),
        )
        Service(
            chart,
            "service",
            metadata={
                "name": ALERTMANAGER,
                "namespace": MONITORING,
                "labels": {NAME: "alertmanager"},
            },
            spec={"selector": LABELS, "ports": web_ports(PORT)},
        )
        # By the Service, whose name is the job.
        ServiceMonitor(
            chart,
            "monitor",
            metadata={"name": ALERTMANAGER, "namespace": MONITORING},
            spec={
                "selector": {"matchLabels": {NAME: "alertmanager"}},
                "endpoints": [{"port": "web"}, {"port": "reloader-web"}],
            },
        )
        PodDisruptionBudget(
            chart,
            "budget",
            metadata={"name": ALERTMANAGER, "namespace": MONITORING},
            spec=one_at_a_time(LABELS),
        )
        allow(
            chart,
            "alertmanager",
            namespace=MONITORING,
            labels=LABELS,
            ingress=[
                {"from": FROM_SCRAPERS, "ports": tcp("web", "reloader-web")},
                {"from": [pods(MONITORING, {NAME: "grafana"})], "ports": tcp("web")},
                {"from": [PODS], "ports": [*tcp(9094), {"port": 9094, "protocol": "UDP"}]},
            ],
            egress=[
                TO_DNS,
                {"to": [PODS], "ports": [*tcp(9094), {"port": 9094, "protocol": "UDP"}]},
                {"to": EVERYWHERE, "ports": tcp(443)},
            ],
        )

    def _alertmanager(self) -> AlertmanagerSpec:
        return {
            "version": ALERTMANAGER_VERSION,
            "image": ALERTMANAGER_IMAGE,
            "replicas": 2,
            **operated_pods(  # type: ignore[typeddict-item] # no TypedDict is closed
                account=ALERTMANAGER, token=False
            ),
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": LABELS},
                }
            ],
            # Links in messages: its own pages are not shown to the internet.
            "externalUrl": f"https://{self.grafana_host}/alerting/groups",
            "routePrefix": "/",
            # Silences and what was sent.
            "storage": volume("1Gi", self.storage_class),
            "retention": "120h",
            "alertmanagerConfiguration": {"name": "main"},
            "resources": operated_resources(cpu="10m", memory="64Mi", limit="128Mi"),
        }

    def _configuration(self) -> AlertmanagerConfigSpec:
        return {
            "route": {
                "receiver": "notices",
                # One message for one cause in one cluster, and for one app.
                "groupBy": ["cluster", "app", "alertname"],
                "groupWait": "30s",
                "groupInterval": "5m",
                "repeatInterval": "12h",
                "routes": [
                    # To a dead-man's switch, which tells somebody when this falls silent.
                    {
                        "matchers": [_matcher("alertname", "Watchdog")],
                        "receiver": "watchdog",
                        "groupBy": ["alertname"],
                        "groupWait": "0s",
                        "groupInterval": "30s",
                        "repeatInterval": "1m",
                    },
                    # Visible in Grafana; never sent to anybody.
                    {"matchers": [_matcher("severity", "info|none", "=~")], "receiver": "nobody"},
                    {
                        "matchers": [_matcher("severity", "critical")],
                        "receiver": "pages",
                        "repeatInterval": "4h",
                    },
                ],
            },
            "inhibitRules": [
                # A cluster that is silent is one cause, not as many as it has parts. What is
                # measured elsewhere holds all the same.
                {
                    "sourceMatch": [_matcher("alertname", "ClusterMetricsSilent")],
                    "targetMatch": [_matcher(*label, "!=") for label in OUTSIDE.items()],
                    "equal": ["cluster"],
                },
                # Without Traefik no hostname of the cluster is served. Whether Traefik is scraped
                # is the same question again.
                {
                    "sourceMatch": [_matcher("alertname", "TraefikDown")],
                    "targetMatch": [
                        _matcher(
                            "alertname",
                            "HostnameUnreachable|AppErrors|AppSlow|TrafficCollapsed",
                            "=~",
                        )
                    ],
                    "equal": ["cluster"],
                },
                {
                    "sourceMatch": [_matcher("alertname", "TraefikDown")],
                    "targetMatch": [_matcher("alertname", "ClusterPartMissing")],
                    "equal": ["cluster", "job"],
                },
                # What users notice comes first, and once. Why it is so is seen in Grafana.
                {
                    "sourceMatch": [
                        _matcher("alertname", "HostnameUnreachable"),
                        _matcher("severity", "critical"),
                    ],
                    "targetMatch": [
                        _matcher("alertname", "AppDown|AppErrors|AppSlow|TrafficCollapsed", "=~")
                    ],
                    "equal": ["cluster", "app"],
                },
                # A certificate that is not renewed is served until it expires.
                {
                    "sourceMatch": [_matcher("alertname", "CertificateExpiring")],
                    "targetMatch": [_matcher("alertname", "HostnameCertificateExpiring")],
                    "equal": ["cluster", "name", "severity"],
                },
                # An app without a pod answers with errors, if it answers at all.
                {
                    "sourceMatch": [_matcher("alertname", "AppDown")],
                    "targetMatch": [
                        _matcher("alertname", "AppErrors|AppSlow|TrafficCollapsed", "=~")
                    ],
                    "equal": ["cluster", "app"],
                },
                # Traefik answers for apps behind it, and has no other routes in a region.
                {
                    "sourceMatch": [_matcher("alertname", "AppDown|AppErrors", "=~")],
                    "targetMatch": [_matcher("alertname", "TraefikErrors")],
                    "equal": ["cluster"],
                },
                # Argo CD compares with nothing new while it cannot read Git or the cluster.
                {
                    "sourceMatch": [_matcher("alertname", "ArgoCdGitUnreadable")],
                    "targetMatch": [
                        _matcher("alertname", "ArgoCdOutOfSync"),
                        _matcher("sync_status", "Unknown"),
                    ],
                },
                {
                    "sourceMatch": [_matcher("alertname", "ArgoCdClusterUnreachable")],
                    "targetMatch": [_matcher("alertname", "ArgoCdOutOfSync|ArgoCdUnhealthy", "=~")],
                    "equal": ["cluster"],
                },
                {
                    "sourceMatch": [_matcher("severity", "critical")],
                    "targetMatch": [_matcher("severity", "warning")],
                    "equal": list(IDENTITY),
                },
            ],
            "receivers": [
                {"name": "nobody"},
                _receiver("pages", self.pages_by),
                _receiver("notices", self.notices_by),
                _receiver("watchdog", "webhook"),
            ],
        }


def _matcher(name: str, value: str, how: Literal["=", "!=", "=~", "!~"] = "=") -> SourceMatch:
    if how == "=":
        # The default is not written: a bare = is a type of its own in YAML 1.1.
        return {"name": name, "value": value}
    return {"name": name, "value": value, "matchType": how}


def _receiver(name: str, messenger: Messenger) -> Receiver:
    """A receiver whose address is the key ``name`` of the Secret."""
    secret: SecretKeySelector = {"name": ALERT_RECEIVERS, "key": name}
    receivers: dict[Messenger, Receiver] = {
        "webhook": {"name": name, "webhookConfigs": [{"urlSecret": secret, "sendResolved": True}]},
        "slack": {
            "name": name,
            "slackConfigs": [
                {
                    "apiURL": secret,
                    "sendResolved": True,
                    "title": f"{TITLE} ({{{{ .Status }}}}, {{{{ .Alerts.Firing | len }}}})",
                    "text": "{{ range .Alerts }}{{ .Annotations.summary }}\n"
                    "{{ .Annotations.description }}\n{{ .Annotations.runbook_url }}\n{{ end }}",
                }
            ],
        },
        "pagerduty": {
            "name": name,
            "pagerdutyConfigs": [
                {
                    "routingKey": secret,
                    "sendResolved": True,
                    "severity": "{{ .CommonLabels.severity }}",
                    "description": TITLE,
                }
            ],
        },
    }
    return receivers[messenger]
