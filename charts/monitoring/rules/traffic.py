"""Whether requests arrive as usual: a Traefik that is gone, and traffic that collapses."""

from dataclasses import dataclass
from typing import Final, Self

from charts.ingress import TRAEFIK, IngressController
from charts.monitoring.names import PROMETHEUS_AGENT
from charts.monitoring.rules.app import AVAILABLE
from charts.monitoring.rules.rule import Alert, Group, Record
from charts.monitoring.rules.service_levels import ERRORS
from charts.traefik import Traefik
from fleet.registry import Cluster, Hub

HOURLY: Final = "app:http_requests:avg1h"
"""Name of the requests per second of an app, over the last hour."""

COLLAPSED: Final = 0.2
"""The share of the usual requests below which traffic has collapsed."""
FEWEST: Final = 0.5
"""Requests per second, over an hour, below which an app has too few to compare. A fifth of it is
more than the probes of two places ask, whose requests are counted like those of users."""


@dataclass(frozen=True, kw_only=True)
class WatchedTraefik:
    """A cluster's Traefik as the alert for its absence sees it."""

    cluster: str
    expected: bool
    """Whether it has to be scraped. One that the cluster had before need not export metrics."""

    @classmethod
    def of(cls, cluster: Cluster) -> Self | None:
        """None for a cluster that has none, or that sends no metrics."""
        own = not IngressController.of(cluster).of_platform
        has_one = own or Traefik.NAME in cluster.components
        sends = isinstance(cluster, Hub) or PROMETHEUS_AGENT in cluster.components
        if not (has_one and sends):
            return None
        return cls(cluster=cluster.name, expected=not own)

    def down(self) -> Group:
        """The alert for its absence."""
        cluster = f'cluster="{self.cluster}"'
        targets = f'up{{{cluster},job="{TRAEFIK}"}}'
        # Of a cluster that sends nothing at all, nobody knows it; Alertmanager would hold back
        # what the probes of other clusters find.
        expression = f"absent({targets} == 1) and on () count(up{{{cluster}}} == 1)"
        if not self.expected:
            expression += f" and on () count(max_over_time({targets}[1h]) == 1)"
        alert = Alert(
            name="TraefikDown",
            severity="critical",
            expression=expression,
            wait="2m",
            summary="No Traefik runs in {{ $labels.cluster }}.",
            description="No pod of it answers the scraper. Users reach none of the cluster's "
            "hostnames.",
            # As ClusterPartMissing has it.
            labels={"cluster": self.cluster, "job": TRAEFIK},
        )
        return Group(f"traefik-{self.cluster}", [alert])


def _collapsed() -> str:
    # An app that has pods and not one request counts as none, not as unknown.
    now = f"(avg_over_time({ERRORS.total}[15m]) or 0 * ({AVAILABLE} > 0))"

    def below(days: int) -> str:
        # The quietest of the hours around the same time. Where traffic ends or begins at a fixed
        # time each day, it may do so an hour earlier or later, as when clocks change.
        usual = f"min_over_time({HOURLY}[2h] offset {24 * days - 1}h)"
        return f"{now} < {COLLAPSED} * ({usual} > {FEWEST})"

    return f"{below(7)} and ({below(1)} or {below(2)} or {below(3)})"


TRAFFIC: Final = Group(
    "traffic",
    [
        Record(HOURLY, f"avg_over_time({ERRORS.total}[1h])"),
        Alert(
            name="TrafficCollapsed",
            severity="warning",
            # The same day of the week knows weekends, the last three days know what has changed
            # since. On a Monday, one of these three is a working day.
            expression=_collapsed(),
            wait="15m",
            summary="{{ $labels.app }} in {{ $labels.cluster }} gets far fewer requests than "
            "usual.",
            description="{{ $value | humanize }} requests per second in 15 minutes: less than a "
            "fifth of what it got around this time a week ago and on one of the last three days.",
        ),
    ],
)
"""The alert of all apps whose requests count, by the labels ``app`` and ``cluster``."""
