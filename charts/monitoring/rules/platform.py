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
        name="HubVolumeFilling",
        severity=severity,
        expression=f"max by (cluster, persistentvolumeclaim) "
        f"(kubelet_volume_stats_available_bytes{where} / "
        f"kubelet_volume_stats_capacity_bytes{where}) < {share}",
        wait="15m",
        summary="The volume {{ $labels.persistentvolumeclaim }} of the hub is filling.",
        description="{{ $value | humanizePercentage }} is left. When it is full, nothing more is "
        "stored of any cluster.",
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
                name="ArgoCdOutOfSync",
                severity="warning",
                expression=_OF_CLUSTER.format('argocd_app_info{sync_status!="Synced"}') + " == 1",
                wait="30m",
                summary="{{ $labels.name }} is not what Git says.",
                description="Argo CD says {{ $labels.sync_status }} for half an hour.",
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
                description="Argo CD says {{ $labels.health_status }} for 15 minutes.",
            ),
            Alert(
                name="ArgoCdClusterUnreachable",
                severity="critical",
                expression="argocd_cluster_connection_status == 0",
                wait="10m",
                summary="Argo CD cannot reach {{ $labels.server }}.",
                description="What is merged is not deployed there, and what runs there is not "
                "watched.",
            ),
            Alert(
                name="ArgoCdSilent",
                severity="critical",
                expression=f'absent(argocd_app_info{{cluster="{hub}"}})',
                wait="15m",
                summary="Argo CD deploys nothing.",
                description="Its controller knows of no Application, or is down.",
            ),
            _volume(hub, "warning", 0.2),
            _volume(hub, "critical", 0.05),
            Alert(
                name="HubSeriesNearLimit",
                severity="warning",
                expression=f'prometheus_tsdb_head_series{{cluster="{hub}",job="prometheus-k8s"}}'
                f" > {0.8 * SERIES:.0f}",
                wait="1h",
                summary="The hub's Prometheus holds nearly as many series as it is sized for.",
                description="{{ $value | humanize }} series; docs/scale.md says what each costs, "
                "and what comes after one Prometheus.",
            ),
            Alert(
                name="LokiNotStoring",
                severity="critical",
                expression="sum by (cluster) "
                "(increase(loki_ingester_chunks_flush_failures_total[15m])) > 0",
                wait="15m",
                summary="Loki of {{ $labels.cluster }} cannot store what it takes.",
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
                summary="Loki answers with errors.",
                description="{{ $value | humanizePercentage }} of requests to {{ $labels.route }} "
                "are answered 5xx.",
                labels={"cluster": hub},
            ),
        ],
    )
