"""What serves and deploys: Traefik, Argo CD, and the hub's own room."""

from typing import Final

from charts.applications import IN_CLUSTER
from charts.monitoring.prometheus import SERIES
from charts.monitoring.rules.rule import Alert, Group, Severity
from charts.monitoring.rules.service_levels import BUDGET_DAYS
from charts.scrape import MONITORING

VOLUME_LOW: Final = 0.15
"""Share of a volume of the hub that is free when somebody should look at it.

Prometheus leaves more (RETENTION_SHARE of charts/monitoring/prometheus.py), so the alert means that
something has gone wrong. kube-prometheus's own warning, KubePersistentVolumeFillingUp, begins there
too, if the volume fills on.
"""
VOLUME_CRITICAL: Final = 0.05
"""Share that is free when the volume is about to be full."""
SERIES_HIGH: Final = 0.8
"""Share of SERIES above which there is little room left."""

# An AppProject is named like the cluster that it deploys to.
_OF_CLUSTER: Final = 'label_replace({}, "cluster", "$1", "project", "(.+)")'


def _unreachable(hub: str) -> str:
    """The clusters that Argo CD cannot read, or whose API server refuses its token.

    The connection alone is not enough: with a token that has been revoked, Argo CD goes on
    comparing with what it had read before (syncError of pkg/cache/cluster.go in gitops-engine).
    """
    lost = "argocd_cluster_info * on (server) group_left () (argocd_cluster_connection_status == 0)"
    refused = (
        'label_replace(argocd_cluster_info, "host", "$1", "server", "https?://([^/]+).*")'
        " * on (host) group_left () (sum by (host)"
        ' (increase(argocd_kubectl_requests_total{code="401"}[10m])) > 0)'
    )
    named = f'label_replace({lost} or {refused}, "cluster", "$1", "name", "(.+)")'
    return (
        f'max by (cluster) (label_replace({named}, "cluster", "{hub}", "cluster", "{IN_CLUSTER}"))'
    )


def _volume(hub: str, severity: Severity, share: float) -> Alert:
    where = f'{{cluster="{hub}",namespace="{MONITORING}"}}'
    return Alert(
        name="HubVolumeFilling",
        severity=severity,
        expression=f"max by (cluster, persistentvolumeclaim) "
        f"(kubelet_volume_stats_available_bytes{where} / "
        f"kubelet_volume_stats_capacity_bytes{where}) < {share}",
        wait="15m",
        summary="The volume {{ $labels.persistentvolumeclaim }} of {{ $labels.cluster }} is "
        "filling.",
        description="{{ $value | humanizePercentage }} is free. When it is full, the program that "
        "uses it stores nothing more, of any cluster.",
    )


