"""foobar-api's service levels: how fast the error budget of 30 days is spent.

Each alert asks two windows, the long one for how much and the short one for whether it still goes
on: "Alerting on SLOs" in the Site Reliability Workbook.
"""

from collections.abc import Sequence
from typing import Final

from charts.monitoring.rules.rule import Alert, Group, Record, Severity

AVAILABILITY: Final = 0.999
"""Share of requests that are not answered 5xx."""
LATENCY: Final = 0.99
"""Share of requests that are answered within LATENCY_SECONDS."""
LATENCY_SECONDS: Final = "0.25"

WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")

BURNS: Final[Sequence[tuple[Severity, float, str, str, str]]] = (
    ("critical", 14.4, "1h", "5m", "2m"),
    ("critical", 6, "6h", "30m", "15m"),
    ("warning", 3, "1d", "2h", "1h"),
    ("warning", 1, "3d", "6h", "3h"),
)
"""Severity, times the budget, long window, short window, and how long it has to last."""

# Probes are not users; and what a wait, a download or a WebSocket does is the client's choice.
_USERS: Final = 'job="foobar-api",route!~"/livez|/readyz|/health|/[?]wait|/data|/echo"'


def errors(window: str) -> str:
    """Name of the share of requests that failed, over ``window``."""
    return f"foobar_api:http_request_errors:ratio_rate{window}"


def slow(window: str) -> str:
    """Name of the share of requests that took too long, over ``window``."""
    return f"foobar_api:http_request_slow:ratio_rate{window}"


def _records(window: str) -> list[Record]:
    requests = f"http_requests_total{{{_USERS}"
    duration = "http_request_duration_seconds"
    return [
        Record(
            errors(window),
            # A region without any error has no such series.
            f'(sum by (cluster) (rate({requests},code=~"5.."}}[{window}]))'
            f" or 0 * sum by (cluster) (rate({requests}}}[{window}])))"
            f" / sum by (cluster) (rate({requests}}}[{window}]))",
        ),
        Record(
            slow(window),
            f'1 - sum by (cluster) (rate({duration}_bucket{{{_USERS},le="{LATENCY_SECONDS}"}}'
            f"[{window}]))"
            f" / sum by (cluster) (rate({duration}_count{{{_USERS}}}[{window}]))",
        ),
    ]


def _burns() -> list[Alert]:
    return [
        Alert(
            alert,
            severity,
            f"{series(long)} > {threshold:g} and {series(short)} > {threshold:g}",
            wait,
            f"foobar-api of {{{{ $labels.cluster }}}} {what}.",
            f"{{{{ $value | humanizePercentage }}}} of requests in {long}: {times:g} times what "
            f"the objective of {objective:.1%} allows.",
            {"window": long},
        )
        for alert, what, series, objective in (
            ("FoobarApiErrors", "answers with errors", errors, AVAILABILITY),
            ("FoobarApiSlow", f"takes longer than {LATENCY_SECONDS} s", slow, LATENCY),
        )
        for severity, times, long, short, wait in BURNS
        for threshold in (times * (1 - objective),)
    ]


def down(cluster: str) -> Alert:
    """Whether ``cluster`` has any foobar-api at all."""
    return Alert(
        "FoobarApiDown",
        "critical",
        f'absent(up{{cluster="{cluster}",job="foobar-api"}} == 1)',
        "5m",
        "foobar-api of {{ $labels.cluster }} is down.",
        "No pod of it answers the scraper.",
        {"cluster": cluster},
    )


SERVICE_LEVELS: Final = Group(
    "foobar-api",
    [*(record for window in WINDOWS for record in _records(window)), *_burns()],
)
