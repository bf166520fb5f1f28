"""The fleet at a glance: a line for each cluster, and what is not as it should be."""

from typing import Final

from charts.monitoring.dashboards.model import (
    Column,
    Link,
    Query,
    Row,
    dashboard,
    graph,
    labelled_table,
    number,
    table,
)
from charts.monitoring.rules.app import ERRORS

# A cluster that has fallen silent stays in the list for a day.
_SEEN: Final = 'up{job=~"prometheus-agent|prometheus-k8s"}'
_HEARD: Final = (
    f"(count by (cluster) ({_SEEN} == 1)"
    f" or 0 * count by (cluster) (last_over_time({_SEEN}[1d]))) > bool 0"
)
_AGE: Final = f"time() - max by (cluster) (max_over_time(timestamp({_SEEN})[1d:1m]))"
_FIRING: Final = 'ALERTS{alertstate="firing",severity=~"warning|critical"}'

FLEET: Final = dashboard(
    "fleet",
    "Fleet overview",
    "Every cluster at a glance. A name leads to what is known of that cluster.",
    Row(
        [
            number(
                "Clusters heard of",
                Query(f"sum({_HEARD})"),
                steps=((None, "red"), (1, "text")),
                description="Whose metrics arrive, of those that did within a day.",
            ),
            number(
                "Clusters silent",
                Query(f"count({_HEARD} == 0) or vector(0)"),
                steps=((None, "green"), (1, "red")),
                description="Whose metrics arrived within a day, and do not now.",
            ),
            number(
                "Critical alerts",
                Query('count(ALERTS{alertstate="firing",severity="critical"}) or vector(0)'),
                steps=((None, "green"), (1, "red")),
            ),
            number(
                "Warnings",
                Query('count(ALERTS{alertstate="firing",severity="warning"}) or vector(0)'),
                steps=((None, "green"), (1, "orange")),
            ),
            number(
                "Requests",
                Query('sum(rate(http_requests_total{job="foobar-api"}[5m]))'),
                unit="reqps",
                decimals=1,
                description="Answered by foobar-api in all regions.",
            ),
            number(
                "Applications not as in Git",
                Query('count(argocd_app_info{sync_status!="Synced"}) or vector(0)'),
                steps=((None, "green"), (1, "orange")),
            ),
        ]
    ),
    Row(
        [
            table(
                "Clusters",
                Column(
                    "Metrics",
                    _HEARD,
                    values=((1, "arrive", "green"), (0, "silent", "red")),
                ),
                Column(
                    "Newest sample",
                    _AGE,
                    unit="s",
                    decimals=0,
                    steps=((None, "green"), (120, "orange"), (300, "red")),
                ),
                Column(
                    "Log lines",
                    "sum by (cluster) (rate(otelcol_exporter_sent_log_records[5m])) * 60",
                    unit="cpm",
                    decimals=0,
                ),
                Column(
                    "Requests",
                    'sum by (cluster) (rate(http_requests_total{job="foobar-api"}[5m]))',
                    unit="reqps",
                    decimals=1,
                ),
                Column(
                    "Errors",
                    f'{ERRORS.share("5m")}{{app="foobar-api"}}',
                    unit="percentunit",
                    decimals=2,
                    steps=((None, "green"), (0.001, "orange"), (0.0144, "red")),
                ),
                Column(
                    "99 % within",
                    "histogram_quantile(0.99, sum by (cluster, le) "
                    '(rate(http_request_duration_seconds_bucket{job="foobar-api"}[5m])))',
                    unit="s",
                    steps=((None, "green"), (0.25, "orange"), (1, "red")),
                ),
                Column(
                    "Certificate",
                    "min by (cluster) "
                    "(certmanager_certificate_not_after_timestamp_seconds - time())",
                    unit="s",
                    decimals=0,
                    steps=((None, "red"), (172_800, "orange"), (604_800, "green")),
                ),
                Column(
                    "Nodes not ready",
                    "sum by (cluster) "
                    '(kube_node_status_condition{condition="Ready",status!="true"})',
                    steps=((None, "green"), (1, "red")),
                ),
                Column(
                    "Pods not ready",
                    'sum by (cluster) (kube_pod_status_phase{phase=~"Pending|Unknown|Failed"})',
                    steps=((None, "green"), (1, "orange")),
                ),
                Column(
                    "Alerts",
                    f"count by (cluster) ({_FIRING})",
                    steps=((None, "green"), (1, "orange")),
                ),
                key="cluster",
                key_title="Cluster",
                key_links=[
                    Link("This cluster", "/d/region/region?var-cluster=${__value.text}"),
                    Link("Its log lines", "/d/logs/logs?var-cluster=${__value.text}"),
                    Link(
                        "Its workloads",
                        "/d/efa86fd1d0c121a26444b636a3f509a8/cluster?var-cluster=${__value.text}",
                    ),
                ],
                description="Certificate: time that the shortest has left. A cluster stays in "
                "the list for a day after its last sample.",
            )
        ]
    ),
    Row(
        [
            graph(
                "Requests by region",
                Query(
                    'sum by (cluster) (rate(http_requests_total{job="foobar-api"}'
                    "[$__rate_interval]))",
                    "{{cluster}}",
                ),
                unit="reqps",
                stacked=True,
            ),
            graph(
                "Share of errors by region",
                Query(f'{ERRORS.share("5m")}{{app="foobar-api"}}', "{{cluster}}"),
                unit="percentunit",
                limit=0.0144,
                description="Beyond the line, the budget of 30 days is gone in two.",
            ),
        ]
    ),
    Row(
        [
            graph(
                "Samples that arrive, by cluster",
                Query(
                    "sum by (cluster) (rate(prometheus_remote_storage_samples_total"
                    '{job="prometheus-agent"}[$__rate_interval]))',
                    "{{cluster}}",
                ),
                unit="cps",
                stacked=True,
            ),
            graph(
                "How far behind",
                Query(
                    "max by (cluster) (prometheus_remote_storage_queue_highest_timestamp_seconds"
                    '{job="prometheus-agent"}) - max by (cluster) '
                    "(prometheus_remote_storage_queue_highest_sent_timestamp_seconds"
                    '{job="prometheus-agent"})',
                    "{{cluster}}",
                ),
                unit="s",
                limit=300,
            ),
        ],
        heading="What arrives",
    ),
    Row(
        [
            labelled_table(
                "Alerts that fire",
                Column(
                    "Since",
                    f"ALERTS_FOR_STATE * 1000 and ignoring(alertstate) {_FIRING}",
                    unit="dateTimeFromNow",
                ),
                keys={
                    "cluster": "Cluster",
                    "severity": "Severity",
                    "alertname": "Alert",
                    "namespace": "Namespace",
                    "pod": "Pod",
                },
                description="What Alertmanager is told; silences and groups are under Alerting.",
            )
        ],
        heading="Alerts",
    ),
)
