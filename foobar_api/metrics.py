"""What Prometheus is told, summed over the workers.

Rate, errors and duration of requests, which no proxy knows of a connection that it passes through;
connections; and the certificate. A client's address is no label, since nothing bounds its values.
"""

import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    # The library decides by this, once and when it is imported, to keep what it counts in files
    # that all workers share.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="foobar-api-metrics-")

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    make_wsgi_app,
    multiprocess,
)

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from foobar_api.tls import Certificate

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)

REQUESTS: Final = Counter(
    "http_requests_total", "Requests answered.", ["method", "route", "code", "protocol"]
)
DURATION: Final = Histogram(
    "http_request_duration_seconds",
    "From a request's headers to the end of its response.",
    ["route"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IN_FLIGHT: Final = Gauge(
    "http_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum"
)
OPEN: Final = Gauge(
    "foobar_api_connections_open", "Connections, idle ones included.", multiprocess_mode="livesum"
)
ACCEPTED: Final = Counter(
    "foobar_api_connections_total", "Connections, by who said the client's address.", ["source"]
)
REFUSED: Final = Counter(
    "foobar_api_connections_refused_total", "Connections closed for what they did.", ["reason"]
)
NOT_AFTER: Final = Gauge(
    "foobar_api_certificate_not_after_timestamp_seconds",
    "End of the certificate served.",
    multiprocess_mode="livemostrecent",
)
NOT_BEFORE: Final = Gauge(
    "foobar_api_certificate_not_before_timestamp_seconds",
    "Start of the certificate served.",
    multiprocess_mode="livemostrecent",
)
RELOADS: Final = Counter(
    "foobar_api_certificate_reloads_total",
    "Attempts to replace the certificate; each worker makes its own.",
    ["result"],
)
RELOAD_GOOD: Final = Gauge(
    "foobar_api_certificate_last_reload_successful",
    "0 when the newest files could not be served, and what they replaced is.",
    multiprocess_mode="livemostrecent",
)


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
    """Collects from the files of all workers, while one may be starting or ending."""

    def __init__(self) -> None:
        self._collector = multiprocess.MultiProcessCollector(None)

    def collect(self) -> Iterable[Metric]:
        for _ in range(10):
            try:
                return list(self._collector.collect())
            except (OSError, struct.error):
                # A file that is there and has no size yet, or was there a moment ago.
                time.sleep(0.01)
        return list(self._collector.collect())


def application() -> "WSGIApplication":
    """What the port of the metrics answers, for all workers, whichever is asked."""
    registry = CollectorRegistry()
    registry.register(_AllWorkers())
    return make_wsgi_app(registry)


def worker_died(pid: int) -> None:
    """Forget the gauges of a worker; what it counted stays."""
    multiprocess.mark_process_dead(pid)


def remove_files() -> None:
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
