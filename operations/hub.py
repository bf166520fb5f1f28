"""What the hub knows of all clusters: their Applications, newest samples and lines, and alerts."""

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from typing import Any, Final, TypeVar

from charts.monitoring import loki, prometheus
from charts.scrape import MONITORING
from fleet.errors import InputError
from fleet.registry import Fleet
from operations import applications
from operations.applications import Application
from operations.cluster import Cluster

T = TypeVar("T")

AGENTS: Final = "prometheus-agent|prometheus-k8s"
"""The jobs that every cluster has one of: what scrapes there."""

TIMEOUT_SECONDS: Final = 20
"""Of one query."""


@dataclass(frozen=True)
class Unknown:
    """Stands for an answer that the hub did not give."""

    why: str


@dataclass(frozen=True)
class HubReport:
    """The hub's answers; each of them may be missing by itself."""

    applications: Sequence[Application] | Unknown
    newest_samples: Mapping[str, float] | Unknown
    """By cluster, in seconds since 1970, of the last hour. The same for lines."""
    newest_lines: Mapping[str, float] | Unknown
    alerts: Mapping[str, Sequence[str]] | Unknown
    """By cluster: the names of those that fire and are sent to somebody."""


def report(fleet: Fleet, clusters: Mapping[str, Cluster]) -> HubReport:
    """Asks Argo CD, Prometheus and Loki concurrently."""
    hub = clusters[fleet.hub.name]
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:

        def url(service: str, port: int) -> str:
            return stack.enter_context(hub.forwarded(MONITORING, f"service/{service}", port))

        explained = pool.submit(_answer, partial(_applications, fleet, clusters))
        lines = pool.submit(_answer, lambda: _newest_lines(url(loki.LOKI, loki.PORT), fleet.names))
        base = _answer(partial(url, prometheus.PROMETHEUS, prometheus.PORT))
        if isinstance(base, Unknown):
            return HubReport(explained.result(), base, lines.result(), base)
        return HubReport(
            explained.result(),
            _answer(partial(_newest_samples, base)),
            lines.result(),
            _answer(partial(_alerts, base)),
        )


def _answer(ask: Callable[[], T]) -> T | Unknown:
    try:
        return ask()
    except InputError as error:
        return Unknown("; ".join(error.problems))
    except (OSError, HTTPException, ValueError) as error:
        return Unknown(str(error) or type(error).__name__)


def _applications(fleet: Fleet, clusters: Mapping[str, Cluster]) -> Sequence[Application]:
    hub = fleet.hub.name
    return [
        applications.explained(application, clusters, hub)
        for application in applications.read(fleet, clusters[hub])
    ]


def _newest_samples(url: str) -> Mapping[str, float]:
    query = urllib.parse.urlencode({"query": f'up{{job=~"{AGENTS}"}}[1h]'})
    newest: dict[str, float] = {}
    for series in _results(f"{url}/api/v1/query?{query}"):
        cluster, time = series["metric"].get("cluster", ""), float(series["values"][-1][0])
        newest[cluster] = max(time, newest.get(cluster, 0))
    return newest


def _alerts(url: str) -> Mapping[str, Sequence[str]]:
    """Without those that always fire, or that nobody is sent."""
    selector = 'ALERTS{alertstate="firing",severity=~"critical|warning"}'
    query = urllib.parse.urlencode({"query": selector})
    alerts: dict[str, list[str]] = {}
    for series in _results(f"{url}/api/v1/query?{query}"):
        labels = series["metric"]
        alerts.setdefault(labels.get("cluster", ""), []).append(labels["alertname"])
    return alerts


def _newest_lines(url: str, clusters: Sequence[str]) -> Mapping[str, float]:
    newest = {}
    for cluster in clusters:
        parameters = {"query": f'{{cluster="{cluster}"}}', "limit": "1", "since": "1h"}
        query = urllib.parse.urlencode(parameters)
        streams = _results(f"{url}/loki/api/v1/query_range?{query}")
        if streams:
            newest[cluster] = max(int(stream["values"][0][0]) for stream in streams) / 1e9
    return newest


def _results(url: str) -> Sequence[Any]:
    """What Prometheus or Loki answers to a query; raises ValueError if it is something else."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - forwarded
        answer = json.loads(response.read())
    match answer:
        case {"data": {"result": [*results]}}:
            return results
        case _:
            raise ValueError(f"{urllib.parse.urlsplit(url).path} answers without a result")
