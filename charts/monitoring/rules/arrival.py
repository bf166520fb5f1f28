"""Whether what the clusters send arrives: alerts for each cluster of the registry, by its name.

Silence is seen at the hub alone, where nothing of the cluster is needed to see it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from charts.ingress import PAGES, routers
from charts.monitoring.ingest import LOGS, METRICS, Sender, Signal
from charts.monitoring.kube_state_metrics import KubeStateMetrics
from charts.monitoring.names import COLLECTOR, LOG_GATEWAY, PROMETHEUS_AGENT
from charts.monitoring.prometheus_agent import BUFFER_HOURS
from charts.monitoring.rules.app import down
from charts.monitoring.rules.rule import Alert, Group
from charts.tenant import apps
from fleet.registry import Cluster, Region
from fleet.score import Kind

SILENT_AFTER_MINUTES = 5
"""From the last sample to the alert."""
LATE_SECONDS: Final = 120
"""How old samples arrive before ``RemoteWriteBehind`` fires. The agent measures that itself, and
the number arrives as late: after three minutes the cluster counts as silent, and after five no
query finds it."""

ACCEPTED: Final = "2.."
"""Answers to a request whose samples or lines are stored."""
REFUSED: Final = "40[13]"
"""Answers to a request whose password is wrong."""
SIGNED_IN: Final = "[^4]..|4([^0].|0[^13])"
"""All other answers. Only a request with the right password gets them, even if nothing is stored:
Traefik checks the password before anything else.
"""


@dataclass(frozen=True, kw_only=True)
class WatchedRegion:
    """A region as its alerts see it."""

    sender: Sender
    jobs: tuple[str, ...]
    """What its agent is expected to scrape."""
    apps: tuple["SeenApp", ...]
    """The apps whose absence can be seen."""

    @classmethod
    def of(cls, region: Region) -> Self:
        return cls(
            sender=Sender.of(region),
            jobs=expected_jobs(region),
            apps=tuple(_seen(region)),
        )

    @property
    def name(self) -> str:
        return self.sender.cluster


class SeenApp(NamedTuple):
    """An app as the alert for its absence sees it."""

    name: str
    kind: Kind
    """What runs its pods."""
    scraped: bool


def _seen(region: Region) -> Iterator[SeenApp]:
    for app in apps(region):
        scraped = app.platform.metrics is not None
        if scraped or KubeStateMetrics.NAME in region.components:
            yield SeenApp(app.name, app.kind, scraped)


def expected_jobs(cluster: Cluster) -> tuple[str, ...]:
    """What is there to be scraped: Kubernetes itself, and components that have a job's name.

    Each app has an alert of its own.
    """
    components = (component.NAME for component in cluster.classes if component.EXPECTED)
    return ("apiserver", "kubelet", *components)


def _requests(hub: str, sender: Sender, codes: str, *signals: Signal) -> str:
    """Selector of a region's requests at the hub's Traefik, by their answers."""
    names = "|".join(signal.name for signal in signals)
    return (
        f'traefik_router_requests_total{{cluster="{hub}",code=~"{codes}",'
        f'router=~"{routers(PAGES, f"({names})-{sender.cluster}_0")}"}}'
    )


def of_region(hub: str, region: WatchedRegion) -> Group:
    """Alerts of one region, as far as it is expected to send anything."""
    return Group(f"arrival-{region.name}", list(_of_region(hub, region)))


def _of_region(hub: str, region: WatchedRegion) -> Iterator[Alert]:
    sender, cluster = region.sender, region.name
    labels = {"cluster": cluster}
    if METRICS in sender.signals:
        yield Alert(
            name="ClusterMetricsSilent",
            severity="critical",
            expression=f'absent_over_time(up{{cluster="{cluster}",job="prometheus-agent"}}'
            f"[{SILENT_AFTER_MINUTES - 2}m])",
            wait="2m",
            summary="No metrics of {{ $labels.cluster }} arrive.",
            description=f"The last sample is more than {SILENT_AFTER_MINUTES} minutes old. Either "
            "the cluster or its agent is down, or it cannot reach the hub, or the hub refuses it. "
            "Alerts that need its metrics are held back until this one ends.",
            labels=labels,
            outside=True,
        )
        yield parts_of(cluster, region.jobs)
        for app in region.apps:
            yield down(cluster, app.name, app.kind, scraped=app.scraped)
    if LOGS in sender.signals:
        yield Alert(
            name="ClusterLogsSilent",
            severity="warning",
            expression=f"(sum(increase({_requests(hub, sender, ACCEPTED, LOGS)}[15m]))"
            " or vector(0)) == 0",
            wait="5m",
            summary="No log lines of {{ $labels.cluster }} arrive.",
            description="The hub has accepted no lines from its collectors for 15 minutes. They "
            "keep what they cannot send, up to 1 GiB per node.",
            labels=labels,
            outside=True,
        )
    for signal in sender.signals:
        yield _refused(hub, sender, signal)
    if sender.signals:
        yield Alert(
            name="IngestRejected",
            severity="warning",
            expression="sum(increase("
            f"{_requests(hub, sender, '400|404|405|413|422', *sender.signals)}[10m])) > 0",
            wait="10m",
            summary="The hub cannot store what {{ $labels.cluster }} sends.",
            description="{{ $value | humanize }} requests in ten minutes were answered 400, 404, "
            "405, 413 or 422. The region does not send them again.",
            labels=labels,
            outside=True,
        )
        yield Alert(
            name="IngestLimited",
            severity="warning",
            expression=f"sum(rate({_requests(hub, sender, '429', *sender.signals)}[5m])) > 0",
            wait="30m",
            summary="{{ $labels.cluster }} sends more than the hub accepts.",
            description="The hub has answered 429 for half an hour. The region sends these "
            "requests again, but what arrives falls behind.",
            labels=labels,
            outside=True,
        )
    # A region without an agent cannot say what it has sent.
    if METRICS in sender.signals:
        for signal in sender.signals:
            yield _from_stranger(hub, sender, signal)


class Sent(NamedTuple):
    """How a region's own programs count the requests that the hub has taken."""

    metric: str
    selector: str


