"""Traefik, cert-manager and Argo CD: how requests come in, certificates and deployments."""

from typing import Final

from charts.monitoring.dashboards.annotations import synced
from charts.monitoring.dashboards.model import (
    ANY_STEPS,
    CLUSTERS,
    LIFE_STEPS,
    Column,
    Query,
    Row,
    dashboard,
    graph,
    labelled_table,
    lines,
    number,
    to_logs,
)
from charts.monitoring.rules.certificates import LEFT

_HERE: Final = 'cluster=~"$cluster"'


def _traefik_quantile(quantile: float) -> str:
    return (
        f"histogram_quantile({quantile}, sum by (le) "
        f"(rate(traefik_entrypoint_request_duration_seconds_bucket{{{_HERE}}}"
        "[$__rate_interval])))"
    )


TRAEFIK: Final = dashboard(
    "traefik",
    "Traefik",
    "What comes in. Of connections that are passed through, it knows how many are open.",
    Row(
        [
            graph(
                "Requests by entry point and answer",
                Query(
                    "sum by (entrypoint, code) (rate(traefik_entrypoint_requests_total"
                    f"{{{_HERE}}}[$__rate_interval]))",
                    "{{entrypoint}} {{code}}",
                ),
                unit="reqps",
                stacked=True,
                links=[to_logs("var-namespace=traefik")],
            ),
            graph(
                "Share of errors by cluster",
                Query(
                    "sum by (cluster) (rate(traefik_entrypoint_requests_total"
                    f'{{{_HERE},code=~"5.."}}[$__rate_interval]))'
                    " / sum by (cluster) (rate(traefik_entrypoint_requests_total"
                    f"{{{_HERE}}}[$__rate_interval]))",
                    "{{cluster}}",
                ),
                unit="percentunit",
                limit=0.05,
                links=[to_logs("var-namespace=traefik")],
            ),
        ]
    ),
    Row(
        [
            graph(
                "Duration",
                Query(_traefik_quantile(0.5), "50 %"),
                Query(_traefik_quantile(0.99), "99 %"),
                unit="s",
            ),
            graph(
                "Open connections",
                Query(
                    f"sum by (cluster, entrypoint, protocol) (traefik_open_connections{{{_HERE}}})",
                    "{{cluster}} {{entrypoint}} {{protocol}}",
                ),
                description="TCP connections are those that are passed through.",
            ),
        ]
    ),
    Row(
        [
            graph(
                "Requests by route",
                Query(
                    "topk(12, sum by (cluster, router) "
                    f"(rate(traefik_router_requests_total{{{_HERE}}}[$__rate_interval])))",
                    "{{cluster}} {{router}}",
                ),
                unit="reqps",
            ),
            graph(
                "Age of the configuration",
                Query(
                    "time() - max by (cluster, pod) "
                    f"(traefik_config_last_reload_success{{{_HERE}}})",
                    "{{cluster}} {{pod}}",
                ),
                unit="s",
            ),
        ]
    ),
    Row(
        [
            lines(
                "Requests that failed",
                '{app="traefik",cluster=~"$cluster"} | json | DownstreamStatus >= 500',
            )
        ],
        heading="Log lines",
    ),
    variables=[CLUSTERS],
    annotations=[synced('project=~"$cluster"')],
)

