"""``python -m fleet status``: each cluster in a line, for a person on call.

Asked from outside where users are (certificates, foobar-api), at the hub what arrives there
(samples, lines, alerts), and the clusters themselves.
"""

import argparse
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from rich.console import Console
from rich.live import Live
from rich.table import Table

from charts.foobar_api import TLS_SECRET
from charts.monitoring import loki, prometheus
from charts.scrape import MONITORING
from fleet.errors import InputError
from fleet.registry import Cluster, Fleet, Region
from operations import applications, credentials, terminal
from operations.applications import Application
from operations.contexts import add_fleet, fleet_of
from operations.credentials import Name
from operations.kubectl import Kubectl
from operations.names import resolver
from operations.probes import Outside, ProbeError

OLDEST_SAMPLE_SECONDS: Final = 120
"""Four scrapes."""
OLDEST_LINE_SECONDS: Final = 600
"""A cluster is never quieter: its Traefik logs a probe's request more often."""
LEAST_LIFE: Final = 0.2
"""Of a certificate; it is renewed with a third left."""
AGENTS: Final = "prometheus-agent|prometheus-k8s"

RED_WHEN: Final = {
    "reachable": "the API server does not answer",
    "applications": "an Application is not synced and healthy; the sentence below says why",
    "certificate": "a hostname serves no certificate, one that clients refuse, or one with less "
    f"than {LEAST_LIFE:.0%} of its life left",
    "app": "foobar-api does not answer, or TLS ends anywhere but in its pod: the command compares "
    "the serial number it received, the one the app reports and the one in the Secret",
    "newest sample": f"the newest sample at the hub is older than {OLDEST_SAMPLE_SECONDS // 60} "
    "minutes",
    "newest line": f"the newest log line at the hub is older than {OLDEST_LINE_SECONDS // 60} "
    "minutes",
    "alerts": "an alert of severity warning or critical fires",
}
"""What makes each column red, for docs/operations.md."""


@dataclass(frozen=True)
class Cell:
    """What is found of one thing; ``why`` says in a sentence what is wrong, if anything is."""

    told: str
    why: str = ""

    @property
    def good(self) -> bool:
        return not self.why


NONE: Final = Cell("-")
"""The cluster has no such thing."""


@dataclass(frozen=True)
class Row:
    """How a cluster is."""

    cluster: str
    reachable: Cell
    applications: Cell
    certificate: Cell
    app: Cell
    newest_sample: Cell
    newest_line: Cell
    alerts: Cell

    def cells(self) -> dict[str, Cell]:
        return {
            key.replace("_", " "): value
            for key, value in vars(self).items()
            if isinstance(value, Cell)
        }

    @property
    def good(self) -> bool:
        return all(each.good for each in self.cells().values())


def configure(parser: argparse.ArgumentParser) -> None:
    add_fleet(parser)
    parser.add_argument(
        "--resolver",
        metavar="ADDRESS",
        help="DNS server to ask for the hostnames, in place of this machine's",
    )
    parser.add_argument(
        "--ca",
        type=Path,
        metavar="FILE",
        help="authority to trust besides those of this machine",
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--json", action="store_true", help="print it for a program")
    one.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=15,
        metavar="SECONDS",
        help="look again every so often (%(const)s), until ^C",
    )


def run(args: argparse.Namespace) -> int:
    """0 if everything is well, 1 if anything is not."""
    fleet, clusters = fleet_of(args)
    if args.ca and not args.ca.is_file():
        raise InputError(f"{args.ca}: no such file; --ca takes one of certificates")
    outside = Outside(resolver(args.resolver), args.ca)
    console = terminal.console()
    if args.watch:
        _watch(console, args.watch, lambda: look(fleet, clusters, outside))
    rows = look(fleet, clusters, outside)
    if args.json:
        print(json.dumps([_plain(row) for row in rows], indent=2))
    else:
        console.print(table(rows))
        for line in reasons(rows):
            console.print(line, markup=False)
    return 0 if all(row.good for row in rows) else 1


def _watch(console: Console, seconds: float, look: Callable[[], Sequence[Row]]) -> None:
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            rows = look()
            shown = table(rows)
            shown.caption = "\n".join(reasons(rows))
            live.update(shown, refresh=True)
            time.sleep(seconds)


