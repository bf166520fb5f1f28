"""foobar-api's service levels: how fast the error budget of 30 days is spent.

Each alert asks two windows, the long one for how much and the short one for whether it still goes
on: "Alerting on SLOs" in the Site Reliability Workbook.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from charts.monitoring.rules.rule import Alert, Group, Record, Severity

AVAILABILITY: Final = 0.999
"""Share of requests that are not answered 5xx."""
LATENCY: Final = 0.99
"""Share of requests that are answered within LATENCY_SECONDS."""
LATENCY_SECONDS: Final = "0.25"

WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


class Burn(NamedTuple):
    """How fast a budget is spent, seen over a long and a short window."""

    severity: Severity
    times: float
    """As a multiple of the speed that spends the budget in exactly 30 days."""
    long: str
    short: str
    wait: str
    """How long it has to last."""


BURNS: Final[Sequence[Burn]] = (
    Burn(severity="critical", times=14.4, long="1h", short="5m", wait="2m"),
    Burn(severity="critical", times=6, long="6h", short="30m", wait="15m"),
    Burn(severity="warning", times=3, long="1d", short="2h", wait="1h"),
    Burn(severity="warning", times=1, long="3d", short="6h", wait="3h"),
)

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
            name=alert,
            severity=severity,
            expression=f"{series(long)} > {threshold:g} and {series(short)} > {threshold:g}",
            wait=wait,
            summary=f"foobar-api of {{{{ $labels.cluster }}}} {what}.",
            description=f"{{{{ $value | humanizePercentage }}}} of requests in {long}: {times:g} "
            f"times what the objective of {objective:.1%} allows.",
            labels={"window": long},
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
        name="FoobarApiDown",
        severity="critical",
        expression=f'absent(up{{cluster="{cluster}",job="foobar-api"}} == 1)',
        wait="5m",
        summary="foobar-api of {{ $labels.cluster }} is down.",
        description="No pod of it answers the scraper.",
        labels={"cluster": cluster},
    )


SERVICE_LEVELS: Final = Group(
    "foobar-api",
    [*(record for window in WINDOWS for record in _records(window)), *_burns()],
)
