"""``python -m fleet bootstrap``: from empty clusters to a fleet that Argo CD keeps as Git has it.

Checks first, and touches nothing while anything is wrong. Then steps, of which each does nothing
where nothing is to do; then waits for Argo CD, and says what keeps it.
"""

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fleet.errors import InputError
from operations import applications, checks, credentials, rotation, steps, terminal
from operations.applications import Application
from operations.contexts import add_fleet, fleet_of, pairs
from operations.credentials import Answers
from operations.kubectl import ClusterError
from operations.names import resolver
from operations.steps import Site, Step

AT_A_TIME: Final = 8
"""Steps, each of which is a program of its own now and then."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_fleet(parser)
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
        metavar="ADDRESS",
        help="DNS server to ask for the hostnames, in place of this machine's",
    )
    parser.add_argument("--dist", type=Path, default=Path("dist"), help="%(default)s")
    parser.add_argument(
        "--timeout",
        type=float,
        default=15,
        metavar="MINUTES",
        help="how long to wait for Argo CD (%(default)s); 0 does not wait",
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--dry-run", action="store_true", help="look only, and print each step that would be taken"
    )
    one.add_argument(
        "--rotate", action="store_true", help="make new every credential that this command makes"
    )


def run(args: argparse.Namespace) -> int:
    """0 once everything is synced and healthy, 1 if that has not come about in time."""
    fleet, clusters = fleet_of(args)
    site = Site(fleet, clusters, args.dist, Answers(), pairs("--server", args.server, fleet))
    console = terminal.console()
    check(site, args)
    if args.rotate:
        rotation.rotate(site, console)
        return 0
    missing = take(site, console, dry=args.dry_run)
    if args.dry_run:
        console.print(f"{missing} to take" if missing else "nothing to do")
        return 0
    return wait(site, console, minutes=args.timeout) if args.timeout else 0


def check(site: Site, args: argparse.Namespace) -> None:
    """Raises InputError with everything that is wrong; asks for what only a person knows."""
    found = checks.problems(
        site.fleet, site.clusters, dist=site.dist, resolve=resolver(args.resolver)
    )
    try:
        absent = [
            each
            for each in credentials.given(site.fleet)
            if not site.answers.has(each)
            and not credentials.read(site.clusters[each.name.cluster], each.name)
        ]
    except InputError:
        # A cluster that does not answer, of which the checks have told.
        absent = []
    if not args.dry_run and not credentials.can_ask():
        found += [steps.lacks(each) for each in absent]
    if found:
        raise InputError(*found)
    if not args.dry_run:
        for each in absent:
            site.answers.ask(each)


def take(site: Site, console: Console, *, dry: bool) -> int:
    """Takes each step that is needed, or with ``dry`` tells it only; returns how many those are."""
    width = max(map(len, site.fleet.names))
    total = 0
    for stage in steps.stages(site):
        under_way = Text("; ".join(dict.fromkeys(step.text for step in stage)))
        under_way.truncate(console.width - 2, overflow="ellipsis")
        with (
            console.status(under_way),
            ThreadPoolExecutor(AT_A_TIME) as pool,
        ):
            for step, needed in zip(stage, pool.map(partial(_take, dry=dry), stage), strict=True):
                sign, style = ("+", "green") if needed else ("=", "dim")
                console.print(
                    f"{sign} {step.cluster:{width}}  {step.text}", style=style, markup=False
                )
                total += needed
    return total


def _take(step: Step, *, dry: bool) -> bool:
    """Whether the step is needed; without ``dry`` it is then taken."""
    act = step.look()
    if act and not dry:
        act()
    return act is not None


def wait(site: Site, console: Console, *, minutes: float) -> int:
    """Until every Application is synced and healthy; after ``minutes`` says what is not."""
    start = time.monotonic()
    end = start + minutes * 60
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while True:
            try:
                found = applications.read(site.fleet, site.hub)
            except ClusterError:
                # An API server under load; what lasts is told when the time is up.
                if time.monotonic() > end:
                    raise
                time.sleep(2)
                continue
            open_ones = [each for each in found if not each.settled]
            live.update(table(found), refresh=console.is_terminal)
            if not open_ones or time.monotonic() > end:
                break
            time.sleep(2)
    if not open_ones:
        seconds = time.monotonic() - start
        console.print(f"{len(found)} Applications are synced and healthy, after {seconds:.0f} s")
        return 0
    console.print(table(found))
    for one in open_ones:
        each = applications.explained(one, site.clusters, site.fleet.hub.name)
        console.print(f"{each.name}: {each.sync}, {each.health}: {each.why}", markup=False)
    return 1


def table(found: Sequence[Application]) -> Table:
    """A line a cluster: how many Applications are as they should be, and the others by name."""
    shown = Table("cluster", "synced and healthy", "not yet", box=None)
    for cluster in dict.fromkeys(each.cluster for each in found):
        mine = [each for each in found if each.cluster == cluster]
        rest = [each for each in mine if not each.settled]
        names = ", ".join(
            f"{each.name.removeprefix(f'{cluster}-')} ({each.sync}, {each.health})" for each in rest
        )
        shown.add_row(
            cluster,
            f"{len(mine) - len(rest)}/{len(mine)}",
            names,
            style="green" if not rest else "yellow",
        )
    return shown