def look(fleet: Fleet, clusters: Mapping[str, Kubectl], outside: Outside) -> list[Row]:
    """A row for each cluster, all asked concurrently; one that does not answer is asked once."""
    with ThreadPoolExecutor(len(clusters) + 2) as pool:
        clusters = dict(zip(clusters, pool.map(_reached, clusters.values()), strict=True))
        at_hub = pool.submit(_Hub.ask, fleet, clusters)
        rows = [
            pool.submit(_row, cluster, clusters[cluster.name], outside, at_hub.result)
            for cluster in fleet.clusters
        ]
        return [row.result() for row in rows]


@dataclass(frozen=True)
class _Hub:
    """What the hub knows of all clusters; ``why`` says why it does not."""

    applications: Sequence[Application]
    samples: Mapping[str, float]
    lines: Mapping[str, float]
    alerts: Mapping[str, Sequence[str]]
    why: Mapping[str, str]

    @classmethod
    def ask(cls, fleet: Fleet, clusters: Mapping[str, Kubectl]) -> "_Hub":
        hub = clusters[fleet.hub.name]
        why: dict[str, str] = {}

        def read() -> list[Application]:
            found = applications.read(fleet, hub)
            return [applications.explained(each, clusters, hub.name) for each in found]

        def asked(what: str, ask: Callable[[], Any], otherwise: Any) -> Any:
            try:
                return ask()
            except (InputError, OSError, HTTPException, ValueError) as error:
                why[what] = str(error)
                return otherwise

        with ExitStack() as stack, ThreadPoolExecutor(3) as pool:

            def url(service: str, port: int) -> str:
                return stack.enter_context(hub.forwarded(MONITORING, f"service/{service}", port))

            apps = pool.submit(asked, "applications", read, ())
            lines = pool.submit(
                asked, "lines", lambda: _lines(url(loki.LOKI, loki.PORT), fleet.names), {}
            )
            base = asked("samples", lambda: url(prometheus.PROMETHEUS, prometheus.PORT), None)
            samples = asked("samples", lambda: _samples(base), {}) if base else {}
            alerts = asked("alerts", lambda: _alerts(base), {}) if base else {}
            return cls(apps.result(), samples, lines.result(), alerts, why)


def _samples(url: str) -> dict[str, float]:
    """When each cluster's newest sample was taken, of the last hour."""
    query = urllib.parse.urlencode({"query": f'up{{job=~"{AGENTS}"}}[1h]'})
    found: dict[str, float] = {}
    for series in _asked(f"{url}/api/v1/query?{query}")["data"]["result"]:
        cluster, newest = series["metric"].get("cluster", ""), float(series["values"][-1][0])
        found[cluster] = max(newest, found.get(cluster, 0))
    return found


def _alerts(url: str) -> dict[str, list[str]]:
    """What fires for each cluster, but for what is to fire always or wakes nobody."""
    selector = 'ALERTS{alertstate="firing",severity=~"critical|warning"}'
    query = urllib.parse.urlencode({"query": selector})
    found: dict[str, list[str]] = {}
    for series in _asked(f"{url}/api/v1/query?{query}")["data"]["result"]:
        labels = series["metric"]
        found.setdefault(labels.get("cluster", ""), []).append(labels["alertname"])
    return found


def _lines(url: str, clusters: Sequence[str]) -> dict[str, float]:
    """When each cluster's newest line was written, of the last hour."""
    found = {}
    for cluster in clusters:
        asked = {"query": f'{{cluster="{cluster}"}}', "limit": "1", "since": "1h"}
        query = urllib.parse.urlencode(asked)
        streams = _asked(f"{url}/loki/api/v1/query_range?{query}")["data"]["result"]
        if streams:
            found[cluster] = max(int(each["values"][0][0]) for each in streams) / 1e9
    return found


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as response:  # noqa: S310 - forwarded
        return json.loads(response.read())


def _row(cluster: Cluster, kubectl: Kubectl, outside: Outside, hub: Callable[[], _Hub]) -> Row:
    reachable = Cell("no", kubectl.fault) if kubectl.fault else Cell("yes")
    certificate = _certificate(cluster, outside)
    app = _app(cluster, kubectl, outside) if isinstance(cluster, Region) else NONE
    known = hub()
    return Row(
        cluster.name,
        reachable,
        _applications(cluster, known),
        certificate,
        app,
        _age(
            known.samples.get(cluster.name), OLDEST_SAMPLE_SECONDS, "sample", known.why, "samples"
        ),
        _age(known.lines.get(cluster.name), OLDEST_LINE_SECONDS, "log line", known.why, "lines"),
        _firing(cluster, known),
    )


