"""Apps: what users get, budgets, pods, certificates and log lines of any app in any cluster."""

from typing import Final

from charts.ingress import routers
from charts.monitoring.dashboards.annotations import rolled_out
from charts.monitoring.dashboards.model import (
    ANY_STEPS,
    BUDGET_STEPS,
    LIFE_STEPS,
    REACHED_STEPS,
    RESTART_STEPS,
    Column,
    Link,
    Panel,
    Query,
    Row,
    Variable,
    dashboard,
    graph,
    labelled_table,
    lines,
    number,
    to_logs,
)
from charts.monitoring.rules.app import AVAILABLE, CERTIFICATE_SERVED, by_app
from charts.monitoring.rules.probes import BEST
from charts.monitoring.rules.service_levels import BURNS, ERRORS, SLOWNESS, Objective

_CHOSEN: Final = '{app=~"$app",cluster=~"$cluster"}'
"""Of what rules record by app."""
_PODS: Final = 'namespace=~"$app",cluster=~"$cluster"'
"""Of what Kubernetes knows; an app has the namespace of its name."""
_OWN: Final = 'job=~"$app",cluster=~"$cluster"'
"""Of what apps export."""
_ROUTED: Final = f'router=~"{routers("($app)")}",cluster=~"$cluster"'
"""Of what Traefik counts."""
_TO_LINES: Final = to_logs("${app:queryparam}")


_ALERTS: Final = 'ALERTS{alertstate="firing",severity=~"warning|critical",cluster=~"$cluster"'
_FIRING: Final = (
    f'{_ALERTS},app=~"$app"}} or '
    # Kubernetes' and the certificates' alerts know the namespace alone.
    + by_app(f'{_ALERTS},app="",namespace=~"$app"}}')
)
_RESTARTS: Final = by_app(f"increase(kube_pod_container_status_restarts_total{{{_PODS}}}[1h])")
_LIFE: Final = by_app(f"certmanager_certificate_not_after_timestamp_seconds{{{_PODS}}} - time()")


def _burn_rate(objective: Objective) -> str:
    """How many times too fast the budget of 30 days is spent, over an hour."""
    share, budget = f"{objective.share('1h')}{_CHOSEN}", f'{objective.budget}{{app=~"$app"}}'
    return f"{share} / on (app) group_left () {budget}"


def _budget(title: str, objective: Objective) -> Panel:
    return number(
        title,
        Query(f"min({objective.remaining}{_CHOSEN})"),
        unit="percentunit",
        decimals=0,
        steps=BUDGET_STEPS,
        description="Of the last 30 days, of the worst app and cluster. Below 0, it is overspent.",
    )


def _burning(title: str, objective: Objective) -> Panel:
    return graph(
        title,
        Query(_burn_rate(objective), "{{app}} {{cluster}}"),
        limit=BURNS[0].times,
        description="How many times faster than 30 days allow, over an hour. Beyond the line, "
        "the budget is gone in two days.",
        links=[_TO_LINES],
    )


def _remaining(title: str, objective: Objective) -> Panel:
    return graph(
        title,
        Query(
            f"min by (app, cluster) ({objective.remaining}{_CHOSEN})",
            "{{app}} {{cluster}}",
        ),
        unit="percentunit",
        least=None,
        description="At each moment, the share of the budget that the 30 days before had left. If "
        "the hub remembers fewer days, it is of these. Below 0, the budget is overspent.",
    )


def _requests(title: str, counter: str, label: str, selector: str) -> Panel:
    return graph(
        title,
        Query(
            f"sum by ({label}) (rate({counter}{{{selector}}}[$__rate_interval]))",
            f"{{{{{label}}}}}",
        ),
        unit="reqps",
        stacked=True,
        width=8,
        links=[_TO_LINES],
    )


def _duration(title: str, histogram: str, selector: str) -> Panel:
    return graph(
        title,
        *(
            Query(
                f"histogram_quantile({share}, sum by (le) "
                f"(rate({histogram}_bucket{{{selector}}}[$__rate_interval])))",
                f"{100 * share:g} %",
            )
            for share in (0.5, 0.9, 0.99)
        ),
        unit="s",
        width=8,
        links=[_TO_LINES],
    )


