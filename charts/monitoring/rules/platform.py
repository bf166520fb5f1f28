"""What serves and deploys: Traefik, Argo CD, and the hub's own room."""

from typing import Final

from charts.monitoring.prometheus import SERIES
from charts.monitoring.rules.rule import Alert, Group, Severity
from charts.scrape import MONITORING

# An AppProject is named like the cluster that it deploys to.
_OF_CLUSTER: Final = 'label_replace({}, "cluster", "$1", "project", "(.+)")'


def _volume(hub: str, severity: Severity, share: float) -> Alert:
    where = f'{{cluster="{hub}",namespace="{MONITORING}"}}'
    return Alert(
        "HubVolumeFilling",
        severity,
        f"max by (cluster, persistentvolumeclaim) (kubelet_volume_stats_available_bytes{where}"
        f" / kubelet_volume_stats_capacity_bytes{where}) < {share}",
        "15m",
        "The volume {{ $labels.persistentvolumeclaim }} of the hub is filling.",
        "{{ $value | humanizePercentage }} is left. When it is full, nothing more is stored of "
        "any cluster.",
    )


def platform(hub: str) -> Group:
    """Alerts of every cluster's Traefik, and of what the hub alone has."""
    return Group(
        "platform",
        [
            Alert(
                "TraefikErrors",
                "warning",
                "sum by (cluster, entrypoint) "
                '(rate(traefik_entrypoint_requests_total{code=~"5.."}[5m]))'
                " / sum by (cluster, entrypoint) (rate(traefik_entrypoint_requests_total[5m]))"
                " > 0.05",
                "10m",
                "Traefik of {{ $labels.cluster }} answers with errors.",
                "{{ $value | humanizePercentage }} of requests at {{ $labels.entrypoint }} are "
                "answered 5xx. Connections that are passed through are not among them.",
            ),
            Alert(
                "ArgoCdOutOfSync",
                "warning",
                _OF_CLUSTER.format('argocd_app_info{sync_status!="Synced"}') + " == 1",
                "30m",
                "{{ $labels.name }} is not what Git says.",
                "Argo CD says {{ $labels.sync_status }} for half an hour.",
            ),
            Alert(
                "ArgoCdUnhealthy",
                "warning",
                _OF_CLUSTER.format('argocd_app_info{health_status=~"Degraded|Missing|Unknown"}')
                + " == 1",
                "15m",
                "{{ $labels.name }} is not healthy.",
                "Argo CD says {{ $labels.health_status }} for 15 minutes.",
            ),
            Alert(
                "ArgoCdClusterUnreachable",
                "critical",
                "argocd_cluster_connection_status == 0",
                "10m",
                "Argo CD cannot reach {{ $labels.server }}.",
                "What is merged is not deployed there, and what runs there is not watched.",
            ),
            Alert(
                "ArgoCdSilent",
                "critical",
                f'absent(argocd_app_info{{cluster="{hub}"}})',
                "15m",
                "Argo CD deploys nothing.",
                "Its controller knows of no Application, or is down.",
            ),
            _volume(hub, "warning", 0.2),
            _volume(hub, "critical", 0.05),
            Alert(
                "HubSeriesNearLimit",
                "warning",
                f'prometheus_tsdb_head_series{{cluster="{hub}",job="prometheus-k8s"}}'
                f" > {0.8 * SERIES:.0f}",
                "1h",
                "The hub's Prometheus holds nearly as many series as it is sized for.",
                "{{ $value | humanize }} series; docs/scale.md says what each costs, and what "
                "comes after one Prometheus.",
            ),
            Alert(
                "LokiNotStoring",
                "critical",
                "sum by (cluster) (increase(loki_ingester_chunks_flush_failures_total[15m])) > 0",
                "15m",
                "Loki of {{ $labels.cluster }} cannot store what it takes.",
                "{{ $value | humanize }} attempts in 15 minutes failed. Lines wait in its memory "
                "and on its volume, until these are full.",
            ),
            Alert(
                "LokiErrors",
                "warning",
                'sum by (route) (rate(loki_request_duration_seconds_count{status_code=~"5.."}[5m]))'
                " / sum by (route) (rate(loki_request_duration_seconds_count[5m])) > 0.05",
                "10m",
                "Loki answers with errors.",
                "{{ $value | humanizePercentage }} of requests to {{ $labels.route }} are "
                "answered 5xx.",
                {"cluster": hub},
            ),
        ],
    )