def _reached(kubectl: Kubectl) -> Kubectl:
    """The same, with a fault if its API server does not answer, so that nothing waits for it."""
    if kubectl.fault:
        return kubectl
    try:
        kubectl.run("get", "--raw", "/readyz", timeout=20)
    except InputError as error:
        why = error.problems[0].removeprefix(f"{kubectl.name}: ")
        return replace(kubectl, fault=f"its API server does not answer: {why}")
    return kubectl


def _applications(cluster: Cluster, hub: _Hub) -> Cell:
    mine = [each for each in hub.applications if each.cluster == cluster.name]
    if not mine:
        return Cell("?", f"Argo CD cannot be asked: {hub.why.get('applications')}")
    rest = [each for each in mine if not each.settled]
    told = f"{len(mine) - len(rest)}/{len(mine)}"
    return Cell(
        told,
        "; ".join(
            f"{each.name} is {each.sync} and {each.health}" + (f" ({each.why})" if each.why else "")
            for each in rest
        ),
    )


def _certificate(cluster: Cluster, outside: Outside) -> Cell:
    """The one with the least of its life left, of all that the cluster serves."""
    try:
        served = [outside.certificate(host) for host in cluster.hosts]
    except ProbeError as error:
        return Cell("none", str(error))
    worst = min(served, key=lambda each: each.life_left)
    told = f"{worst.issuer}, {_span(worst.seconds_left)}"
    for each in served:
        # Staging's are nobody's to trust.
        if each.distrust and cluster.issuer == "production":
            return Cell(told, f"{each.host}: {each.distrust}")
    if worst.life_left < LEAST_LIFE:
        return Cell(told, f"{worst.host}: renewal is overdue, see why with kubectl get certificate")
    return Cell(told)


def _app(cluster: Region, kubectl: Kubectl, outside: Outside) -> Cell:
    """Whether it answers, over a TLS connection that ends in the pod and nowhere before.

    The app says which certificate it served; that is compared with the one that came, and with the
    Secret that only the pod mounts.
    """
    if "foobar-api" not in cluster.components:
        return NONE
    try:
        status, body, serial = outside.get(cluster.host, "/api")
    except ProbeError as error:
        return Cell("no", str(error))
    if status != 200 or not isinstance(body, dict):
        return Cell(f"{status}", f"{cluster.host} answers {status} to GET /api")
    if body.get("tls", {}).get("certificate", {}).get("serial") != serial:
        return Cell("not passed", "TLS does not end in the pod: it served another certificate")
    try:
        secret = credentials.read(kubectl, Name(cluster.name, "foobar-api", TLS_SECRET)) or {}
        mounted = x509.load_pem_x509_certificate(secret["tls.crt"].encode())
    except (InputError, KeyError, ValueError):
        return Cell("answers", f"the Secret {TLS_SECRET} with its certificate cannot be read")
    if format(mounted.serial_number, "x") != serial:
        return Cell("answers", "the pod serves another certificate than its Secret has by now")
    return Cell("passthrough")


def _age(newest: float | None, oldest: float, what: str, why: Mapping[str, str], key: str) -> Cell:
    if key in why:
        return Cell("?", f"the hub cannot be asked: {why[key]}")
    if newest is None:
        return Cell("none", f"no {what} of the last hour is at the hub")
    age = max(0, time.time() - newest)
    told = f"{_span(age)} ago"
    return Cell(told, f"the newest {what} at the hub is {_span(age)} old" if age > oldest else "")


def _firing(cluster: Cluster, hub: _Hub) -> Cell:
    if why := hub.why.get("alerts") or hub.why.get("samples"):
        return Cell("?", f"the hub cannot be asked: {why}")
    names = sorted(set(hub.alerts.get(cluster.name, ())))
    return Cell(str(len(names)), f"firing: {', '.join(names)}" if names else "")


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def table(rows: Sequence[Row]) -> Table:
    """A line a cluster; what is wrong is red."""
    shown = Table("cluster", *rows[0].cells(), box=None)
    for row in rows:
        cells = row.cells().values()
        shown.add_row(
            row.cluster, *(f"[{'green' if each.good else 'red'}]{each.told}" for each in cells)
        )
    return shown


def reasons(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each thing that is wrong."""
    for row in rows:
        for what, cell in row.cells().items():
            if cell.why:
                yield f"{row.cluster}: {what}: {cell.why}"


def _plain(row: Row) -> dict[str, Any]:
    return {
        "cluster": row.cluster,
        "good": row.good,
        **{
            what.replace(" ", "_"): {**asdict(cell), "good": cell.good}
            for what, cell in row.cells().items()
        },
    }