def _of_pods(title: str, usage: str, resource: str, bound: str, *, limit: float) -> Panel:
    """What each container of each pod uses, as a share of what it has requested or may use."""
    by = "cluster, namespace, pod, container"
    return graph(
        title,
        Query(
            f"sum by ({by}) ({usage}) / sum by ({by}) "
            f'(kube_pod_container_resource_{bound}{{{_PODS},resource="{resource}"}})',
            "{{cluster}} {{pod}} {{container}}",
        ),
        unit="percentunit",
        limit=limit,
    )


APPS: Final = dashboard(
    "apps",
    "Apps",
    "What users of an app get, and how its pods are. Requests are counted where TLS ends: by "
    "Traefik, or by the app itself.",
    Row(
        [
            number(
                "Requests",
                Query(f"sum({ERRORS.total}{_CHOSEN})"),
                unit="reqps",
                decimals=1,
                description="Those that count for the service levels.",
            ),
            number(
                "Share of errors",
                Query(f"sum({ERRORS.broken}{_CHOSEN}) / sum({ERRORS.total}{_CHOSEN})"),
                unit="percentunit",
                decimals=2,
            ),
            _budget("Error budget left", ERRORS),
            _budget("Slowness budget left", SLOWNESS),
            number(
                "Pods available",
                Query(f"sum({AVAILABLE}{_CHOSEN})"),
                steps=((None, "red"), (1, "text")),
            ),
            number(
                "Alerts",
                Query(f"count({_FIRING}) or vector(0)"),
                steps=ANY_STEPS,
            ),
        ]
    ),
    Row(
        [
            labelled_table(
                "Apps by cluster",
                Column("Pods", f"sum by (app, cluster) ({AVAILABLE}{_CHOSEN})"),
                Column(
                    "Reached",
                    f"max by (app, cluster) ({BEST}{_CHOSEN})",
                    unit="percentunit",
                    decimals=0,
                    steps=REACHED_STEPS,
                ),
                Column(
                    "Requests",
                    f"sum by (app, cluster) ({ERRORS.total}{_CHOSEN})",
                    unit="reqps",
                    decimals=1,
                ),
                Column(
                    "Errors",
                    f"sum by (app, cluster) ({ERRORS.share('5m')}{_CHOSEN})",
                    unit="percentunit",
                    decimals=2,
                ),
                Column(
                    "Slow",
                    f"sum by (app, cluster) ({SLOWNESS.share('5m')}{_CHOSEN})",
                    unit="percentunit",
                    decimals=2,
                ),
                Column(
                    "Error budget left",
                    f"min by (app, cluster) ({ERRORS.remaining}{_CHOSEN})",
                    unit="percentunit",
                    decimals=0,
                    steps=BUDGET_STEPS,
                ),
                Column(
                    "Restarts in an hour",
                    f"sum by (app, cluster) ({_RESTARTS})",
                    decimals=0,
                    steps=RESTART_STEPS,
                ),
                Column(
                    "Certificate",
                    f"min by (app, cluster) ({_LIFE})",
                    unit="s",
                    decimals=0,
                    steps=LIFE_STEPS,
                ),
                Column(
                    "Alerts",
                    f"count by (app, cluster) ({_FIRING})",
                    steps=ANY_STEPS,
                ),
                keys={"app": "App", "cluster": "Cluster"},
                key_links=[Link("This app alone", "/d/apps/apps?var-app=${__value.text}")],
                description="Reached: by probes from elsewhere. Certificate: time that is left.",
            )
        ]
    ),
    Row(
        [
            _burning("Burn rate of the error budget", ERRORS),
            _burning("Burn rate of the slowness budget", SLOWNESS),
        ]
    ),
    Row(
        [
            _remaining("Error budget of 30 days", ERRORS),
            _remaining("Slowness budget of 30 days", SLOWNESS),
        ]
    ),
    Row(
        [
            _requests(
                "Requests by answer, at Traefik", "traefik_router_requests_total", "code", _ROUTED
            ),
            _requests(
                "Requests by protocol, at Traefik",
                "traefik_router_requests_total",
                "protocol",
                _ROUTED,
            ),
            _duration("Duration, at Traefik", "traefik_router_request_duration_seconds", _ROUTED),
        ],
        heading="Measured by Traefik, where it terminates TLS",
    ),
    Row(
        [
            _requests("Requests by answer, in the app", "http_requests_total", "code", _OWN),
            _requests("Requests by route, in the app", "http_requests_total", "route", _OWN),
            _duration("Duration, in the app", "http_request_duration_seconds", _OWN),
        ],
        heading="Measured by the app, if it has such metrics",
    ),
    Row(
        [
            _of_pods(
                "CPU, as a share of what is requested",
                "rate(container_cpu_usage_seconds_total"
                f'{{{_PODS},container!=""}}[$__rate_interval])',
                "cpu",
                "requests",
                limit=1,
            ),
            _of_pods(
                "Memory, as a share of the limit",
                f'container_memory_working_set_bytes{{{_PODS},container!=""}}',
                "memory",
                "limits",
                limit=0.9,
            ),
        ],
        heading="Pods",
    ),
    Row(
        [
            graph(
                "Autoscaler",
                *(
                    Query(
                        "sum by (cluster, horizontalpodautoscaler) "
                        f"(kube_horizontalpodautoscaler_{metric}{{{_PODS}}})",
                        f"{{{{cluster}}}} {{{{horizontalpodautoscaler}}}} {legend}",
                    )
                    for legend, metric in (
                        ("has", "status_current_replicas"),
                        ("wants", "status_desired_replicas"),
                        ("at most", "spec_max_replicas"),
                    )
                ),
                width=8,
            ),
            graph(
                "Restarts",
                Query(
                    "sum by (cluster, pod, container) "
                    f"(increase(kube_pod_container_status_restarts_total{{{_PODS}}}[1h]))",
                    "{{cluster}} {{pod}} {{container}}",
                ),
                width=8,
                description="Within an hour.",
                links=[_TO_LINES],
            ),
            graph(
                "Life of the certificate",
                Query(f"min by (app, cluster) ({_LIFE})", "{{cluster}} {{app}} issued"),
                Query(
                    f"min by (app, cluster) ({CERTIFICATE_SERVED}{_CHOSEN}) - time()",
                    "{{cluster}} {{app}} served",
                ),
                unit="s",
                width=8,
                description="What is left of it. What is served is known of an app that "
                "terminates TLS itself and exports when its certificate expires.",
            ),
        ]
    ),
    Row(
        [
            graph(
                "$metric",
                Query(f"sum by (cluster, pod) ($metric{{{_OWN}}})", "{{cluster}} {{pod}}"),
            ),
            graph(
                "$metric, per second",
                Query(
                    f"sum by (cluster, pod) (rate($metric{{{_OWN}}}[$__rate_interval]))",
                    "{{cluster}} {{pod}}",
                ),
                description="For metrics that only ever increase.",
            ),
        ],
        heading="Any metric that the app exports",
    ),
    Row(
        [
            lines(
                "Requests that failed, in the app",
                '{namespace=~"$app",cluster=~"$cluster"} | status >= 500',
            )
        ],
        heading="Log lines",
    ),
    Row(
        [
            lines(
                "Requests that failed, at Traefik",
                '{app="traefik",cluster=~"$cluster"} | status >= 500'
                f' | router=~"{routers("($app)")}"',
            )
        ]
    ),
    Row([lines("All lines", '{namespace=~"$app",cluster=~"$cluster"}')]),
    variables=[
        Variable(
            "cluster",
            f"label_values({AVAILABLE}, cluster)",
            "Cluster",
            several=True,
            everything=".+",
        ),
        # All stands for the apps that there are, for the platform's own parts have namespaces too.
        Variable(
            "app",
            f'label_values({AVAILABLE}{{cluster=~"$cluster"}}, app)',
            "App",
            several=True,
            everything=None,
        ),
        Variable("metric", f"label_values({{{_OWN}}}, __name__)", "Metric"),
    ],
    annotations=[rolled_out(_PODS)],
)
