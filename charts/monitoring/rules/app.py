"""An app as the hub watches it: what its pods, its certificate and its requests add up to.

Everything that is recorded has the labels ``app`` and ``cluster``, so dashboards and the rules for
service levels need to know no app by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from charts.ingress import TRAEFIK, routers
from charts.monitoring.rules.rule import Alert, Group, Record
from charts.monitoring.rules.service_levels import ERRORS, EVALUATION_SECONDS, SLOWNESS
from fleet.score import Description, Kind, Measure, ServiceLevels

AVAILABLE: Final = "app:pods_available:sum"
"""Name of the pods that work, by app and cluster: every app that a region runs has it."""
CERTIFICATE_SERVED: Final = "app:certificate_served:not_after_timestamp_seconds"
"""Name of the time at which the oldest certificate expires that any pod of an app serves."""


class _Source(NamedTuple):
    """Metrics of requests, with the selectors that pick those of one app."""

    requests: str
    duration: str
    ours: str
    """Selects the requests of the app."""
    failed: str
    """Selects, of these, those that failed."""
    timed: str
    """Selects, of the app's, those whose duration is not the client's choice."""


# DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS: the statuses of gRPC for which the server
# is to blame. UNKNOWN (2) cannot count: Traefik 3.7 reads the status from the headers of a
# response, where only errors have it, and calls everything else UNKNOWN, success included.
_FAILED_AT_TRAEFIK: Final = 'code=~"5..|4|13|14|15"'


@dataclass(frozen=True, kw_only=True)
class WatchedApp:
    """An app as its records see it."""

    name: str
    levels: ServiceLevels
    measured_by: Measure | None
    """Whose metrics count; None if its service levels are not watched."""
    kind: Kind
    """What runs its pods."""
    certificate_expiry: str | None
    """Its own metric of when the certificate expires that it serves."""

    @classmethod
    def of(cls, description: Description) -> Self:
        platform = description.platform
        return cls(
            name=description.name,
            levels=platform.levels,
            measured_by=platform.measured_by,
            kind=description.kind,
            certificate_expiry=platform.metrics.certificate_expiry if platform.metrics else None,
        )

    def records(self) -> Group:
        """What is recorded of this app alone, for all clusters that run it."""
        return Group(
            self.name,
            [
                Record(
                    AVAILABLE,
                    f"sum by (cluster) ({available(self.name, self.kind)})"
                    # Where nobody asks Kubernetes, those that answer the scraper.
                    f' or sum by (cluster) (up{{job="{self.name}"}})',
                    self._app,
                ),
                *self._of_certificate(),
                *self._of_levels(),
            ],
            interval=f"{EVALUATION_SECONDS}s",
        )

    @property
    def _app(self) -> dict[str, str]:
        return {"app": self.name}

    def _of_certificate(self) -> Iterator[Record]:
        if self.certificate_expiry:
            yield Record(
                CERTIFICATE_SERVED,
                f'min by (cluster) ({self.certificate_expiry}{{job="{self.name}"}})',
                self._app,
            )

    @property
    def _source(self) -> _Source | None:
        if self.measured_by is None:
            return None
        if self.measured_by == "traefik":
            # Of routers, not of services: only a router counts what Traefik answers when no pod
            # is left.
            ours = f'job="{TRAEFIK}",router=~"{routers(self.name)}"'
            return _Source(
                requests="traefik_router_requests_total",
                duration="traefik_router_request_duration_seconds",
                ours=ours,
                failed=f"{ours},{_FAILED_AT_TRAEFIK}",
                timed=f'{ours},protocol!~"websocket|sse"',
            )
        ours = f'job="{self.name}"'
        if self.levels.ignored_routes:
            # Quoted in PromQL, where a backslash is an escape.
            pattern = "|".join(self.levels.ignored_routes)
            pattern = pattern.replace("\\", "\\\\").replace('"', '\\"')
            ours += f',route!~"{pattern}"'
        return _Source(
            requests="http_requests_total",
            duration="http_request_duration_seconds",
            ours=ours,
            failed=f'{ours},code=~"5.."',
            timed=ours,
        )

    def _of_levels(self) -> Iterator[Record]:
        source, levels, app = self._source, self.levels, self._app
        if not source:
            return
        yield Record(ERRORS.total, _per_second(source.requests, source.ours), app)
        yield Record(
            ERRORS.broken,
            # A cluster without any error has no such series.
            f"{_per_second(source.requests, source.failed)}"
            f' or on (cluster) 0 * {ERRORS.total}{{app="{self.name}"}}',
            app,
        )
        yield Record(ERRORS.budget, f"vector({1 - levels.availability / 100:g})", app)
        # Prometheus 3 writes each bound as a float.
        in_time = f'{source.timed},le="{float(levels.seconds)!r}"'
        yield Record(SLOWNESS.total, _per_second(f"{source.duration}_count", source.timed), app)
        yield Record(
            SLOWNESS.broken,
            f'{SLOWNESS.total}{{app="{self.name}"}} - on (cluster) '
            + _per_second(f"{source.duration}_bucket", in_time),
            app,
        )
        yield Record(
            SLOWNESS.budget,
            f"vector({1 - levels.latency / 100:g})",
            {**app, "seconds": f"{levels.seconds:g}"},
        )


def by_app(expression: str) -> str:
    """An expression whose series have the label ``namespace``, with that as the label ``app``."""
    return f'label_replace({expression}, "app", "$1", "namespace", "(.+)")'


def _per_second(metric: str, selector: str) -> str:
    return f"sum by (cluster) (rate({metric}{{{selector}}}[5m]))"


def available(app: str, kind: Kind, selectors: str = "") -> str:
    """The pods of ``app`` that work, as Kubernetes counts them."""
    workload = kind.lower()
    return (
        f"kube_{workload}_status_replicas_available"
        f'{{{selectors}namespace="{app}",{workload}="{app}"}}'
    )


def down(cluster: str, app: str, kind: Kind, *, scraped: bool) -> Alert:
    """Whether ``cluster`` has any pod of ``app`` that works.

    Kubernetes knows whether one is available. One that is scraped also answers the scraper, so the
    alert needs no kube-state-metrics where all of its pods are gone.
    """
    selectors = f'cluster="{cluster}",'
    pods = available(app, kind, selectors)
    expression = (
        # Both without labels, so that one alert fires and not two.
        f'absent(up{{{selectors}job="{app}"}} == 1) or max({pods}) == 0'
        if scraped
        else f"absent({pods} > 0)"
    )
    return Alert(
        name="AppDown",
        severity="critical",
        expression=expression,
        wait="5m",
        summary="{{ $labels.app }} in {{ $labels.cluster }} is down.",
        description="None of its pods is ready"
        + (", or none answers the scraper." if scraped else "."),
        labels={"app": app, "cluster": cluster},
    )
