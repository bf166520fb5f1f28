"""The fleet at a glance: a line for each cluster, and what is not as it should be."""

from collections.abc import Sequence
from typing import Final

from charts.monitoring.dashboards.annotations import synced
from charts.monitoring.dashboards.model import (
    ANY_STEPS,
    BUDGET_STEPS,
    LIFE_STEPS,
    Column,
    Link,
    Query,
    Row,
    Steps,
    dashboard,
    graph,
    labelled_table,
    number,
    table,
)
from charts.monitoring.rules.app import AVAILABLE
from charts.monitoring.rules.probes import BEST, SUCCEED
from charts.monitoring.rules.service_levels import BURNS, ERRORS, SLOWNESS, Objective

# A cluster that has fallen silent stays in the list for a day.
_SEEN: Final = 'up{job=~"prometheus-agent|prometheus-k8s"}'
_HEARD: Final = (
    f"(count by (cluster) ({_SEEN} == 1)"
    f" or 0 * count by (cluster) (last_over_time({_SEEN}[1d]))) > bool 0"
)
_AGE: Final = f"time() - max by (cluster) (max_over_time(timestamp({_SEEN})[1d:1m]))"
_ALERTS: Final = 'ALERTS{alertstate="firing",severity=~"warning|critical"'
_FIRING: Final = f"{_ALERTS}}}"
# Kubernetes' and the certificates' alerts know of an app the namespace alone, which has its name.
_FIRING_BY_APP: Final = (
    f'({_ALERTS},app!=""}} or label_replace({_ALERTS},app=""}}, "app", "$1", "namespace", "(.+)"))'
)
_BURN_STEPS: Final[Steps] = ((None, "green"), (1, "orange"), (BURNS[0].times, "red"))


def _burn_rate(objective: Objective) -> str:
    """How many times too fast each app spends the budget in each cluster, over an hour."""
    return f"{objective.share('1h')} / on (app) group_left () {objective.budget}"


def _burn_rates(by: str) -> Sequence[Column]:
    """The worst of what ``by`` stands for."""
    return tuple(
        Column(
            f"Burn rate, {what}",
            f"max by ({by}) ({_burn_rate(objective)})",
            decimals=1,
            steps=_BURN_STEPS,
        )
        for what, objective in (("errors", ERRORS), ("slowness", SLOWNESS))
    )


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
                steps=ANY_STEPS,
            ),
            number(
                "Requests",
                Query(f"sum({ERRORS.total})"),
                unit="reqps",
                decimals=1,
                description="To all apps in all regions, as far as they count for service levels.",
            ),
            number(
                "Applications not as in Git",
                Query('count(argocd_app_info{sync_status!="Synced"}) or vector(0)'),
                steps=ANY_STEPS,
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
                    f"sum by (cluster) ({ERRORS.total})",
                    unit="reqps",
                    decimals=1,
                ),
                Column(
                    "Errors",
                    f"sum by (cluster) ({ERRORS.broken}) / sum by (cluster) ({ERRORS.total})",
                    unit="percentunit",
                    decimals=2,
                ),
                *_burn_rates("cluster"),
                Column(
                    "Certificate",
                    "min by (cluster) "
                    "(certmanager_certificate_not_after_timestamp_seconds - time())",
                    unit="s",
                    decimals=0,
                    steps=LIFE_STEPS,
                ),
                Column(
                    "Hostnames unreachable",
                    f"count by (cluster) ({BEST} < {SUCCEED})",
                    steps=((None, "green"), (1, "red")),
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
                    steps=ANY_STEPS,
                ),
                Column(
                    "Alerts",
                    f"count by (cluster) ({_FIRING})",
                    steps=ANY_STEPS,
                ),
                key="cluster",
                key_title="Cluster",
                key_links=[
                    Link("This cluster", "/d/region/region?var-cluster=${__value.text}"),
                    Link("Its apps", "/d/apps/apps?var-cluster=${__value.text}"),
                    Link("Its log lines", "/d/logs/logs?var-cluster=${__value.text}"),
                    Link(
                        "Its workloads",
                        "/d/efa86fd1d0c121a26444b636a3f509a8/cluster?var-cluster=${__value.text}",
                    ),
                ],
                description="Burn rate: how many times too fast an app spends its budget of 30 "
                "days, the worst of the cluster. Certificate: time that the shortest has left. A "
                "cluster stays in the list for a day after its last sample.",
            )
        ]
    ),
    Row(
        [
            table(
                "Apps",
                Column("Clusters", f"count by (app) ({AVAILABLE})"),
                Column(
                    "Without a pod",
                    f"count by (app) ({AVAILABLE} == 0)",
                    steps=((None, "green"), (1, "red")),
                ),
                Column("Requests", f"sum by (app) ({ERRORS.total})", unit="reqps", decimals=1),
                Column(
                    "Errors",
                    f"sum by (app) ({ERRORS.broken}) / sum by (app) ({ERRORS.total})",
                    unit="percentunit",
                    decimals=2,
                ),
                *_burn_rates("app"),
                Column(
                    "Error budget left",
                    f"min by (app) ({ERRORS.remaining})",
                    unit="percentunit",
                    decimals=0,
                    steps=BUDGET_STEPS,
                ),
                Column(
                    "Alerts",
                    f"count by (app) ({_FIRING_BY_APP} and on (app) {AVAILABLE})",
                    steps=ANY_STEPS,
                ),
                key="app",
                key_title="App",
                key_links=[
                    Link("This app", "/d/apps/apps?var-app=${__value.text}"),
                    Link("Its log lines", "/d/logs/logs?var-app=${__value.text}"),
                ],
                description="Of the worst cluster. Error budget: of the last 30 days.",
            )
        ]
    ),
    Row(
        [
            graph(
                "Requests by region",
                Query(f"sum by (cluster) ({ERRORS.total})", "{{cluster}}"),
                unit="reqps",
                stacked=True,
            ),
            graph(
                "Burn rates of error budgets",
                Query(_burn_rate(ERRORS), "{{app}} {{cluster}}"),
                limit=BURNS[0].times,
                description="How many times faster than 30 days allow, over an hour. Beyond the "
                "line, the budget is gone in two days.",
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
                    "app": "App",
                    "namespace": "Namespace",
                    "pod": "Pod",
                },
                description="What Alertmanager is told; silences and groups are under Alerting.",
            )
        ],
        heading="Alerts",
    ),
    annotations=[synced('project=~".+"', by="project")],
)
