"""Hostnames: whether users reach them, how fast, and with which certificate, as probes find it."""

from typing import Final

from charts.monitoring.dashboards.annotations import synced
from charts.monitoring.dashboards.model import (
    ANY_STEPS,
    LIFE_STEPS,
    REACHED_STEPS,
    Column,
    Link,
    Query,
    Row,
    Variable,
    dashboard,
    graph,
    labelled_table,
    number,
)
from charts.monitoring.names import PROBES
from charts.monitoring.rules.probes import BEST, EXPIRY, SUCCEED, WORST

_SERVED: Final = '{cluster=~"$cluster"}'
"""Of what rules record by the cluster that serves a hostname."""
_PROBED: Final = f'{{job="{PROBES}",target_cluster=~"$cluster"}}'
"""Of the probes themselves, whose label ``cluster`` is the place that they come from."""
_BY: Final = "cluster, app, hostname"


def _from_places(expression: str) -> str:
    """An expression about probes, by the cluster that serves the hostname."""
    return (
        f'avg by ({_BY}) (label_replace({expression}, "cluster", "$1", "target_cluster", "(.+)"))'
    )


HOSTNAMES: Final = dashboard(
    "hostnames",
    "Hostnames",
    "What users find, measured from outside: each hostname is probed from clusters that do not "
    "serve it.",
    Row(
        [
            number("Hostnames", Query(f"count({BEST}{_SERVED})")),
            number(
                "Unreachable",
                Query(f"count({BEST}{_SERVED} < {SUCCEED}) or vector(0)"),
                steps=((None, "green"), (1, "red")),
                description="No place reaches them reliably.",
            ),
            number(
                "Unreachable from one place",
                Query(f"count({WORST}{_SERVED} < {SUCCEED}) or vector(0)"),
                steps=ANY_STEPS,
                description="One place at least does not reach them reliably.",
            ),
            number(
                "Slowest",
                Query(
                    f"max(avg by (hostname) (avg_over_time(probe_duration_seconds{_PROBED}[5m])))"
                ),
                unit="s",
                decimals=2,
                description="From all places on average.",
            ),
            number(
                "Shortest certificate",
                Query(f"min({EXPIRY}{_SERVED} - time())"),
                unit="s",
                decimals=0,
                steps=LIFE_STEPS,
            ),
            number(
                "Places that probe",
                Query(f"count(count by (cluster) (probe_success{_PROBED}))"),
            ),
        ]
    ),
    Row(
        [
            labelled_table(
                "Hostnames by cluster",
                Column(
                    "Best place",
                    f"max by ({_BY}) ({BEST}{_SERVED})",
                    unit="percentunit",
                    decimals=0,
                    steps=REACHED_STEPS,
                ),
                Column(
                    "Worst place",
                    f"min by ({_BY}) ({WORST}{_SERVED})",
                    unit="percentunit",
                    decimals=0,
                    steps=REACHED_STEPS,
                ),
                Column(
                    "Takes",
                    _from_places(f"avg_over_time(probe_duration_seconds{_PROBED}[5m])"),
                    unit="s",
                    decimals=2,
                ),
                Column(
                    "Certificate",
                    f"min by ({_BY}) ({EXPIRY}{_SERVED} - time())",
                    unit="s",
                    decimals=0,
                    steps=LIFE_STEPS,
                ),
                keys={"cluster": "Cluster", "app": "App", "hostname": "Hostname"},
                key_links=[Link("This cluster", "/d/region/region?var-cluster=${__value.text}")],
                description="The share of probes that succeeded in five minutes, from the place "
                "where most did and from the one where fewest did. Certificate: time that is left "
                "of the one that users get.",
            )
        ]
    ),
    Row(
        [
            graph(
                "Probes that succeed",
                Query(
                    "avg by (hostname, cluster) "
                    f"(avg_over_time(probe_success{_PROBED}[$__rate_interval]))",
                    "{{hostname}} from {{cluster}}",
                ),
                unit="percentunit",
            ),
            graph(
                "Duration",
                Query(
                    f"avg by (hostname, cluster) (probe_duration_seconds{_PROBED})",
                    "{{hostname}} from {{cluster}}",
                ),
                unit="s",
            ),
        ],
        heading="By hostname and place",
    ),
    Row(
        [
            graph(
                "Duration by phase",
                Query(f"avg by (phase) (probe_http_duration_seconds{_PROBED})", "{{phase}}"),
                unit="s",
                stacked=True,
                width=8,
                description="On average over all hostnames and places: to find the address, to "
                "connect, to agree on keys, until the answer begins, and until it ends.",
            ),
            graph(
                "Answers that are no success",
                Query(
                    f"count by (hostname, cluster) (probe_success{_PROBED} == 0)",
                    "{{hostname}} from {{cluster}}",
                ),
                stacked=True,
                width=8,
            ),
            graph(
                "Life of the certificate",
                Query(f"min by (hostname) ({EXPIRY}{_SERVED}) - time()", "{{hostname}}"),
                unit="s",
                width=8,
            ),
        ]
    ),
    variables=[
        Variable("cluster", f"label_values({BEST}, cluster)", "Cluster that serves", several=True)
    ],
    annotations=[synced('project=~"$cluster"')],
)
