"""foobar-api: rate, errors and duration, budgets, connections and certificates."""

from typing import Final

from charts.monitoring.dashboards.model import (
    REGIONS,
    Query,
    Row,
    dashboard,
    graph,
    lines,
    number,
    to_logs,
)
from charts.monitoring.rules.app import ERRORS, SLOWNESS
from fleet.score import ServiceLevels

_LEVELS: Final = ServiceLevels()
"""What is promised of foobar-api: the defaults."""
_ERRORS: Final = 1 - _LEVELS.availability / 100
_SLOW: Final = 1 - _LEVELS.latency / 100
_HERE: Final = '{app="foobar-api",cluster=~"$cluster"}'
_OURS: Final = 'job="foobar-api",cluster=~"$cluster"'
_LINES: Final = to_logs("var-namespace=foobar-api")


def _quantile(quantile: float) -> str:
    return (
        f"histogram_quantile({quantile}, sum by (le) "
        f"(rate(http_request_duration_seconds_bucket{{{_OURS}}}[$__rate_interval])))"
    )


FOOBAR_API: Final = dashboard(
    "foobar-api",
    "foobar-api",
    "What the app says of itself: no proxy sees into a connection that is passed through.",
    Row(
        [
            number(
                "Budget of errors left",
                Query(f"1 - avg({ERRORS.share('3d')}{_HERE}) / {_ERRORS:g}"),
                unit="percentunit",
                decimals=0,
                steps=((None, "red"), (0, "orange"), (0.5, "green")),
                description=f"Of {_LEVELS.availability:.1f}% of requests without an error, at the "
                "rate of the last three days.",
            ),
            number(
                "Budget of slowness left",
                Query(f"1 - avg({SLOWNESS.share('3d')}{_HERE}) / {_SLOW:g}"),
                unit="percentunit",
                decimals=0,
                steps=((None, "red"), (0, "orange"), (0.5, "green")),
                description=f"Of {_LEVELS.latency:.0f}% of requests within {_LEVELS.seconds:g} s, "
                "at the rate of the last three days.",
            ),
            number(
                "Pods",
                Query(f"sum(up{{{_OURS}}})"),
                steps=((None, "red"), (1, "text")),
            ),
            number(
                "Certificate's end",
                Query(
                    f"min(foobar_api_certificate_not_after_timestamp_seconds{{{_OURS}}} - time())"
                ),
                unit="s",
                decimals=0,
                steps=((None, "red"), (172_800, "orange"), (604_800, "green")),
                description="Of the oldest certificate that any pod serves.",
            ),
            number(
                "Pods that could not reload",
                Query(
                    f"count(foobar_api_certificate_last_reload_successful{{{_OURS}}} == 0)"
                    " or vector(0)"
                ),
                steps=((None, "green"), (1, "red")),
            ),
            number("Open connections", Query(f"sum(foobar_api_connections_open{{{_OURS}}})")),
        ]
    ),
    Row(
        [
            graph(
                "Requests by answer",
                Query(
                    f"sum by (code) (rate(http_requests_total{{{_OURS}}}[$__rate_interval]))",
                    "{{code}}",
                ),
                unit="reqps",
                stacked=True,
                links=[_LINES],
            ),
            graph(
                "Share of errors",
                Query(f"{ERRORS.share('5m')}{_HERE}", "{{cluster}}"),
                unit="percentunit",
                limit=0.0144,
                links=[_LINES],
            ),
        ]
    ),
    Row(
        [
            graph(
                "Duration",
                Query(_quantile(0.5), "50 %"),
                Query(_quantile(0.9), "90 %"),
                Query(_quantile(0.99), "99 %"),
                unit="s",
                links=[_LINES],
            ),
            graph(
                "Requests by route",
                Query(
                    f"sum by (route) (rate(http_requests_total{{{_OURS}}}[$__rate_interval]))",
                    "{{route}}",
                ),
                unit="reqps",
                stacked=True,
            ),
        ]
    ),
    Row(
        [
            graph(
                "Requests by protocol",
                Query(
                    f"sum by (protocol) (rate(http_requests_total{{{_OURS}}}[$__rate_interval]))",
                    "{{protocol}}",
                ),
                unit="reqps",
                stacked=True,
                width=8,
            ),
            graph(
                "Connections refused, by why",
                Query(
                    "sum by (reason) (rate(foobar_api_connections_refused_total"
                    f"{{{_OURS}}}[$__rate_interval]))",
                    "{{reason}}",
                ),
                unit="cps",
                stacked=True,
                width=8,
            ),
            graph(
                "Connections, by who said the client's address",
                Query(
                    "sum by (source) (rate(foobar_api_connections_total"
                    f"{{{_OURS}}}[$__rate_interval]))",
                    "{{source}}",
                ),
                unit="cps",
                stacked=True,
                width=8,
            ),
        ],
        heading="Connections",
    ),
    Row(
        [
            graph(
                "CPU by pod",
                Query(
                    "sum by (cluster, pod) (rate(container_cpu_usage_seconds_total"
                    '{namespace="foobar-api",container="foobar-api",cluster=~"$cluster"}'
                    "[$__rate_interval]))",
                    "{{cluster}} {{pod}}",
                ),
                unit="short",
            ),
            graph(
                "Memory by pod",
                Query(
                    "sum by (cluster, pod) (container_memory_working_set_bytes"
                    '{namespace="foobar-api",container="foobar-api",cluster=~"$cluster"})',
                    "{{cluster}} {{pod}}",
                ),
                unit="bytes",
            ),
        ],
        heading="Pods",
    ),
    Row(
        [
            lines(
                "Requests that failed",
                '{namespace="foobar-api",cluster=~"$cluster",app="foobar-api"}'
                " | json | status >= 500",
            )
        ],
        heading="Log lines",
    ),
    variables=[REGIONS],
)
