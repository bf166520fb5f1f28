"""``python -m fleet status``: each cluster in a row, for a person on call.

Certificates and apps are seen from outside, where users are. The hub is asked what arrives
there (samples, lines, alerts), and each cluster whether it answers.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from cryptography import x509
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from charts.tenant import apps
from fleet import registry
from fleet.errors import InputError
from fleet.registry import Fleet, Region
from fleet.score import Description
from operations import credentials, hub, nodes, terminal, values, waiting
from operations.cluster import Cluster, ClusterError
from operations.contexts import FleetOptions
from operations.credentials import SecretRef
from operations.hostnames import resolver
from operations.hub import HubReport, Unknown
from operations.probes import Outside, ProbeError

OLDEST_SAMPLE_SECONDS: Final = 120
"""Four scrapes."""
OLDEST_LINE_SECONDS: Final = 600
"""A cluster is never quieter: its Traefik logs a probe's request more often."""
LEAST_LIFE: Final = 0.2
"""Share of a certificate's life; it is renewed with a third left."""
WATCH_SECONDS: Final = 15

RED_WHEN: Final = {
    "reachable": "the API server does not answer",
    "nodes": "a node has an address outside `nodeNetworks`, and the load balancer sends a PROXY "
    "header, which Traefik then ignores",
    "applications": "an Application is not synced and healthy; the sentence below says why",
    "certificate": "a hostname serves no certificate, one that clients refuse, or one with less "
    f"than {LEAST_LIFE:.0%} of its life left",
    "app": "an app does not answer, or the serial number of its certificate is not the one in its "
    "Secret, or not the one that the app reports if it has a `certificatePath`",
    "newest sample": f"the newest sample at the hub is older than {OLDEST_SAMPLE_SECONDS // 60} "
    "minutes",
    "newest line": f"the newest log line at the hub is older than {OLDEST_LINE_SECONDS // 60} "
    "minutes",
    "alerts": "an alert of severity warning or critical fires",
}
"""What makes each column red, for docs/operations.md."""


@dataclass(frozen=True)
class Cell:
    """The state of one thing; ``why`` says in a sentence what is wrong, if anything is."""

    text: str
    why: str = ""

    @property
    def good(self) -> bool:
        return not self.why


NONE: Final = Cell("-")
"""The cluster has no such thing."""


@dataclass(frozen=True)
class Row:
    """The state of a cluster."""

    cluster: str
    reachable: Cell
    nodes: Cell
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
        return all(cell.good for cell in self.cells().values())


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    fleet: FleetOptions
    resolver: str | None
    authority: Path | None
    as_json: bool
    watch: float | None
    """Seconds between two looks; None to look once."""

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        """Raises InputError for a file of authorities that does not exist."""
        if args.ca and not args.ca.is_file():
            raise InputError(f"{args.ca}: no such file; --ca takes a file of certificates")
        return cls(
            FleetOptions.of(args),
            resolver=args.resolver,
            authority=args.ca,
            as_json=args.json,
            watch=args.watch,
        )


def configure(parser: argparse.ArgumentParser) -> None:
    FleetOptions.add_to(parser)
    parser.add_argument(
        "--resolver",
        type=values.ip_address,
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
        type=values.positive,
        nargs="?",
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help="look again every so often (%(const)s), until ^C",
    )


def run(args: argparse.Namespace) -> int:
    """0 if everything is well, 1 if anything is not."""
    options = Options.of(args)
    fleet, clusters = options.fleet.connect()
    outside = Outside(resolver(options.resolver), options.authority)
    console = terminal.console()
    if options.watch:
        _watch(console, options.watch, lambda: look(fleet, clusters, outside))
    rows = look(fleet, clusters, outside)
    if options.as_json:
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
            shown.caption = Text("\n".join(reasons(rows)))
            live.update(shown, refresh=True)
            waiting.pause(seconds)


def look(fleet: Fleet, clusters: Mapping[str, Cluster], outside: Outside) -> list[Row]:
    """A row for each cluster, all asked concurrently; one that does not answer is asked once."""
    with ThreadPoolExecutor(len(clusters) + 2) as pool:
        clusters = dict(zip(clusters, pool.map(_reached, clusters.values()), strict=True))
        report = pool.submit(hub.report, fleet, clusters)
        rows = [
            pool.submit(_row, member, clusters[member.name], outside, report.result)
            for member in fleet.clusters
        ]
        return [row.result() for row in rows]


def _reached(cluster: Cluster) -> Cluster:
    """The same; with a fault if its API server does not answer, so that nothing waits for it."""
    try:
        cluster.check_ready()
    except ClusterError as error:
        return cluster.failing(error)
    return cluster


def _row(
    member: registry.Cluster, cluster: Cluster, outside: Outside, report: Callable[[], HubReport]
) -> Row:
    reachable = Cell("no", _without_name(cluster.fault)) if cluster.fault else Cell("yes")
    certificate = _certificate(member, outside)
    app = _apps(member, cluster, outside) if isinstance(member, Region) else NONE
    reported = report()
    return Row(
        member.name,
        reachable,
        _nodes(member, cluster),
        _applications(member, reported),
        certificate,
        app,
        _age(reported.newest_samples, member, OLDEST_SAMPLE_SECONDS, "sample"),
        _age(reported.newest_lines, member, OLDEST_LINE_SECONDS, "log line"),
        _firing(member, reported),
    )


