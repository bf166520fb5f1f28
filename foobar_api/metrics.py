"""What Prometheus is told, summed over the workers.

Rate, errors and duration of requests, which no proxy knows of a connection that it passes through;
connections; and the certificate. A client's address is no label, since nothing bounds its values.
"""

import logging
import math
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    make_wsgi_app,
    values,
)

from foobar_api.metric_store import Store

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from foobar_api.tls import Certificate

log = logging.getLogger(__name__)


def _full() -> None:
    SERIES_DROPPED.inc()
    _say_full()


@cache
def _say_full() -> None:
    """Once in each process."""
    log.error("no room for more series of metrics: new ones are dropped")


STORE: Final = Store(on_full=_full)
"""Of this process and its workers; made when this is imported, by gunicorn's arbiter."""
values.ValueClass = STORE.value
disable_created_metrics()
_OURS: Final = CollectorRegistry(auto_describe=True)

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)

REQUESTS: Final = Counter(
    "http_requests_total",
    "Requests answered.",
    ["method", "route", "code", "protocol"],
    registry=_OURS,
)
DURATION: Final = Histogram(
    "http_request_duration_seconds",
    "From a request's headers to the end of its response.",
    ["route"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=_OURS,
)
IN_FLIGHT: Final = Gauge(
    "http_requests_in_flight",
    "Requests being answered.",
    multiprocess_mode="livesum",
    registry=_OURS,
)
OPEN: Final = Gauge(
    "foobar_api_connections_open",
    "Connections, idle ones included.",
    multiprocess_mode="livesum",
    registry=_OURS,
)
ACCEPTED: Final = Counter(
    "foobar_api_connections_total",
    "Connections, by who said the client's address.",
    ["source"],
    registry=_OURS,
)
REFUSED: Final = Counter(
    "foobar_api_connections_refused_total",
    "Connections closed for what they did.",
    ["reason"],
    registry=_OURS,
)
NOT_AFTER: Final = Gauge(
    "foobar_api_certificate_not_after_timestamp_seconds",
    "Earliest end of a certificate that a worker serves.",
    multiprocess_mode="livemin",
    registry=_OURS,
)
NOT_BEFORE: Final = Gauge(
    "foobar_api_certificate_not_before_timestamp_seconds",
    "Earliest start of a certificate that a worker serves.",
    multiprocess_mode="livemin",
    registry=_OURS,
)
RELOADS: Final = Counter(
    "foobar_api_certificate_reloads_total",
    "Attempts to replace the certificate; each worker makes its own.",
    ["result"],
    registry=_OURS,
)
RELOAD_GOOD: Final = Gauge(
    "foobar_api_certificate_last_reload_successful",
    "0 when a worker could not serve the newest files, and serves what they replaced.",
    multiprocess_mode="livemin",
    registry=_OURS,
)
LINES_DROPPED: Final = Counter(
    "foobar_api_log_lines_dropped_total",
    "Lines of logs that nobody read in time, or that could not be written.",
    ["stream"],
    registry=_OURS,
)
SERIES_DROPPED: Final = Counter(
    "foobar_api_metrics_series_dropped_total",
    "Series of metrics that a worker has no room for.",
    registry=_OURS,
)
_LABELLED: Final = (REQUESTS, DURATION, ACCEPTED, REFUSED, RELOADS, LINES_DROPPED)


def answered(*, method: str, route: str, code: int, protocol: str, seconds: float) -> None:
    """Count a request that was answered."""
    requests, duration = _children(method, route, code, protocol)
    requests.inc()
    duration.observe(seconds)


@lru_cache(maxsize=1024)
def _children(method: str, route: str, code: int, protocol: str) -> tuple[Counter, Histogram]:
    """Looked up once: finding a child by its labels costs as much as counting."""
    method = method if method in METHODS else "other"
    return REQUESTS.labels(method, route, code, protocol), DURATION.labels(route)


def serving(certificate: "Certificate", *, good: bool) -> None:
    """Say which certificate this worker serves, and whether it is the newest."""
    NOT_AFTER.set(certificate.not_after.timestamp())
    NOT_BEFORE.set(certificate.not_before.timestamp())
    RELOAD_GOOD.set(good)


def reloaded(certificate: "Certificate", *, good: bool) -> None:
    RELOADS.labels("success" if good else "failure").inc()
    serving(certificate, good=good)


class _AllWorkers:
    """Collects what all processes have counted."""

    def collect(self) -> Iterator[Metric]:
        metrics = {each.name: metric for metric in _LABELLED for each in metric.describe()}
        for name, labels in STORE.series():
            # Another worker may be the only one that has met these labels.
            if labels:
                metrics[name].labels(*labels)
        for metric in _OURS.collect():
            metric.samples = [each for each in metric.samples if not math.isnan(each.value)]
            yield metric


def application() -> "WSGIApplication":
    """What the port of the metrics answers, for all workers, whichever is asked."""
    registry = CollectorRegistry()
    registry.register(_AllWorkers())
    return make_wsgi_app(registry)
