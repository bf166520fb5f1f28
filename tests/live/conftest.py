"""What the live tests share: a fork of the project, brought up by its own commands."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from charts.applications import ARGOCD
from charts.ingress import PAGES
from charts.monitoring import loki, secrets
from charts.scrape import MONITORING
from fleet.registry import Fleet
from operations import credentials
from operations.applications import KIND
from tests.live.cluster import apply, forwarded, orders_asked_for_anew, said, secret
from tests.live.git import served
from tests.live.hub import REFUSED, HubOverTls, Logs, Query
from tests.live.load import Way
from tests.live.setting import GIT_PORT, Fork, Place, fork
from tests.postgres import Postgres
from tests.postgres import served as postgres_served

SECRETS = {
    "REGISTRY_USERNAME": "puller",
    "REGISTRY_PASSWORD": "password-of-the-registry",
    # Of links-api's registry, which is not the one of foobar-api.
    "REGISTRY_USERNAME_REGISTRY_EXAMPLE_COM": "puller",
    "REGISTRY_PASSWORD_REGISTRY_EXAMPLE_COM": "password-of-the-registry",
    "ALERTS_PAGES": "https://receiver.invalid/pages",
    "ALERTS_NOTICES": "https://receiver.invalid/notices",
    "ALERTS_WATCHDOG": "https://receiver.invalid/watchdog",
}
"""What nobody but a person knows, for bootstrap."""


_REPORT: list[str] = []


@dataclass(frozen=True)
class Bootstrapped:
    """A fleet that is up, and how it came up."""

    fork: Fork
    taken: list[str]
    """What bootstrap had said when it was killed."""
    first: subprocess.CompletedProcess[str]
    seconds: float
    applications: int
    """How many there were by then."""
    states: Mapping[str, Any]
    """What Argo CD said of each by then: apps that come later have it apply more."""

    def command(
        self, *arguments: str, variables: Mapping[str, str] = SECRETS
    ) -> subprocess.CompletedProcess[str]:
        """``python -m fleet`` with ``arguments``, in the fork."""
        return self.fork.run("-m", "fleet", *arguments, variables=variables)

    def bootstrap(
        self, *arguments: str, variables: Mapping[str, str] = SECRETS
    ) -> subprocess.CompletedProcess[str]:
        return self.command(
            "bootstrap", *resolver(self.fork.place), *arguments, variables=variables
        )

    def status(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        place = self.fork.place
        trusting = ("--ca", str(place.acme_root))
        return self.command("status", *resolver(place), *trusting, *arguments)

    def way(self, region: str) -> Way:
        """The region's foobar-api, from outside."""
        cluster = self.fork.fleet.cluster(region)
        return Way(cluster.hosts[0], str(cluster.address), self.fork.place.acme_root)


def resolver(place: Place) -> tuple[str, ...]:
    return ("--resolver", place.resolver) if place.resolver else ()


@pytest.fixture(scope="session")
def checkout(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    """The fork and its Git server; addresses are those of the clusters' load balancers."""
    place = Place.here()
    authority = trustme.CA()
    folder = tmp_path_factory.mktemp("fork")
    (folder / "git").mkdir()
    with served(folder / "git", place.address("tooling"), GIT_PORT, authority) as url:
        made = fork(folder, place, url, authority, mirror)
        found = made.run("-m", "fleet", "addresses", "--create", "--write")
        assert found.returncode == 0, found.stdout + found.stderr
        made.push("The fleet of the tests")
        yield made


@pytest.fixture(scope="session")
def up(checkout: Fork) -> Iterator[Bootstrapped]:
    """The fleet, once every Application is synced and healthy; bootstrap was killed once."""
    start = time.monotonic()
    arguments = ("-m", "fleet", "bootstrap", *resolver(checkout.place), "--timeout", "8")
    with orders_asked_for_anew(checkout.fleet.names) as anew:
        taken = checkout.killed_after(12, *arguments, variables=SECRETS)
        first = checkout.run(*arguments, variables=SECRETS)
        seconds = time.monotonic() - start
        assert first.returncode == 0, first.stdout + first.stderr
        _REPORT.append(f"bare clusters to every Application synced and healthy: {seconds:.0f} s")
        number = sum(len(each.components) for each in checkout.fleet.clusters)
        yield Bootstrapped(checkout, taken, first, seconds, number, _states(checkout.fleet))
    if anew:
        _REPORT.append(f"orders that stayed at 'processing', and were made anew: {len(anew)}")


def _states(fleet: Fleet) -> dict[str, Any]:
    """The status of each Application, by its name."""
    found = json.loads(said(fleet.hub.name, "-n", ARGOCD, "get", KIND, "-ojson"))
    return {each["metadata"]["name"]: each["status"] for each in found["items"]}


@pytest.fixture(scope="session")
def postgres(checkout: Fork) -> Iterator[Postgres]:
    """A server that pods reach, to the end: an app stays that has its data there."""
    with postgres_served(checkout.place.address("us-east")) as server:
        yield server


@pytest.fixture(scope="session")
def refused(up: Bootstrapped) -> None:
    """The hub takes another password from the region that is called REFUSED, until bootstrap."""
    fleet = up.fork.fleet
    (region,) = (each for each in fleet.regions if each.name == REFUSED)
    line = credentials.htpasswd_line(credentials.new_ingest_sign_in(region))
    other = credentials.htpasswd([line])
    apply(
        fleet.hub.name,
        [secret(PAGES, secrets.ingest_user(REFUSED), other)],
        "--force-conflicts",
    )


@pytest.fixture(scope="session")
def hub(up: Bootstrapped) -> HubOverTls:
    return HubOverTls(str(up.fork.fleet.hub.address), up.fork.place.acme_root)


@pytest.fixture(scope="session")
def query(up: Bootstrapped, hub: HubOverTls) -> Query:
    return Query(up.fork.fleet.hub, hub)


@pytest.fixture
def logs(up: Bootstrapped) -> Iterator[Logs]:
    """By way of kubectl: no hostname of the hub answers them."""
    with forwarded(up.fork.fleet.hub.name, MONITORING, "service/loki", loki.PORT) as url:
        yield Logs(url)


@pytest.fixture
def report() -> list[str]:
    """Lines with what was counted, printed at the end whatever came of the tests."""
    return _REPORT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _REPORT:
        terminalreporter.section("what was counted")
        for line in _REPORT:
            terminalreporter.write_line(line)