def _without_name(error: ClusterError) -> str:
    """What the error says, in a row that names the cluster already."""
    return "; ".join(problem.removeprefix(f"{error.cluster}: ") for problem in error.problems)


def _nodes(member: registry.Cluster, cluster: Cluster) -> Cell:
    """How many there are."""
    if cluster.fault:
        return NONE
    try:
        found = cluster.list_objects("node")
    except ClusterError as error:
        return Cell("?", _without_name(error))
    return Cell(str(len(found)), nodes.outside(member, found))


def _applications(member: registry.Cluster, report: HubReport) -> Cell:
    if isinstance(report.applications, Unknown):
        return Cell("?", f"Argo CD cannot be asked: {report.applications.why}")
    own = [application for application in report.applications if application.cluster == member.name]
    rest = [application for application in own if not application.settled]
    return Cell(
        f"{len(own) - len(rest)}/{len(own)}",
        "; ".join(
            f"{application.name} is {application.sync} and {application.health}"
            + (f" ({application.why})" if application.why else "")
            for application in rest
        ),
    )


def _certificate(member: registry.Cluster, outside: Outside) -> Cell:
    """The one with the least of its life left, of all that the cluster serves."""
    try:
        served = [outside.certificate(host) for host in member.hosts]
    except ProbeError as error:
        return Cell("none", str(error))
    worst = min(served, key=lambda certificate: certificate.life_left)
    text = f"{worst.issuer}, {_span(worst.seconds_left)}"
    for certificate in served:
        # Nobody has to trust those of staging.
        if certificate.distrust and member.is_trusted:
            return Cell(text, f"{certificate.host}: {certificate.distrust}")
    if worst.life_left < LEAST_LIFE:
        return Cell(text, f"{worst.host}: renewal is overdue, see why with kubectl get certificate")
    return Cell(text)


def _apps(region: Region, cluster: Cluster, outside: Outside) -> Cell:
    """The region's only app, or how many of its apps are well."""
    cells = {app.name: _app(app, region, cluster, outside) for app in apps(region)}
    if len(cells) < 2:
        return next(iter(cells.values()), NONE)
    return Cell(
        f"{sum(cell.good for cell in cells.values())}/{len(cells)}",
        "; ".join(f"{name}: {cell.why}" for name, cell in cells.items() if cell.why),
    )


def _app(app: Description, region: Region, cluster: Cluster, outside: Outside) -> Cell:
    """Whether it answers, over a TLS connection that ends where it should.

    The certificate that was received is compared with the Secret, which only the pod mounts, or
    only Traefik serves; and with the one that the app says it served, if its description has a
    path for that: TLS then ends in the pod and nowhere before.
    """
    platform, host, path = app.platform, region.host(app.name), app.seen_at
    try:
        status, body, serial = outside.get(host, path)
    except ProbeError as error:
        return Cell("no", str(error))
    reports = platform.certificate_path is not None
    if (status != 200 or not isinstance(body, dict)) if reports else status >= 500:
        return Cell(f"{status}", f"{host} answers {status} to GET {path}")
    if reports and _reported(body) != serial:
        return Cell("not passed", "TLS does not end in the pod: it served another certificate")
    name = app.tls_secret
    try:
        secret = credentials.read(cluster, SecretRef(region.name, app.name, name)) or {}
        held = x509.load_pem_x509_certificate(secret["tls.crt"].encode())
    except (InputError, KeyError, ValueError):
        return Cell("answers", f"the Secret {name} with its certificate cannot be read")
    if format(held.serial_number, "x") != serial:
        who = "the pod" if platform.tls == "passthrough" else "Traefik"
        return Cell("answers", f"{who} serves another certificate than its Secret has by now")
    return Cell(platform.tls)


def _reported(body: object) -> object:
    """The serial number that an app says its certificate has; it may answer anything."""
    match body:
        case {"tls": {"certificate": {"serial": serial}}}:
            return serial
        case _:
            return None


def _age(
    newest: Mapping[str, float] | Unknown, member: registry.Cluster, oldest: float, what: str
) -> Cell:
    if isinstance(newest, Unknown):
        return Cell("?", f"the hub cannot be asked: {newest.why}")
    if member.name not in newest:
        return Cell("none", f"no {what} of the last hour is at the hub")
    age = max(0, time.time() - newest[member.name])
    why = f"the newest {what} at the hub is {_span(age)} old" if age > oldest else ""
    return Cell(f"{_span(age)} ago", why)


def _firing(member: registry.Cluster, report: HubReport) -> Cell:
    if isinstance(report.alerts, Unknown):
        return Cell("?", f"the hub cannot be asked: {report.alerts.why}")
    names = sorted(set(report.alerts.get(member.name, ())))
    return Cell(str(len(names)), f"firing: {', '.join(names)}" if names else "")


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def table(rows: Sequence[Row]) -> Table:
    """A row per cluster; what is wrong is red."""
    shown = Table("cluster", *rows[0].cells(), box=None)
    for row in rows:
        shown.add_row(
            row.cluster,
            *(
                Text(cell.text, style="green" if cell.good else "red")
                for cell in row.cells().values()
            ),
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