CERT_MANAGER: Final = dashboard(
    "cert-manager",
    "cert-manager",
    "Which certificates there are, how long they last, and whether new ones are issued.",
    Row(
        [
            number(
                "Not ready",
                Query(
                    "count(certmanager_certificate_ready_status"
                    f'{{{_HERE},condition="True"}} == 0) or vector(0)'
                ),
                steps=((None, "green"), (1, "red")),
            ),
            number(
                "Shortest life left",
                Query(
                    f"min(certmanager_certificate_not_after_timestamp_seconds{{{_HERE}}} - time())"
                ),
                unit="s",
                decimals=0,
                steps=LIFE_STEPS,
            ),
            number(
                "Next renewal",
                Query(
                    f"min(certmanager_certificate_renewal_timestamp_seconds{{{_HERE}}} - time())"
                ),
                unit="s",
                decimals=0,
            ),
        ]
    ),
    Row(
        [
            labelled_table(
                "Certificates",
                Column(
                    "Ready",
                    "max by (cluster, namespace, name) (certmanager_certificate_ready_status"
                    f'{{{_HERE},condition="True"}})',
                    values=((1, "yes", "green"), (0, "no", "red")),
                ),
                Column(
                    "Left",
                    "max by (cluster, namespace, name) "
                    f"(certmanager_certificate_not_after_timestamp_seconds{{{_HERE}}} - time())",
                    unit="s",
                    decimals=0,
                    steps=LIFE_STEPS,
                ),
                Column(
                    "Share of life left",
                    f"max by (cluster, namespace, name) ({LEFT})",
                    unit="percentunit",
                    decimals=0,
                    steps=((None, "red"), (0.08, "orange"), (0.2, "green")),
                ),
                keys={"cluster": "Cluster", "namespace": "Namespace", "name": "Certificate"},
            )
        ]
    ),
    Row(
        [
            graph(
                "Requests to Let's Encrypt, by answer",
                Query(
                    "sum by (cluster, status) (rate(certmanager_http_acme_client_request_count"
                    f"{{{_HERE}}}[$__rate_interval]))",
                    "{{cluster}} {{status}}",
                ),
                unit="reqps",
            ),
            graph(
                "Errors of controllers",
                Query(
                    "sum by (cluster, controller) (rate(certmanager_controller_sync_error_count"
                    f"{{{_HERE}}}[$__rate_interval]))",
                    "{{cluster}} {{controller}}",
                ),
                unit="cps",
                links=[to_logs("var-namespace=cert-manager")],
            ),
        ]
    ),
    variables=[CLUSTERS],
    annotations=[synced('project=~"$cluster"')],
)

ARGOCD: Final = dashboard(
    "argocd",
    "Argo CD",
    "Whether every cluster is what Git says.",
    Row(
        [
            number(
                "Synced",
                Query('count(argocd_app_info{sync_status="Synced"}) or vector(0)'),
                steps=((None, "text"),),
            ),
            number(
                "Not synced",
                Query('count(argocd_app_info{sync_status!="Synced"}) or vector(0)'),
                steps=ANY_STEPS,
            ),
            number(
                "Not healthy",
                Query('count(argocd_app_info{health_status!~"Healthy|Progressing"}) or vector(0)'),
                steps=((None, "green"), (1, "red")),
            ),
            number(
                "Clusters not reached",
                Query("count(argocd_cluster_connection_status == 0) or vector(0)"),
                steps=((None, "green"), (1, "red")),
            ),
        ]
    ),
    Row(
        [
            labelled_table(
                "Applications that are not as they should be",
                Column(
                    "Number",
                    "sum by (project, name, sync_status, health_status) "
                    '(argocd_app_info{sync_status!="Synced"}'
                    ' or argocd_app_info{health_status!="Healthy"})',
                ),
                keys={
                    "project": "Cluster",
                    "name": "Application",
                    "sync_status": "Sync",
                    "health_status": "Health",
                },
            )
        ]
    ),
    Row(
        [
            graph(
                "Reconciliations",
                Query(
                    "sum by (dest_server) (rate(argocd_app_reconcile_count[$__rate_interval]))",
                    "{{dest_server}}",
                ),
                unit="cps",
            ),
            graph(
                "Syncs by result",
                Query(
                    "sum by (phase) (increase(argocd_app_sync_total[$__rate_interval]))",
                    "{{phase}}",
                ),
                stacked=True,
            ),
        ]
    ),
    Row(
        [
            graph(
                "Requests to Git",
                Query(
                    "sum by (request_type) (rate(argocd_git_request_total[$__rate_interval]))",
                    "{{request_type}}",
                ),
                unit="reqps",
            ),
            graph(
                "Objects watched, by cluster",
                Query("sum by (server) (argocd_cluster_api_resource_objects)", "{{server}}"),
            ),
        ]
    ),
    Row(
        [
            lines(
                "Errors",
                '{namespace="argocd"} | detected_level=~"error|fatal"',
            )
        ],
        heading="Log lines",
    ),
)
