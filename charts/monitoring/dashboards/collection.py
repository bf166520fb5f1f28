"""Collectors, log gateway and Loki: how log lines get to the hub, and what is lost on the way."""

from typing import Final

from charts.monitoring.dashboards.annotations import synced
from charts.monitoring.dashboards.model import (
    CLUSTERS,
    Column,
    Link,
    Panel,
    Query,
    Row,
    Steps,
    dashboard,
    graph,
    labelled_table,
    lines,
    number,
)
from charts.monitoring.loki import LOKI
from charts.monitoring.names import COLLECTOR, LOG_GATEWAY
from charts.monitoring.rules.platform import VOLUME_CRITICAL, VOLUME_LOW

_COLLECTORS: Final = f'job="{COLLECTOR}",cluster=~"$cluster"'
_GATEWAY: Final = f'job="{LOG_GATEWAY}"'
_NODES: Final = (
    f'max by (cluster, pod, node) (kube_pod_info{{namespace="{COLLECTOR}",cluster=~"$cluster"}})'
)
_VOLUME: Final = f'{{persistentvolumeclaim=~".*{LOKI}.*"}}'

_LOST_STEPS: Final[Steps] = ((None, "green"), (1, "red"))
_QUEUE_STEPS: Final[Steps] = ((None, "green"), (0.5, "orange"), (0.9, "red"))


def _rate(metric: str, selector: str, window: str = "$__rate_interval") -> str:
    return f"rate({metric}{{{selector}}}[{window}])"


def _by_node(expression: str) -> str:
    """An expression about pods of collectors, by the nodes that they are on."""
    return f"sum by (cluster, node) ({expression} * on (cluster, pod) group_left (node) {_NODES})"


def _queue(selector: str) -> str:
    """How full the queue of each pod is."""
    return (
        f"max by (cluster, pod) (otelcol_exporter_queue_size{{{selector}}}"
        f" / otelcol_exporter_queue_capacity{{{selector}}})"
    )


def _way(title: str, selector: str) -> Panel:
    """Lines that a part of the way takes, passes on and gives up."""
    return graph(
        title,
        *(
            Query(f"sum({_rate(f'otelcol_{metric}_log_records', selector)})", legend)
            for legend, metric in (
                ("accepted", "receiver_accepted"),
                ("sent", "exporter_sent"),
                ("refused", "receiver_refused"),
                ("lost", "exporter_send_failed"),
            )
        ),
        unit="cps",
        description="Refused lines are asked for again later. Lost lines are not.",
    )


