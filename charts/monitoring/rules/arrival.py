"""Whether what the clusters send arrives: an alert a cluster, by its name, from the registry.

Silence is seen at the hub alone, where nothing of the cluster is needed to see it.
"""

from collections.abc import Iterator, Sequence

from charts.monitoring.ingest import LOGS, METRICS, Signal, Source
from charts.monitoring.rules.app import down
from charts.monitoring.rules.rule import Alert, Group
from charts.scrape import MONITORING

SILENT_AFTER_MINUTES = 5
"""From the last sample to the alert."""


def _requests(hub: str, source: Source, codes: str, *signals: Signal) -> str:
    """Selector of a region's requests at the hub's Traefik, by their answers."""
    names = "|".join(signal.name for signal in signals)
    # With safeNaming Traefik calls a route <namespace>_<IngressRoute>_<index>@<provider>.
    return (
        f'traefik_router_requests_total{{cluster="{hub}",code=~"{codes}",'
        f'router=~"{MONITORING}_({names})-{source.cluster}_0@kubernetescrd"}}'
    )


def of_region(hub: str, source: Source) -> Group:
    """Alerts of one region, as far as it is to send anything."""
    return Group(f"arrival-{source.cluster}", list(_of_region(hub, source)))


def _of_region(hub: str, source: Source) -> Iterator[Alert]:
    cluster = source.cluster
    labels = {"cluster": cluster}
    if METRICS in source.signals:
        yield Alert(
            "ClusterMetricsSilent",
            "critical",
            f'absent_over_time(up{{cluster="{cluster}",job="prometheus-agent"}}'
            f"[{SILENT_AFTER_MINUTES - 2}m])",
            "2m",
            "No metrics of {{ $labels.cluster }} arrive.",
            f"The last sample is more than {SILENT_AFTER_MINUTES} minutes old. Either the cluster "
            "or its agent is down, or it cannot reach the hub, or the hub refuses it. Every other "
            "alert of the cluster is held back until this one ends.",
            labels,
        )
        yield parts_of(cluster, source.jobs)
        if source.app:
            yield down(cluster)
    if LOGS in source.signals:
        yield Alert(
            "ClusterLogsSilent",
            "warning",
            f"(sum(increase({_requests(hub, source, '2..', LOGS)}[15m])) or vector(0)) == 0",
            "5m",
            "No log lines of {{ $labels.cluster }} arrive.",
            "The hub has taken no lines from its collectors for 15 minutes. They keep what they "
            "cannot send, up to 1 GiB a node.",
            labels,
        )
    if source.signals:
        yield Alert(
            "IngestRefused",
            "critical",
            f"sum(increase({_requests(hub, source, '40[13]', *source.signals)}[5m])) > 0",
            "2m",
            "The hub refuses the password of {{ $labels.cluster }}.",
            "{{ $value | humanize }} requests in five minutes. What is refused is not sent again: "
            "its samples and lines are lost.",
            labels,
        )
        yield Alert(
            "IngestRejected",
            "warning",
            f"sum(increase({_requests(hub, source, '400|404|405|413|422', *source.signals)}[10m]))"
            " > 0",
            "10m",
            "The hub cannot take what {{ $labels.cluster }} sends.",
            "{{ $value | humanize }} requests in ten minutes were answered 400, 404, 405, 413 or "
            "422. What is answered so is not sent again.",
            labels,
        )
        yield Alert(
            "IngestLimited",
            "warning",
            f"sum(rate({_requests(hub, source, '429', *source.signals)}[5m])) > 0",
            "30m",
            "{{ $labels.cluster }} sends more than the hub lets it.",
            "Requests are answered 429 for half an hour. They are sent again, but what arrives "
            "falls behind.",
            labels,
        )


def parts_of(cluster: str, jobs: Sequence[str]) -> Alert:
    """One alert for what is to be scraped in ``cluster`` and is not even found there."""
    return Alert(
        "ClusterPartMissing",
        "warning",
        " or ".join(f'absent(up{{cluster="{cluster}",job="{job}"}})' for job in jobs),
        "15m",
        "{{ $labels.cluster }} has no {{ $labels.job }} to scrape.",
        "Not that it is down: nothing of that name is found, so what rules and dashboards say of "
        "it is nothing.",
        {"cluster": cluster},
    )


def of_sending(hub: str, *, hub_jobs: Sequence[str], hub_logs: bool) -> Group:
    """What agents and collectors say of themselves, as long as they can; and the hub's parts."""
    local: Sequence[Alert] = (
        (
            Alert(
                "ClusterLogsSilent",
                "warning",
                f'(sum(increase(otelcol_exporter_sent_log_records{{cluster="{hub}"}}[15m]))'
                " or vector(0)) == 0",
                "5m",
                "No log lines of {{ $labels.cluster }} arrive.",
                "The hub's own collectors have sent nothing for 15 minutes. They keep what they "
                "cannot send, up to 1 GiB a node.",
                {"cluster": hub},
            ),
        )
        if hub_logs
        else ()
    )
    return Group(
        "sending",
        [
            parts_of(hub, hub_jobs),
            *local,
            Alert(
                "RemoteWriteBehind",
                "warning",
                "max by (cluster) (prometheus_remote_storage_queue_highest_timestamp_seconds"
                '{job="prometheus-agent"}) - max by (cluster) '
                "(prometheus_remote_storage_queue_highest_sent_timestamp_seconds"
                '{job="prometheus-agent"}) > 300',
                "10m",
                "Metrics of {{ $labels.cluster }} arrive late.",
                "What it sends is {{ $value | humanizeDuration }} old. It keeps three hours; what "
                "is older is lost.",
            ),
            Alert(
                "RemoteWriteFailing",
                "critical",
                "sum by (cluster) (rate(prometheus_remote_storage_samples_failed_total"
                '{job="prometheus-agent"}[5m])) > 0',
                "5m",
                "Samples of {{ $labels.cluster }} are lost.",
                "The agent gives up {{ $value | humanize }} samples a second that the hub has "
                "refused.",
            ),
            Alert(
                "LogLinesLost",
                "warning",
                "sum by (cluster) (increase(otelcol_exporter_send_failed_log_records[10m])) > 0",
                "5m",
                "Log lines of {{ $labels.cluster }} are lost.",
                "The collectors have given up {{ $value | humanize }} lines in ten minutes that "
                "the hub has refused.",
            ),
            Alert(
                "LogQueueFilling",
                "warning",
                "max by (cluster, pod) (otelcol_exporter_queue_size"
                " / otelcol_exporter_queue_capacity) > 0.5",
                "5m",
                "Log lines wait in {{ $labels.cluster }}.",
                "The queue on disk of {{ $labels.pod }} is {{ $value | humanizePercentage }} full."
                " Once it is, nothing more is read, and lines that are rotated away are lost.",
            ),
        ],
    )
