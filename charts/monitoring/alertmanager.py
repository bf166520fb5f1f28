"""Alertmanager on the hub: groups alerts, drops those with a known cause, notifies people.

The configuration is an object without secrets: where messages go is in a Secret made outside Git.
"""

from typing import ClassVar, Final, Literal

from cdk8s import App

from charts.component import Component
from charts.labels import NAME
from charts.monitoring.secrets import ALERT_RECEIVERS
from charts.network import EVERYWHERE, TO_DNS, allow, pods, tcp
from charts.scheduling import PLATFORM, one_at_a_time
from charts.scrape import FROM_SCRAPERS, MONITORING
from charts.storage import volume
from charts.upstream import ALERTMANAGER_IMAGE, ALERTMANAGER_VERSION
from fleet.registry import ComponentName, Messenger
from imports.k8s import PodDisruptionBudget, Service, ServiceAccount
from imports.monitoring import Alertmanager as AlertmanagerResource
from imports.monitoring import (
    AlertmanagerConfig,
    Receiver,
    ServiceMonitor,
    SourceMatch,
    TemplateConfigMap,
)

ALERTMANAGER: Final = "alertmanager-main"
"""Name of the account, the Service and the job, as kube-prometheus's rules expect them."""
PORT: Final = 9093
URL: Final = f"http://{ALERTMANAGER}.{MONITORING}.svc:{PORT}"

LABELS: Final = {NAME: "alertmanager", "alertmanager": "main"}
"""What the operator labels the pods with."""
PODS: Final = pods(MONITORING, LABELS)


class Alertmanager(Component):
    """Two replicas that agree on what was sent, their configuration, and policies."""

    NAME: ClassVar[ComponentName] = "alertmanager"
    NAMESPACE = MONITORING

    def __init__(
        self,
        app: App,
        *,
        pages_by: Messenger,
        notices_by: Messenger,
        grafana: str,
        storage_class: str | None,
    ) -> None:
        """Alerts go out as ``pages_by`` and ``notices_by`` say; ``grafana`` is its hostname."""
        super().__init__(app)

        ServiceAccount(
            self,
            "account",
            metadata={"name": ALERTMANAGER, "namespace": MONITORING},
            automountServiceAccountToken=False,
        )
        AlertmanagerResource(
            self,
            "alertmanager",
            metadata={"name": "main", "namespace": MONITORING},
            spec={
                "version": ALERTMANAGER_VERSION,
                "image": ALERTMANAGER_IMAGE,
                "replicas": 2,
                "serviceAccountName": ALERTMANAGER,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "priorityClassName": PLATFORM,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "runAsGroup": 2000,
                    "fsGroup": 2000,
                    "fsGroupChangePolicy": "OnRootMismatch",
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": LABELS},
                    }
                ],
                # Links in messages: its own pages are not shown to the internet.
                "externalUrl": f"https://{grafana}/alerting/groups",
                "routePrefix": "/",
                # Silences and what was sent.
                "storage": volume("1Gi", storage_class),
                "retention": "120h",
                "alertmanagerConfiguration": {"name": "main"},
                "resources": {
                    "requests": {"cpu": "10m", "memory": "64Mi"},
                    "limits": {"memory": "128Mi"},
                },
            },
        )
        AlertmanagerConfig(
            self,
            "config",
            metadata={"name": "main", "namespace": MONITORING},
            spec={
                "route": {
                    "receiver": "notices",
                    # One message for one cause in one cluster.
                    "groupBy": ["cluster", "alertname"],
                    "groupWait": "30s",
                    "groupInterval": "5m",
                    "repeatInterval": "12h",
                    "routes": [
                        # To a dead-man's switch, which tells somebody when this falls silent.
                        {
                            "matchers": [_is("alertname", "Watchdog")],
                            "receiver": "watchdog",
                            "groupBy": ["alertname"],
                            "groupWait": "0s",
                            "groupInterval": "30s",
                            "repeatInterval": "1m",
                        },
                        # Seen in Grafana by who looks; told to nobody.
                        {"matchers": [_is("severity", "info|none", "=~")], "receiver": "nobody"},
                        {
                            "matchers": [_is("severity", "critical")],
                            "receiver": "pages",
                            "repeatInterval": "4h",
                        },
                    ],
                },
                "inhibitRules": [
                    # A cluster that is not heard of is one cause, not as many as it has parts;
                    # that its password is refused is why.
                    {
                        "sourceMatch": [_is("alertname", "ClusterMetricsSilent")],
                        "targetMatch": [
                            _is("alertname", "ClusterMetricsSilent|IngestRefused", "!~")
                        ],
                        "equal": ["cluster"],
                    },
                    {
                        "sourceMatch": [_is("severity", "critical")],
                        "targetMatch": [_is("severity", "warning")],
                        "equal": ["cluster", "namespace", "alertname"],
                    },
                ],
                "receivers": [
                    {"name": "nobody"},
                    _receiver("pages", pages_by),
                    _receiver("notices", notices_by),
                    _receiver("watchdog", "webhook"),
                ],
            },
        )
        Service(
            self,
            "service",
            metadata={
                "name": ALERTMANAGER,
                "namespace": MONITORING,
                "labels": {NAME: "alertmanager"},
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
            metadata={"name": ALERTMANAGER, "namespace": MONITORING},
            spec={
                "selector": {"matchLabels": {NAME: "alertmanager"}},
                "endpoints": [{"port": "web"}, {"port": "reloader-web"}],
            },
        )
        PodDisruptionBudget(
            self,
            "budget",
            metadata={"name": ALERTMANAGER, "namespace": MONITORING},
            spec=one_at_a_time(LABELS),
        )
        allow(
            self,
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


def _is(name: str, value: str, how: Literal["=", "!=", "=~", "!~"] = "=") -> SourceMatch:
    found: SourceMatch = {"name": name, "value": value}
    # The default is not written: a bare = is a type of its own in YAML 1.1.
    if how != "=":
        found["matchType"] = how
    return found


def _receiver(name: str, messenger: Messenger) -> Receiver:
    """A receiver whose address is the key ``name`` of the Secret."""
    secret: TemplateConfigMap = {"name": ALERT_RECEIVERS, "key": name}
    found: dict[Messenger, Receiver] = {
        "webhook": {"name": name, "webhookConfigs": [{"urlSecret": secret, "sendResolved": True}]},
        "slack": {
            "name": name,
            "slackConfigs": [
                {
                    "apiURL": secret,
                    "sendResolved": True,
                    "title": "{{ .CommonLabels.cluster }}: {{ .CommonLabels.alertname }}"
                    " ({{ .Status }}, {{ .Alerts.Firing | len }})",
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
                    "description": "{{ .CommonLabels.cluster }}: {{ .CommonLabels.alertname }}",
                }
            ],
        },
    }
    return found[messenger]
