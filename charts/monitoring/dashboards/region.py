"""One cluster: its nodes, its workloads, what it sends, and its events."""

from typing import Final

from charts.monitoring.dashboards.annotations import rolled_out, synced
from charts.monitoring.dashboards.model import (
    ANY_STEPS,
    CLUSTER,
    RESTART_STEPS,
    Column,
    Link,
    Query,
    Row,
    dashboard,
    graph,
    labelled_table,
    lines,
    number,
    to_logs,
)

_HERE: Final = 'cluster="$cluster"'

REGION: Final = dashboard(
    "region",
    "Cluster",
    "All that is known of one cluster, and where to look further.",
    Row(
        [
            number(
                "Nodes ready",
                Query(
                    f'sum(kube_node_status_condition{{{_HERE},condition="Ready",status="true"}})'
                ),
                steps=((None, "red"), (1, "green")),
            ),
            number("Pods running", Query(f'sum(kube_pod_status_phase{{{_HERE},phase="Running"}})')),
            number(
                "Pods in trouble",
                Query(
                    f'sum(kube_pod_status_phase{{{_HERE},phase=~"Pending|Unknown|Failed"}})'
                    " or vector(0)"
                ),
                steps=ANY_STEPS,
            ),
            number(
                "Restarts in an hour",
                Query(f"sum(increase(kube_pod_container_status_restarts_total{{{_HERE}}}[1h]))"),
                decimals=0,
                steps=RESTART_STEPS,
            ),
            number(
                "Alerts",
                Query(
                    f'count(ALERTS{{{_HERE},alertstate="firing",severity=~"warning|critical"}})'
                    " or vector(0)"
                ),
                steps=ANY_STEPS,
            ),
            number(
                "Targets down",
                Query(f"count(up{{{_HERE}}} == 0) or vector(0)"),
                steps=ANY_STEPS,
            ),
        ]
    ),
    Row(
        [
            graph(
                "CPU by node",
                Query(
                    '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle",'
                    f"{_HERE}}}[$__rate_interval]))",
                    "{{instance}}",
                ),
                unit="percentunit",
                width=8,
            ),
            graph(
                "Memory by node",
                Query(
                    f"1 - node_memory_MemAvailable_bytes{{{_HERE}}}"
                    f" / node_memory_MemTotal_bytes{{{_HERE}}}",
                    "{{instance}}",
                ),
                unit="percentunit",
                limit=0.9,
                width=8,
            ),
            graph(
                "Disk by node",
                Query(
                    "1 - min by (instance) (node_filesystem_avail_bytes"
                    f'{{{_HERE},fstype!="",mountpoint="/"}}'
                    f' / node_filesystem_size_bytes{{{_HERE},fstype!="",mountpoint="/"}})',
                    "{{instance}}",
                ),
                unit="percentunit",
                limit=0.85,
                width=8,
            ),
        ],
        heading="Nodes",
    ),
    Row(
        [
            graph(
                "CPU by namespace",
                Query(
                    "sum by (namespace) (rate(container_cpu_usage_seconds_total"
                    f'{{{_HERE},container!=""}}[$__rate_interval]))',
                    "{{namespace}}",
                ),
                stacked=True,
                links=[to_logs("var-namespace=${__field.labels.namespace}")],
            ),
            graph(
                "Memory by namespace",
                Query(
                    "sum by (namespace) (container_memory_working_set_bytes"
                    f'{{{_HERE},container!=""}})',
                    "{{namespace}}",
                ),
                unit="bytes",
                stacked=True,
                links=[to_logs("var-namespace=${__field.labels.namespace}")],
            ),
        ],
        heading="Workloads",
    ),
    Row(
        [
            labelled_table(
                "Targets",
                Column(
                    "Up",
                    f"min by (job) (up{{{_HERE}}})",
                    values=((1, "up", "green"), (0, "down", "red")),
                ),
                Column("Targets", f"count by (job) (up{{{_HERE}}})"),
                Column(
                    "Series",
                    f"sum by (job) (scrape_samples_post_metric_relabeling{{{_HERE}}})",
                ),
                Column(
                    "Scrape takes",
                    f"max by (job) (scrape_duration_seconds{{{_HERE}}})",
                    unit="s",
                    steps=((None, "green"), (5, "orange"), (10, "red")),
                ),
                keys={"job": "Job"},
                width=12,
            ),
            graph(
                "Log lines by part of the way",
                Query(
                    f"sum(rate(otelcol_receiver_accepted_log_records{{{_HERE}}}"
                    "[$__rate_interval]))",
                    "read",
                ),
                Query(
                    f"sum(rate(otelcol_exporter_sent_log_records{{{_HERE}}}[$__rate_interval]))",
                    "sent",
                ),
                Query(
                    f"sum(rate(otelcol_exporter_send_failed_log_records{{{_HERE}}}"
                    "[$__rate_interval]))",
                    "lost",
                ),
                unit="cps",
            ),
        ],
        heading="What it sends",
    ),
    Row(
        [
            lines(
                "Events",
                '{cluster="$cluster",app="kubernetes-events"}',
                description="What Kubernetes says of what it does. The details of a line say of "
                "what, and why.",
            )
        ],
        heading="Events",
    ),
    variables=[CLUSTER],
    annotations=[synced('project="$cluster"'), rolled_out(_HERE)],
    # Their choice of cluster is hidden, but they take it from the address.
    links=[
        Link("Nodes", "/d/7d57716318ee0dddbac5a7f451fb7753/nodes?var-cluster=${cluster}"),
        Link("Workloads", "/d/efa86fd1d0c121a26444b636a3f509a8/c?var-cluster=${cluster}"),
        Link("Network", "/d/ff635a025bcfea7bc3dd4f508990a3e9/n?var-cluster=${cluster}"),
        Link("API server", "/d/09ec8aa1e996d6ffcd6817bbaff4db1b/a?var-cluster=${cluster}"),
    ],
)
