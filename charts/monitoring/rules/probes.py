"""What users see: whether hostnames are served, as the probes of other clusters find it.

Probes pass the load balancer, DNS and Traefik, which no metric of an app sees. Alerts are about the
cluster that serves the hostname; on the series of a probe, the label ``cluster`` says who probes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from charts.monitoring.hostnames import hostnames, places
from charts.monitoring.names import PROBES
from charts.monitoring.rules.rule import Alert, Group, Record, Severity
from fleet.registry import Fleet

BEST: Final = "hostname:probe_success:max_avg5m"
"""Name of the share of probes that succeeded in five minutes, from the place where most did."""
WORST: Final = "hostname:probe_success:min_avg5m"
"""The same from the place where fewest did."""
EXPIRY: Final = "hostname:certificate_expiry:min_timestamp_seconds"
"""Name of the time at which the certificate expires that users get, the earliest if they differ."""

SUCCEED: Final = 0.75
"""The share of probes that has to succeed. A hostname that is gone falls below it within 90
seconds, and one that loses half of its connections falls below it as well."""

DAYS_LEFT: Final[dict[Severity, int]] = {"warning": 10, "critical": 3}
"""Days before a certificate ends. Let's Encrypt's last 45 days or longer, and cert-manager renews
them when a third is left. An issuer of shorter ones needs other numbers."""

_OURS: Final = f'{{job="{PROBES}"}}'
"""Selects the probes that the platform makes; a cluster may have others, of anything."""
_SUBJECT: Final = "target_cluster, app, hostname, certificate"


def _of_target(expression: str) -> str:
    """An expression about ``target_cluster``, with that as the label ``cluster``."""
    return (
        "max without (target_cluster) "
        f'(label_replace({expression}, "cluster", "$1", "target_cluster", "(.+)"))'
    )


def _records() -> Iterator[Record]:
    for name, best in ((BEST, "max"), (WORST, "min")):
        yield Record(
            name, _of_target(f"{best} by ({_SUBJECT}) (avg_over_time(probe_success{_OURS}[5m]))")
        )
    yield Record(EXPIRY, _of_target(f"min by ({_SUBJECT}) (probe_ssl_earliest_cert_expiry{_OURS})"))


def _expiring(severity: Severity) -> Alert:
    return Alert(
        name="HostnameCertificateExpiring",
        severity=severity,
        outside=True,
        # By the name of the Certificate, Alertmanager finds the alert of cert-manager's about it.
        expression=f'label_replace(({EXPIRY} - time()) / 86400 < {DAYS_LEFT[severity]}, "name",'
        ' "$1", "certificate", "(.+)")',
        wait="15m",
        summary="The certificate that {{ $labels.app }} in {{ $labels.cluster }} serves has "
        "{{ $value | humanize }} days left.",
        description="Users of {{ $labels.hostname }} get this certificate, whether or not a newer "
        "one was issued. When it has expired, their clients refuse to connect.",
    )


HOSTNAMES: Final = Group(
    "hostnames",
    [
        *_records(),
        Alert(
            name="HostnameUnreachable",
            severity="critical",
            outside=True,
            # A hostname that no probe has reached yet may be one that is being set up. If the hub
            # was away for more than an hour, the day before tells.
            expression=f"{BEST} < {SUCCEED} and (max_over_time({BEST}[1h]) >= {SUCCEED}"
            f" or {BEST} offset 1h or {BEST} offset 1d)",
            wait="2m",
            summary="Users cannot reach {{ $labels.app }} in {{ $labels.cluster }}.",
            description="No place that probes {{ $labels.hostname }} reaches it reliably. From the "
            "best one, {{ $value | humanizePercentage }} of the probes of the last five minutes "
            "succeeded.",
        ),
        Alert(
            name="HostnameUnreachable",
            severity="warning",
            outside=True,
            expression=f"{WORST} < {SUCCEED}",
            wait="10m",
            summary="Some users cannot reach {{ $labels.app }} in {{ $labels.cluster }}.",
            description="From at least one place, only {{ $value | humanizePercentage }} of the "
            "probes of {{ $labels.hostname }} succeeded in the last five minutes.",
        ),
        *map(_expiring, DAYS_LEFT),
    ],
)
"""Records and alerts of all hostnames, by the labels ``cluster``, ``app`` and ``hostname``."""


@dataclass(frozen=True, kw_only=True)
class WatchedHostnames:
    """The hostnames of a cluster, and who is expected to probe them."""

    cluster: str
    hosts: tuple[str, ...]
    places: tuple[str, ...]
    """Names of the clusters that probe them."""

    @classmethod
    def of(cls, fleet: Fleet) -> tuple[Self, ...]:
        """Those of every cluster that has any, and that some cluster probes."""
        probers = places(fleet)
        found = (
            cls(
                cluster=each.name,
                hosts=tuple(hostname.host for hostname in hostnames(fleet, each)),
                places=probers[each.name],
            )
            for each in fleet.clusters
        )
        return tuple(each for each in found if each.hosts and each.places)

    def missing(self) -> Group:
        """Alerts for probes that report nothing, which no expression about their results sees."""
        return Group(f"probes-{self.cluster}", [self._missing(place) for place in self.places])

    def _missing(self, place: str) -> Alert:
        return Alert(
            name="ProbeMissing",
            severity="warning",
            # About the cluster that probes: while it is silent, Alertmanager holds this back.
            expression=" or ".join(
                f'absent(probe_success{{cluster="{place}",job="{PROBES}",hostname="{host}"}})'
                for host in self.hosts
            ),
            wait="10m",
            summary="{{ $labels.cluster }} does not probe {{ $labels.hostname }}.",
            description="The hub has no results of these probes. If {{ $labels.hostname }} of "
            "{{ $labels.target_cluster }} fails, fewer places notice.",
            labels={"cluster": place, "target_cluster": self.cluster},
        )