SENT: Final[Mapping[Signal, Sent]] = {
    METRICS: Sent(
        "prometheus_remote_storage_sent_batch_duration_seconds_count",
        f'job="{PROMETHEUS_AGENT}"',
    ),
    LOGS: Sent(
        "http_client_request_duration_count",
        f'job="{COLLECTOR}",http_response_status_code=~"2.."',
    ),
}
STRANGE_SHARE: Final = 1.5
"""Requests that the hub took, by those that the region counted: a restart loses some of a count."""
STRANGE_REQUESTS: Final = 100
"""Requests in an hour by which they may differ besides: metadata are not counted as batches."""


def _from_stranger(hub: str, sender: Sender, signal: Signal) -> Alert:
    """Two counts of the same requests, one at each end."""
    taken = _requests(hub, sender, ACCEPTED, signal)
    metric, selector = SENT[signal]
    counted = f'{metric}{{cluster="{sender.cluster}",{selector}}}'
    return Alert(
        name="IngestFromStranger",
        severity="warning",
        # After a gap in the region's metrics, its count covers less than the hour. A gap that began
        # within the hour does no harm: the counters went on.
        expression=f"sum(increase({taken}[1h])) > {STRANGE_REQUESTS} + {STRANGE_SHARE} * "
        f"(sum(increase({counted}[1h])) and sum({counted} offset 1h))",
        wait="15m",
        summary="Somebody else may be writing {{ $labels.signal }} with the password of "
        "{{ $labels.cluster }}.",
        description="The hub took {{ $value | humanize }} requests in an hour, far more than the "
        "region itself counted. Find the other sender, or revoke the password.",
        labels={"cluster": sender.cluster, "signal": signal.name},
    )


def _refused(hub: str, sender: Sender, signal: Signal) -> Alert:
    """One alert for each signal: metrics that are accepted say nothing about logs.

    The paths are public, so anybody can have a request refused. That matters only if the region's
    own requests are refused too, which is when no request of the signal gets past the password.
    """
    refused, signed_in = (
        f"sum(increase({_requests(hub, sender, codes, signal)}[5m])) > 0"
        for codes in (REFUSED, SIGNED_IN)
    )
    return Alert(
        name="IngestRefused",
        severity="critical",
        expression=f"{refused} unless {signed_in}",
        wait="2m",
        summary="The hub refuses the password of {{ $labels.cluster }} for {{ $labels.signal }}.",
        description="In five minutes it refused {{ $value | humanize }} requests and accepted "
        "none. The region does not send again what is refused: it is lost.",
        labels={"cluster": sender.cluster, "signal": signal.name},
        outside=True,
    )