COLLECTION: Final = dashboard(
    "collection",
    "Collectors and Loki",
    "How log lines get from every node to Loki. A choice of clusters is one of collectors: the log "
    "gateway and Loki are the hub's.",
    Row(
        [
            number(
                "Lines stored per second",
                Query("sum(rate(loki_distributor_lines_received_total[5m]))"),
                decimals=0,
            ),
            number(
                "Lines lost in an hour",
                Query(
                    "sum(increase(otelcol_exporter_send_failed_log_records[1h])) or vector(0)",
                ),
                decimals=0,
                steps=_LOST_STEPS,
                description="Those that collectors or the log gateway have given up, because the "
                "next part of the way refuses them.",
            ),
            number(
                "Lines discarded in an hour",
                Query("sum(increase(loki_discarded_samples_total[1h])) or vector(0)"),
                decimals=0,
                steps=_LOST_STEPS,
                description="Those that Loki has refused.",
            ),
            number(
                "Fullest queue",
                Query(f"max({_queue(_COLLECTORS)} or {_queue(_GATEWAY)})"),
                unit="percentunit",
                decimals=0,
                steps=_QUEUE_STEPS,
            ),
            number(
                "Loki's errors",
                Query(
                    'sum(rate(loki_request_duration_seconds_count{status_code=~"5.."}[5m]))'
                    " / sum(rate(loki_request_duration_seconds_count[5m])) or vector(0)"
                ),
                unit="percentunit",
                decimals=2,
                steps=((None, "green"), (0.01, "orange"), (0.05, "red")),
                description="The share of requests that it answers with errors of its own.",
            ),
            number(
                "Loki's disk that is free",
                Query(
                    f"min(kubelet_volume_stats_available_bytes{_VOLUME}"
                    f" / kubelet_volume_stats_capacity_bytes{_VOLUME})"
                ),
                unit="percentunit",
                decimals=0,
                steps=((None, "red"), (VOLUME_CRITICAL, "orange"), (VOLUME_LOW, "green")),
            ),
        ]
    ),
    Row(
        [
            labelled_table(
                "Collectors by node",
                Column(
                    "Accepted",
                    _by_node(_rate("otelcol_receiver_accepted_log_records", _COLLECTORS, "5m")),
                    unit="cps",
                    decimals=1,
                ),
                Column(
                    "Sent",
                    _by_node(_rate("otelcol_exporter_sent_log_records", _COLLECTORS, "5m")),
                    unit="cps",
                    decimals=1,
                ),
                Column(
                    "Refused",
                    _by_node(_rate("otelcol_receiver_refused_log_records", _COLLECTORS, "5m")),
                    unit="cps",
                    decimals=1,
                    steps=((None, "green"), (0.1, "orange")),
                ),
                Column(
                    "Lost in an hour",
                    _by_node(
                        f"increase(otelcol_exporter_send_failed_log_records{{{_COLLECTORS}}}[1h])"
                    ),
                    decimals=0,
                    steps=_LOST_STEPS,
                ),
                Column(
                    "Queue",
                    _by_node(_queue(_COLLECTORS)),
                    unit="percentunit",
                    decimals=0,
                    steps=_QUEUE_STEPS,
                ),
                keys={"cluster": "Cluster", "node": "Node"},
                key_links=[Link("This cluster", "/d/region/region?var-cluster=${__value.text}")],
                description="Lines per second. The collector of events counts with the node that "
                "it is on.",
            )
        ],
        heading="Collectors",
    ),
    Row(
        [
            _way("Lines at the collectors", _COLLECTORS),
            graph(
                "Queues of the collectors",
                Query(_queue(_COLLECTORS), "{{cluster}} {{pod}}"),
                unit="percentunit",
                limit=0.5,
                description="While the hub is away they fill. A full one stops reading.",
            ),
        ]
    ),
    Row(
        [
            _way("Lines at the log gateway", _GATEWAY),
            graph(
                "Queues of the log gateway",
                Query(_queue(_GATEWAY), "{{pod}}"),
                unit="percentunit",
                limit=0.5,
            ),
        ],
        heading="Log gateway",
    ),
    Row(
        [
            graph(
                "Bytes that Loki takes",
                Query(
                    "sum(rate(loki_distributor_bytes_received_total[$__rate_interval]))", "in all"
                ),
                Query(
                    "sum(rate(loki_distributor_structured_metadata_bytes_received_total"
                    "[$__rate_interval]))",
                    "of it metadata",
                ),
                unit="Bps",
                width=8,
            ),
            graph(
                "Lines that Loki discards, by reason",
                Query(
                    "sum by (reason) (rate(loki_discarded_samples_total[$__rate_interval]))",
                    "{{reason}}",
                ),
                unit="cps",
                stacked=True,
                width=8,
            ),
            graph(
                "Streams that are open",
                Query("sum(loki_ingester_memory_streams)", "streams"),
                width=8,
            ),
        ],
        heading="Loki",
    ),
    Row(
        [
            graph(
                "Requests to Loki",
                Query(
                    "sum by (route, status_code) "
                    "(rate(loki_request_duration_seconds_count[$__rate_interval]))",
                    "{{route}} {{status_code}}",
                ),
                unit="reqps",
                stacked=True,
                width=8,
            ),
            graph(
                "Loki's duration, 99 %",
                Query(
                    "histogram_quantile(0.99, sum by (route, le) "
                    "(rate(loki_request_duration_seconds_bucket[$__rate_interval])))",
                    "{{route}}",
                ),
                unit="s",
                width=8,
            ),
            graph(
                "Loki's disk",
                Query(
                    f"1 - min by (persistentvolumeclaim) (kubelet_volume_stats_available_bytes"
                    f"{_VOLUME} / kubelet_volume_stats_capacity_bytes{_VOLUME})",
                    "{{persistentvolumeclaim}}",
                ),
                unit="percentunit",
                limit=1 - VOLUME_LOW,
                width=8,
            ),
        ]
    ),
    Row(
        [
            graph(
                "What Loki cannot store",
                Query(
                    "sum(rate(loki_ingester_chunks_flush_failures_total[$__rate_interval]))",
                    "not flushed",
                ),
                Query(
                    "sum(rate(loki_ingester_wal_disk_full_failures_total[$__rate_interval]))",
                    "no disk left for the write-ahead log",
                ),
                unit="cps",
            ),
            graph(
                "Lines lost, by cluster",
                Query(
                    "sum by (cluster, job) "
                    "(rate(otelcol_exporter_send_failed_log_records[$__rate_interval]))",
                    "{{cluster}} {{job}}",
                ),
                unit="cps",
                stacked=True,
            ),
        ]
    ),
    Row(
        [lines("Loki's warnings", f'{{app="{LOKI}"}} | detected_level=~"warn|error|fatal"')],
        heading="Log lines",
    ),
    variables=[CLUSTERS],
    annotations=[synced('project=~"$cluster"')],
)