def platform(hub: str) -> Group:
    """Alerts of every cluster's Traefik, and of what the hub alone has."""
    return Group(
        "platform",
        [
            Alert(
                name="TraefikErrors",
                severity="warning",
                expression="sum by (cluster, entrypoint) "
                '(rate(traefik_entrypoint_requests_total{code=~"5.."}[5m]))'
                " / sum by (cluster, entrypoint) (rate(traefik_entrypoint_requests_total[5m]))"
                " > 0.05",
                wait="10m",
                summary="Traefik of {{ $labels.cluster }} answers with errors.",
                description="{{ $value | humanizePercentage }} of requests at "
                "{{ $labels.entrypoint }} are answered 5xx. Connections that are passed through "
                "are not among them.",
            ),
            Alert(
                name="NodeNotReturning",
                severity="warning",
                expression="count by (cluster, node) ((time() - kube_pod_deletion_timestamp > 0)"
                " * on (cluster, namespace, pod) group_left (node)"
                " max by (cluster, namespace, pod, node) (kube_pod_info))"
                ' and on (cluster, node) kube_node_status_condition{condition="Ready",'
                'status="true"} == 0',
                wait="5m",
                summary="The node {{ $labels.node }} of {{ $labels.cluster }} is unreachable, and "
                "pods with volumes cannot move.",
                description="Kubernetes is deleting {{ $value }} of its pods, but nothing on the "
                "node confirms that they have ended. Pods with volumes start nowhere else until "
                "somebody acts.",
            ),
            Alert(
                name="ArgoCdOutOfSync",
                severity="warning",
                expression=_OF_CLUSTER.format('argocd_app_info{sync_status!="Synced"}') + " == 1",
                wait="30m",
                summary="{{ $labels.name }} differs from Git.",
                description="Argo CD has reported {{ $labels.sync_status }} for half an hour.",
                outside=True,
            ),
            Alert(
                name="ArgoCdUnhealthy",
                severity="warning",
                expression=_OF_CLUSTER.format(
                    'argocd_app_info{health_status=~"Degraded|Missing|Unknown"}'
                )
                + " == 1",
                wait="15m",
                summary="{{ $labels.name }} is not healthy.",
                description="Argo CD has reported {{ $labels.health_status }} for 15 minutes.",
                outside=True,
            ),
            Alert(
                name="ArgoCdClusterUnreachable",
                severity="critical",
                expression=_unreachable(hub),
                wait="10m",
                summary="Argo CD cannot deploy to {{ $labels.cluster }}.",
                description="Its API server does not answer, or refuses Argo CD's token. What is "
                "merged is not deployed there; what runs there goes on running.",
                outside=True,
            ),
            Alert(
                name="ArgoCdGitUnreadable",
                severity="warning",
                # Of a failure, the label repo is a folder; of a request, it is the URL.
                expression="sum by (cluster) (increase(argocd_git_lsremote_fail_total[10m]))"
                " > 0.5 * sum by (cluster) "
                '(increase(argocd_git_request_total{request_type="ls-remote"}[10m]))',
                wait="10m",
                summary="Argo CD on {{ $labels.cluster }} cannot read Git.",
                description="{{ $value | humanize }} attempts in ten minutes failed. No cluster of "
                "the fleet gets what is merged, reverts included.",
            ),
            Alert(
                name="ArgoCdSilent",
                severity="critical",
                expression=f'absent(argocd_app_info{{cluster="{hub}"}})',
                wait="15m",
                summary="Argo CD on {{ $labels.cluster }} deploys nothing.",
                description="Its controller knows of no Application, or is down.",
            ),
            _volume(hub, "warning", VOLUME_LOW),
            _volume(hub, "critical", VOLUME_CRITICAL),
            Alert(
                name="HubHistoryShort",
                severity="warning",
                expression=f'time() - prometheus_tsdb_lowest_timestamp_seconds{{cluster="{hub}"}}'
                f" < {BUDGET_DAYS} * 86400 and on (cluster, pod)"
                # Since it was started: a larger volume begins with a restart.
                f' prometheus_tsdb_size_retentions_total{{cluster="{hub}"}} > 0',
                wait="1h",
                summary="The volume of {{ $labels.cluster }}'s Prometheus holds less than "
                f"{BUDGET_DAYS} days.",
                description="It has deleted metrics to make room, and its oldest are "
                "{{ $value | humanizeDuration }} old. Error budgets cover this time alone.",
            ),
            Alert(
                name="HubPrometheusRestarting",
                severity="critical",
                expression="changes(process_start_time_seconds"
                # The same job has the program beside it that reloads its configuration.
                f'{{cluster="{hub}",job="prometheus-k8s",endpoint="web"}}[30m]) >= 3',
                # At its first evaluation: if it lives for minutes alone, it never gets to the end
                # of any alert that waits, nor does its Watchdog fall silent.
                wait="0m",
                summary="The Prometheus of {{ $labels.cluster }} restarts again and again.",
                description="It has started {{ $value }} times in half an hour. While it restarts, "
                "nothing is recorded and no other alert of any cluster is sent.",
            ),
            Alert(
                name="HubSeriesNearLimit",
                severity="warning",
                expression=f'prometheus_tsdb_head_series{{cluster="{hub}",job="prometheus-k8s"}}'
                f" > {SERIES_HIGH * SERIES:.0f}",
                wait="1h",
                summary="The Prometheus of {{ $labels.cluster }} holds nearly as many series as it "
                "is sized for.",
                description="{{ $value | humanize }} series; docs/scale.md says what each costs, "
                "and what comes after one Prometheus.",
            ),
            Alert(
                name="LokiNotStoring",
                severity="critical",
                expression="sum by (cluster) "
                "(increase(loki_ingester_chunks_flush_failures_total[15m])) > 0",
                wait="15m",
                summary="Loki of {{ $labels.cluster }} cannot store the lines that it accepts.",
                description="{{ $value | humanize }} attempts in 15 minutes failed. Lines wait in "
                "its memory and on its volume, until these are full.",
            ),
            Alert(
                name="LokiErrors",
                severity="warning",
                expression="sum by (route) "
                '(rate(loki_request_duration_seconds_count{status_code=~"5.."}[5m]))'
                " / sum by (route) (rate(loki_request_duration_seconds_count[5m])) > 0.05",
                wait="10m",
                summary="Loki of {{ $labels.cluster }} answers with errors.",
                description="{{ $value | humanizePercentage }} of requests to {{ $labels.route }} "
                "are answered 5xx.",
                labels={"cluster": hub},
            ),
        ],
    )
