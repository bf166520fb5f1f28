"""The service levels of apps: how fast the error budget of 30 days is spent.

Each alert asks two windows, the long one for how much and the short one for whether it still goes
on: "Alerting on SLOs" in the Site Reliability Workbook.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from charts.monitoring.rules.rule import Alert, Group, Record, Severity
from fleet.score import ServiceLevels

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


def errors(app: str, window: str) -> str:
    """Name of the share of ``app``'s requests that failed, over ``window``."""
    return f"{_prefix(app)}:http_request_errors:ratio_rate{window}"


def slow(app: str, window: str) -> str:
    """Name of the share of ``app``'s requests that took too long, over ``window``."""
    return f"{_prefix(app)}:http_request_slow:ratio_rate{window}"


def _prefix(app: str) -> str:
    """The app's name as a metric's name can have it."""
    return app.replace("-", "_")


def _records(app: str, levels: ServiceLevels, window: str) -> list[Record]:
    users = f'job="{app}"'
    if levels.ignored_routes:
        # Quoted in PromQL, where a backslash is an escape.
        pattern = "|".join(levels.ignored_routes).replace("\\", "\\\\").replace('"', '\\"')
        users += f',route!~"{pattern}"'
    requests = f"http_requests_total{{{users}"
    duration = "http_request_duration_seconds"
    return [
        Record(
            errors(app, window),
            # A region without any error has no such series.
            f'(sum by (cluster) (rate({requests},code=~"5.."}}[{window}]))'
            f" or 0 * sum by (cluster) (rate({requests}}}[{window}])))"
            f" / sum by (cluster) (rate({requests}}}[{window}]))",
        ),
        Record(
            slow(app, window),
            f'1 - sum by (cluster) (rate({duration}_bucket{{{users},le="{levels.seconds}"}}'
            f"[{window}]))"
            f" / sum by (cluster) (rate({duration}_count{{{users}}}[{window}]))",
        ),
    ]


def _burns(app: str, levels: ServiceLevels) -> list[Alert]:
    return [
        Alert(
            name=alert,
            severity=severity,
            expression=f"{series(app, long)} > {threshold:g} and "
            f"{series(app, short)} > {threshold:g}",
            wait=wait,
            summary=f"{app} of {{{{ $labels.cluster }}}} {what}.",
            description=f"{{{{ $value | humanizePercentage }}}} of requests in {long}: {times:g} "
            f"times what the objective of {objective:g}% allows.",
            labels={"app": app, "window": long},
        )
        for alert, what, series, objective in (
            ("AppErrors", "answers with errors", errors, levels.availability),
            ("AppSlow", f"takes longer than {levels.seconds} s", slow, levels.latency),
        )
        for severity, times, long, short, wait in BURNS
        for threshold in (times * (1 - objective / 100),)
    ]


def service_levels(app: str, levels: ServiceLevels) -> Group:
    """The records and alerts of one app, for all regions that run it."""
    return Group(
        app,
        [
            *(record for window in WINDOWS for record in _records(app, levels, window)),
            *_burns(app, levels),
        ],
    )


def down(cluster: str, app: str, *, scraped: bool) -> Alert:
    """Whether ``cluster`` has any pod of ``app`` that works.

    One that is scraped answers the scraper; of another, Kubernetes knows whether it is available.
    """
    expression = (
        f'absent(up{{cluster="{cluster}",job="{app}"}} == 1)'
        if scraped
        else f'absent(kube_deployment_status_replicas_available{{cluster="{cluster}",'
        f'namespace="{app}",deployment="{app}"}} > 0)'
    )
    return Alert(
        name="AppDown",
        severity="critical",
        expression=expression,
        wait="5m",
        summary=f"{app} of {{{{ $labels.cluster }}}} is down.",
        description="No pod of it answers the scraper." if scraped else "No pod of it is ready.",
        labels={"app": app, "cluster": cluster},
    )