def parts_of(cluster: str, jobs: Sequence[str]) -> Alert:
    """One alert for the scrape targets that ``cluster`` should have and that nobody finds there."""
    return Alert(
        name="ClusterPartMissing",
        severity="warning",
        expression=" or ".join(f'absent(up{{cluster="{cluster}",job="{job}"}})' for job in jobs),
        wait="15m",
        summary="{{ $labels.cluster }} has no {{ $labels.job }} to scrape.",
        description="No scrape target exists for this job, so its rules and panels have no data.",
        labels={"cluster": cluster},
    )


def _given_up(job: str) -> str:
    """More than no line in ten minutes, by cluster.

    The counter does not exist before the first failure, and then starts at all lines of a batch.
    """
    counter = f'otelcol_exporter_send_failed_log_records{{job="{job}"}}'
    born = f"{counter} unless max_over_time({counter}[1h] offset 10m)"
    return f"sum by (cluster) (increase({counter}[10m]) > 0 or ({born}))"


SMALLEST_RECORD = 64
"""Bytes of a log record in a queue: its two times and the attributes of an empty line."""


def _missing() -> str:
    """Lines that a collector took within an hour, did not send, and does not keep, by pod.

    That cannot be more than none as long as one process runs all the time: what already waited in
    its queue makes it less. The size of the queue is in bytes, so it is taken for the largest
    number of lines that it can hold.
    """
    taken, sent, waiting = (
        f"sum by (cluster, pod) ({series})"
        for series in (
            "increase(otelcol_receiver_accepted_log_records[1h])",
            "increase(otelcol_exporter_sent_log_records[1h])",
            "otelcol_exporter_queue_size",
        )
    )
    one_process = "max by (cluster, pod) (otelcol_process_uptime) > 3600"
    # A counter that appears within the hour has counted before its first sample.
    counted = "max by (cluster, pod) (otelcol_exporter_sent_log_records offset 1h)"
    return (
        f"{taken} - {sent} - {waiting} / {SMALLEST_RECORD} > 10"
        f" and on (cluster, pod) {one_process} and on (cluster, pod) {counted}"
    )


def _silent_nodes() -> str:
    """Nodes that are ready and whose collector is down, or stuck while others are not.

    A cluster without collectors has no such nodes.
    """
    ready = (
        'max by (cluster, node) (kube_node_status_condition{condition="Ready",status="true"} == 1)'
        f' and on (cluster) count by (cluster) (up{{job="{COLLECTOR}"}})'
    )
    collectors = f'kube_pod_info{{namespace="{COLLECTOR}",created_by_kind="DaemonSet"}}'
    sent = f'increase(otelcol_exporter_sent_log_records{{job="{COLLECTOR}"}}[15m])'
    up = f'up{{job="{COLLECTOR}"}} == 1'
    stuck = (
        f'min_over_time(otelcol_exporter_queue_size{{job="{COLLECTOR}"}}[15m]) > 0'
        f" unless on (cluster, namespace, pod) ({sent} > 0)"
    )

    def nodes(found: str) -> str:
        return f"max by (cluster, node) ({collectors} and on (cluster, namespace, pod) ({found}))"

    return (
        f"({ready} unless on (cluster, node) {nodes(up)})"
        f" or ({nodes(stuck)} and on (cluster) (sum by (cluster) ({sent}) > 0))"
    )


