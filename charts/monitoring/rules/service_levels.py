"""Service levels: how fast apps spend their error budgets of 30 days.

One set of rules serves all apps. Each app's own records (``charts.monitoring.rules.app``) have the
label ``app``, and the budgets are among them.

Windows are sums of what is recorded for five minutes. A query over three days of every series of
every pod would take longer than the time between two evaluations.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from charts.monitoring.rules.rule import Alert, Group, Record, Severity

SHORT_WINDOWS: Final = ("5m", "30m", "1h", "2h")
LONG_WINDOWS: Final = ("6h", "1d", "3d")
"""Over which the shares of failed and of slow requests are recorded."""
LONG_INTERVAL: Final = "2m"
"""Between two looks at long windows, which read thousands of samples of each series. A record is
good for five minutes."""


class Objective(NamedTuple):
    """One of the two promises, by the names of its records."""

    total: str
    """Requests per second that the promise is about."""
    broken: str
    """Requests per second that break it."""
    budget: str
    """Share of requests that may break it."""
    prefix: str

    def share(self, window: str) -> str:
        """Name of the share of requests that broke it, over ``window``."""
        return f"{self.prefix}:ratio_rate{window}"


ERRORS: Final = Objective(
    total="app:http_requests:rate5m",
    broken="app:http_request_errors:rate5m",
    budget="app:http_request_errors:budget",
    prefix="app:http_request_errors",
)
SLOWNESS: Final = Objective(
    # A WebSocket lasts as long as the client wants.
    total="app:http_requests_timed:rate5m",
    broken="app:http_request_slow:rate5m",
    budget="app:http_request_slow:budget",
    prefix="app:http_request_slow",
)


class Burn(NamedTuple):
    """How fast a budget is spent, seen over a long and a short window.

    The long one shows how much, the short one whether it still goes on: "Alerting on SLOs" in the
    Site Reliability Workbook.
    """

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


def _share(objective: Objective, window: str) -> str:
    if window == "5m":
        broken, total = objective.broken, objective.total
    else:
        broken = f"sum_over_time({objective.broken}[{window}])"
        total = f"sum_over_time({objective.total}[{window}])"
    # Nobody asked: no share, rather than 0 / 0.
    return f"{broken} / ({total} > 0)"


def _shares(windows: Sequence[str]) -> Iterator[Record]:
    for objective in (ERRORS, SLOWNESS):
        for window in windows:
            yield Record(objective.share(window), _share(objective, window))


def _burning(objective: Objective, times: float, window: str) -> str:
    return (
        f"{objective.share(window)} > on (app) group_left (seconds) {times:g} * {objective.budget}"
    )


def _alerts(name: str, objective: Objective, what: str) -> Iterator[Alert]:
    for severity, times, long, short, wait in BURNS:
        yield Alert(
            name=name,
            severity=severity,
            expression=f"{_burning(objective, times, long)}"
            f" and {_burning(objective, times, short)}",
            wait=wait,
            summary=f"{{{{ $labels.app }}}} in {{{{ $labels.cluster }}}} {what}.",
            description=f"{{{{ $value | humanizePercentage }}}} of its requests in {long}: "
            f"{times:g} times what its service level allows, or more.",
            labels={"window": long},
        )


SERVICE_LEVELS: Final = (
    Group("long-service-levels", list(_shares(LONG_WINDOWS)), interval=LONG_INTERVAL),
    Group(
        "service-levels",
        [
            *_shares(SHORT_WINDOWS),
            *_alerts("AppErrors", ERRORS, "answers with errors"),
            *_alerts("AppSlow", SLOWNESS, "takes longer than {{ $labels.seconds }} s to answer"),
        ],
    ),
)
"""The shares and alerts of all apps, by the labels ``app`` and ``cluster``."""
