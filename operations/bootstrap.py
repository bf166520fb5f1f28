"""``python -m fleet bootstrap``: from empty clusters to a fleet that Argo CD keeps as Git has it.

It checks everything first, and changes nothing until every check passes. Then it takes the steps
that are needed, waits for Argo CD, and reports what keeps it.
"""

import argparse
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fleet.errors import InputError
from operations import applications, checks, credentials, rotation, steps, terminal, values, waiting
from operations.applications import Application
from operations.cluster import ClusterError
from operations.contexts import FleetOptions, add_dist, pairs
from operations.credentials import Answers, Supplied
from operations.hostnames import Resolve, resolver
from operations.site import Site, Step

CONCURRENT_STEPS: Final = 8
"""Each of them runs programs of its own."""

POLL_SECONDS: Final = 2
"""Between two looks at the Applications."""


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    fleet: FleetOptions
    servers: tuple[str, ...]
    """Pairs REGION=URL."""
    resolver: str | None
    dist: Path | None
    minutes: float
    """How long to wait for Argo CD."""
    dry_run: bool
    rotate: bool

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        return cls(
            fleet=FleetOptions.of(args),
            servers=tuple(args.server),
            resolver=args.resolver,
            dist=args.dist,
            minutes=args.timeout,
            dry_run=args.dry_run,
            rotate=args.rotate,
        )

    def site(self) -> Site:
        fleet, clusters = self.fleet.connect()
        dist = self.dist or Path(fleet.git.folder)
        return Site(fleet, clusters, dist, Answers(), pairs("--server", self.servers, fleet))


def configure(parser: argparse.ArgumentParser) -> None:
    FleetOptions.add_to(parser)
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="REGION=URL",
        help="API server of a region as the hub reaches it, if not as the kubeconfig says "
        "(repeatable)",
    )
    parser.add_argument(
        "--resolver",
        type=values.ip_address,
        metavar="ADDRESS",
        help="DNS server to ask for the hostnames, in place of this machine's",
    )
    add_dist(parser)
    parser.add_argument(
        "--timeout",
        type=values.not_negative,
        default=15,
        metavar="MINUTES",
        help="how long to wait for Argo CD (%(default)s); 0 does not wait",
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--dry-run", action="store_true", help="look only, and print each step that would be taken"
    )
    one.add_argument(
        "--rotate", action="store_true", help="replace every credential that this command generates"
    )


def run(args: argparse.Namespace) -> int:
    """0 once everything is synced and healthy, 1 if that has not come about in time."""
    options = Options.of(args)
    return bring_up(options.site(), options, resolver(options.resolver))


def bring_up(site: Site, options: Options, resolve: Resolve) -> int:
    console = terminal.console()
    check(site, resolve, ask=not options.dry_run)
    if options.rotate:
        rotation.rotate(site, console)
        return 0
    needed = take(site, console, dry_run=options.dry_run)
    if options.dry_run:
        console.print(f"{needed} to take" if needed else "nothing to do")
        return 0
    return wait(site, console, minutes=options.minutes) if options.minutes else 0


def check(site: Site, resolve: Resolve, *, ask: bool) -> None:
    """Raises InputError with everything that is wrong.

    With ``ask``, what only people know has to be supplied, and is asked for on a terminal.
    """
    problems = checks.problems(site.fleet, site.clusters, dist=site.dist, resolve=resolve)
    missing = _not_supplied(site) if ask else ()
    if not credentials.can_ask():
        problems += [secret.missing for secret in missing]
    problems += _of_no_use(site)
    if problems:
        raise InputError(*problems)
    for secret in missing:
        site.answers.ask(secret)
    if problems := _of_no_use(site):
        raise InputError(*problems)


def _of_no_use(site: Site) -> list[str]:
    """What is wrong with what was supplied."""
    problems: list[str] = []
    for secret in credentials.supplied(site.fleet):
        if site.answers.has(secret):
            try:
                site.answers.content(secret)
            except InputError as error:
                problems += error.problems
    return problems


def _not_supplied(site: Site) -> Sequence[Supplied]:
    """The Secrets that neither the environment nor their cluster has."""
    try:
        return [
            secret
            for secret in credentials.supplied(site.fleet)
            if not site.answers.has(secret)
            and not credentials.read(site.clusters[secret.ref.cluster], secret.ref)
        ]
    except ClusterError:
        # The checks have reported a cluster that does not answer.
        return ()


def take(site: Site, console: Console, *, dry_run: bool) -> int:
    """Takes each step that is needed, or with ``dry_run`` only prints it; returns their number."""
    width = max(map(len, site.fleet.names))
    total = 0
    for stage in steps.stages(site):
        under_way = Text("; ".join(dict.fromkeys(step.text for step in stage)))
        under_way.truncate(console.width - 2, overflow="ellipsis")
        with (
            console.status(under_way),
            ThreadPoolExecutor(CONCURRENT_STEPS) as pool,
        ):
            results = pool.map(partial(_take, dry_run=dry_run), stage)
            for step, needed in zip(stage, results, strict=True):
                sign, style = ("+", "green") if needed else ("=", "dim")
                console.print(
                    f"{sign} {step.cluster:{width}}  {step.text}", style=style, markup=False
                )
                total += needed
    return total


def _take(step: Step, *, dry_run: bool) -> bool:
    """Whether the step is needed; without ``dry_run`` it is then taken."""
    action = step.look()
    if action and not dry_run:
        action()
    return action is not None


def wait(site: Site, console: Console, *, minutes: float) -> int:
    """Waits until every Application is synced and healthy; after ``minutes`` reports the others."""
    start = waiting.now()
    end = start + minutes * 60
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while True:
            try:
                current = applications.read(site.fleet, site.hub)
            except ClusterError:
                # An API server under load; what lasts is reported when the time is up.
                if waiting.now() > end:
                    raise
                waiting.pause(POLL_SECONDS)
                continue
            unsettled = [application for application in current if not application.settled]
            live.update(table(current), refresh=console.is_terminal)
            if not unsettled or waiting.now() > end:
                break
            waiting.pause(POLL_SECONDS)
    if not unsettled:
        seconds = waiting.now() - start
        console.print(f"{len(current)} Applications are synced and healthy, after {seconds:.0f} s")
        return 0
    console.print(table(current))
    for application in unsettled:
        explained = applications.explained(application, site.clusters, site.fleet.hub.name)
        console.print(
            f"{explained.name}: {explained.sync}, {explained.health}: {explained.why}", markup=False
        )
    return 1


def table(reported: Collection[Application]) -> Table:
    """A row per cluster: how many Applications are synced and healthy, and which are not."""
    rows = Table("cluster", "synced and healthy", "not yet", box=None)
    for cluster in dict.fromkeys(application.cluster for application in reported):
        own = [application for application in reported if application.cluster == cluster]
        rest = [application for application in own if not application.settled]
        names = ", ".join(
            f"{application.name.removeprefix(f'{cluster}-')} "
            f"({application.sync}, {application.health})"
            for application in rest
        )
        rows.add_row(
            cluster,
            f"{len(own) - len(rest)}/{len(own)}",
            names,
            style="green" if not rest else "yellow",
        )
    return rows