def of_sending(hub: str, *, hub_jobs: Sequence[str], hub_logs: bool) -> Group:
    """What agents and collectors say of themselves, as long as they can; and the hub's parts."""
    local: Sequence[Alert] = (
        (
            Alert(
                name="ClusterLogsSilent",
                severity="warning",
                expression="(sum(increase("
                f'otelcol_exporter_sent_log_records{{cluster="{hub}",job="{COLLECTOR}"}}[15m]))'
                " or vector(0)) == 0",
                wait="5m",
                summary="No log lines of {{ $labels.cluster }} arrive.",
                description="The hub's own collectors have sent nothing for 15 minutes. They keep "
                "what they cannot send, up to 1 GiB per node.",
                labels={"cluster": hub},
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
                name="RemoteWriteBehind",
                severity="warning",
                expression="max by (cluster) "
                "(prometheus_remote_storage_queue_highest_timestamp_seconds"
                '{job="prometheus-agent"}) - max by (cluster) '
                "(prometheus_remote_storage_queue_highest_sent_timestamp_seconds"
                f'{{job="prometheus-agent"}}) > {LATE_SECONDS}',
                wait="10m",
                summary="Metrics of {{ $labels.cluster }} arrive late.",
                description="The hub's newest samples are {{ $value | humanizeDuration }} old. The "
                f"agent keeps {BUFFER_HOURS // 3} hours of samples; older ones are lost.",
            ),
            Alert(
                name="RemoteWriteFailing",
                severity="critical",
                expression="sum by (cluster) (rate(prometheus_remote_storage_samples_failed_total"
                '{job="prometheus-agent"}[5m])) > 0',
                wait="5m",
                summary="Samples of {{ $labels.cluster }} are lost.",
                description="The hub refuses {{ $value | humanize }} samples per second, and the "
                "agent does not send them again.",
            ),
            Alert(
                name="ScrapeRefused",
                severity="warning",
                # Prometheus counts what it read before it gave an answer up.
                expression="count by (cluster, namespace, job) "
                "(up == 0 and scrape_samples_scraped > 0) > 0",
                wait="15m",
                summary="Prometheus refuses the metrics of {{ $labels.job }} in "
                "{{ $labels.cluster }}.",
                description="{{ $value }} targets in the namespace {{ $labels.namespace }} answer, "
                "but with too many samples, too many or too long labels, or text that is no "
                "exposition format. Their metrics are missing.",
            ),
            Alert(
                name="ScrapeTooLarge",
                severity="warning",
                expression="sum by (cluster) ("
                "increase(prometheus_target_scrapes_exceeded_body_size_limit_total[10m])"
                " + increase(prometheus_target_scrape_pool_exceeded_target_limit_total[10m])) > 0",
                wait="15m",
                summary="Something in {{ $labels.cluster }} exports more than Prometheus reads.",
                description="The answer of a target is longer than its limit, or a monitor has "
                "more than a thousand targets. Their metrics are missing.",
            ),
            Alert(
                name="LogLinesLost",
                severity="warning",
                expression=_given_up(COLLECTOR),
                wait="5m",
                summary="Log lines of {{ $labels.cluster }} are lost.",
                description="The collectors have given up {{ $value | humanize }} lines in ten "
                "minutes that the hub has refused.",
            ),
            Alert(
                name="LogGatewayRefused",
                severity="warning",
                expression=_given_up(LOG_GATEWAY),
                wait="5m",
                summary="Loki on {{ $labels.cluster }} refuses log lines from the regions.",
                description="The log gateway has dropped {{ $value | humanize }} lines in ten "
                "minutes because Loki cannot take them. They are lost; other lines arrive.",
            ),
            Alert(
                name="LogLinesMissing",
                severity="warning",
                expression=_missing(),
                wait="10m",
                summary="Log lines of {{ $labels.cluster }} are lost without a trace.",
                description="{{ $labels.pod }} took {{ $value | humanize }} lines in the last hour "
                "that it neither sent nor keeps in its queue.",
            ),
            Alert(
                name="NodeLogsSilent",
                severity="warning",
                expression=_silent_nodes(),
                wait="15m",
                summary="No log lines of {{ $labels.node }} in {{ $labels.cluster }} arrive.",
                description="The node is ready, but its collector cannot be scraped, or sends "
                "nothing although lines wait on the node. Lines that the kubelet deletes before "
                "the collector works again are lost.",
            ),
            Alert(
                name="LogQueueFilling",
                severity="warning",
                expression="max by (cluster, pod) (otelcol_exporter_queue_size"
                " / otelcol_exporter_queue_capacity) > 0.5",
                wait="5m",
                summary="Log lines wait in {{ $labels.cluster }}.",
                description="The queue on disk of {{ $labels.pod }} is "
                "{{ $value | humanizePercentage }} full. Once it is, lines wait in the kubelet's "
                "files, and those that the kubelet deletes are lost.",
            ),
        ],
    )
