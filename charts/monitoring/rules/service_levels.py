"""Service levels: how fast apps spend their error budgets of 30 days.

One set of rules serves all apps. Each app's own records (``charts.monitoring.rules.app``) have the
label ``app``, and the budgets are among them.

Windows are sums of what is recorded for five minutes. A query over three days of every series of
every pod would take longer than the time between two evaluations.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from charts.monitoring.rules.rule import Alert, Group, Record, Severity

EVALUATION_SECONDS: Final = 30
"""Between two evaluations of what is recorded of apps: what one value of a rate stands for."""
SHORT_WINDOWS: Final = ("5m", "30m", "1h", "2h")
LONG_WINDOWS: Final = ("6h", "1d", "3d")
"""Over which the shares of failed and of slow requests are recorded."""
LONG_INTERVAL: Final = "2m"
"""Between two evaluations of long windows, which read thousands of samples of each series. A record
is good for five minutes."""
BUDGET_DAYS: Final = 30
"""The time that an error budget is for. The hub keeps metrics for a day longer, while they fit."""
BUDGET_MINUTES: Final = 4
"""Between two evaluations of what is left of a budget. They read a record of their own that has as
few values: every value of the thirty days would be eight times as many."""
SIGNAL: Final = 10
"""Requests that must break a promise, within the long window of an alert, before it fires.

Of few requests, one that fails is a large share and no evidence. If failures come by chance, at
the rate that spends a budget in exactly 30 days, ten in a window would page less than once a year
(a Poisson distribution; tests/contract/test_limits.py computes it). One 5xx among sixty
requests in an hour pages nobody; ten do, after as many minutes at a request a minute. If nobody
asks at all, ``AppDown`` and the probes from outside report an app that is gone.
"""


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

    def increase(self, window: str) -> str:
        """Name of the number of requests that broke it, in ``window``."""
        return f"{self.prefix}:increase{window}"

    @property
    def remaining(self) -> str:
        """Name of the share of the budget that the last 30 days left: 0 is spent, below overspent.

        If the hub has fewer days, it is of these.
        """
        return f"{self.prefix}:budget_remaining"


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


def _counted(rate: str, window: str) -> str:
    """The number of requests in ``window``, of a record of requests per second."""
    return f"{EVALUATION_SECONDS} * sum_over_time({rate}[{window}])"


def _shares(windows: Sequence[str]) -> Iterator[Record]:
    for objective in (ERRORS, SLOWNESS):
        for window in windows:
            broken, total = objective.broken, objective.total
            if window != "5m":
                yield Record(objective.increase(window), _counted(broken, window))
                broken, total = objective.increase(window), _counted(total, window)
            # Nobody asked: no share, rather than 0 / 0.
            yield Record(objective.share(window), f"{broken} / ({total} > 0)")


def _budgets() -> Iterator[Record]:
    seconds, step = BUDGET_MINUTES * 60, f"{BUDGET_MINUTES}m"
    for objective in (ERRORS, SLOWNESS):
        total = f"{objective.total.rpartition(':')[0]}:increase{step}"
        broken = objective.increase(step)
        yield Record(total, f"{seconds} * {objective.total}")
        yield Record(broken, f"{seconds} * {objective.broken}")
        days = f"{BUDGET_DAYS}d"
        yield Record(
            objective.remaining,
            f"1 - sum_over_time({broken}[{days}]) / (sum_over_time({total}[{days}]) > 0)"
            f" / on (app) group_left (seconds) {objective.budget}",
        )


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
            f" and {_burning(objective, times, short)}"
            f" and on (app, cluster) {objective.increase(long)} >= {SIGNAL}",
            wait=wait,
            summary=f"{{{{ $labels.app }}}} in {{{{ $labels.cluster }}}} {what}.",
            description=f"{{{{ $value | humanizePercentage }}}} of its requests in {long}: "
            f"{times:g} times what its service level allows, or more.",
            labels={"window": long},
        )


SERVICE_LEVELS: Final = (
    Group("budgets", list(_budgets()), interval=f"{BUDGET_MINUTES}m"),
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
"""The shares, budgets and alerts of all apps, by the labels ``app`` and ``cluster``."""
