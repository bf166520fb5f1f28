"""A newcomer's second app: what docs/applications.md promises of it, on clusters.

These come first, while the hub takes the passwords of all regions.
"""

import json
import shutil
import time
from functools import partial
from typing import Any

import pytest
import yaml

from tests.live.cluster import apply, eventually, kubectl, said, secret
from tests.live.conftest import SECRETS, Bootstrapped
from tests.live.hub import Query
from tests.live.load import under_load
from tests.live.newcomer import APP, IMAGE, Edge, Newcomer, look_at_git, newcomer
from tests.objects import ROOT, read
from tests.postgres import Postgres
from tests.tutorial import add_apps

pytestmark = pytest.mark.live

REGIONS = ("us-east", "eu-west")
CHARTED = "charted"
PACKAGES = ROOT / "tests" / "fixtures" / "packages"
CLIENT = "203.0.113.9"


@pytest.fixture(scope="module")
def reader(up: Bootstrapped, postgres: Postgres) -> Newcomer:
    """Somebody who has read as far as the first answer of links-api in us-east."""
    made = newcomer(up.fork, postgres, SECRETS)
    made.read_on("python -m fleet bootstrap")
    return made


@pytest.fixture(scope="module")
def edge(reader: Newcomer) -> Edge:
    return Edge.of(reader.fork, "us-east")


def objects(region: str, *arguments: str) -> Any:
    return json.loads(said(region, "-n", APP, "get", *arguments, "-ojson"))


def pods(region: str) -> list[Any]:
    """Those that serve."""
    found: list[Any] = objects(region, "pods", "-l", f"app.kubernetes.io/name={APP}")["items"]
    return [each for each in found if "deletionTimestamp" not in each["metadata"]]


def runs(region: str, version: str) -> bool:
    """Whether the rollout of a version is over."""
    rollout = ("rollout", "status", "deployment", APP, "--timeout=1s")
    return kubectl(region, "-n", APP, *rollout).returncode == 0 and all(
        each["spec"]["containers"][0]["image"].endswith(f":{version}") for each in pods(region)
    )


def settled(application: str) -> bool:
    path = "-o=jsonpath={.status.sync.status} {.status.health.status}"
    found = said("tooling", "-n", "argocd", "get", "application", application, path)
    return found == "Synced Healthy"


def test_the_commands_of_the_document_bring_it_to_users(reader: Newcomer, edge: Edge) -> None:
    """Over TLS that is verified, from two pods, with its certificate at Traefik."""
    # What curl prints, which the document says.
    assert '"name":"score"' in reader.read_on("curl")
    assert "location: https://docs.score.dev" in reader.read_on("curl").lower()
    reader.read_on("python -m fleet status")
    assert edge.ask("PUT", "/links/a", {"url": "https://example.org/"}).status_code == 201
    assert edge.ask("GET", "/a").headers["location"] == "https://example.org/"
    assert len(pods("us-east")) >= 2
    assert said("us-east", "-n", APP, "get", "secret", f"{APP}-tls", "-oname")


def test_the_migration_ended_before_the_first_pod_started(reader: Newcomer) -> None:
    job = objects("us-east", "job", f"{APP}-before-rollout")
    assert job["status"]["succeeded"] == 1
    created = [each["metadata"]["creationTimestamp"] for each in pods("us-east")]
    assert job["status"]["completionTime"] <= min(created)


def test_the_scheduled_job_deletes_expired_links(
    reader: Newcomer, edge: Edge, postgres: Postgres
) -> None:
    edge.ask("PUT", "/links/old", {"url": "https://example.org/", "seconds": 1})
    said("us-east", "-n", APP, "create", "job", "now", f"--from=cronjob/{APP}-expire")
    said("us-east", "-n", APP, "wait", "--for=condition=Complete", "job/now", "--timeout=100s")
    assert postgres.run("links", "SELECT FROM links WHERE name = 'old'") == []
    said("us-east", "-n", APP, "delete", "job", "now")


def test_the_clients_address_reaches_it(reader: Newcomer, edge: Edge) -> None:
    """As a load balancer sends it to Traefik, which sends it on as X-Forwarded-For."""
    header = f"PROXY TCP4 {CLIENT} {edge.way.address} 40404 443\r\n".encode()
    assert edge.way.get("/none", first=header)[0] == 404
    selector = f"app.kubernetes.io/name={APP}"
    eventually(
        "a line with the client",
        lambda: CLIENT in said("us-east", "-n", APP, "logs", "-l", selector, "--tail=-1"),
        seconds=10,
    )


def test_its_metrics_reach_the_hub_and_nobody_else(
    reader: Newcomer, edge: Edge, query: Query
) -> None:
    up_here = f'up{{cluster="us-east",job="{APP}"}} == 1'
    eventually("both pods are scraped", lambda: len(query(up_here)) >= 2, seconds=300)
    assert edge.ask("GET", "/metrics").status_code == 404
    # A shard of the agent's queue may send later than that of `up`.
    counted = f'http_requests_total{{cluster="us-east",job="{APP}",route="/{{name}}"}}'
    eventually("its requests are counted", partial(query, counted), seconds=60)


def test_traefik_measures_what_its_users_get(reader: Newcomer, edge: Edge, query: Query) -> None:
    """Under the names that the rules expect of its routers, and in the buckets of its histogram."""
    labels = f'{{app="{APP}",cluster="us-east"}}'

    def counted() -> bool:
        edge.ask("GET", "/a")
        return bool(query(f"app:http_requests:rate5m{labels} > 0"))

    eventually("its requests count", counted, seconds=300)
    for share in ("errors", "slow"):
        recorded = f"app:http_request_{share}:ratio_rate5m{labels} < 0.5"
        eventually(f"few are {share}", partial(query, recorded), seconds=100)


def test_status_has_it(reader: Newcomer, up: Bootstrapped) -> None:
    def row() -> bool:
        rows = {each["cluster"]: each for each in json.loads(up.status("--json").stdout)}
        found = rows["us-east"]["app"]
        assert found["good"], found
        assert found["text"] == "2/2"
        return bool(rows["us-east"]["applications"]["good"])

    eventually("status is green", row)


def test_it_is_promoted_from_region_to_region_and_rolled_back(
    reader: Newcomer, report: list[str]
) -> None:
    """A region at a time, each by a commit; a revert brings the old image back."""
    reader.read_on("python -m fleet bootstrap")
    eventually("eu-west runs it", partial(runs, "eu-west", "1.0.0"))
    west = Edge.of(reader.fork, "eu-west")
    assert west.ask("GET", "/a").headers["location"] == "https://example.org/"
    start = time.monotonic()
    with under_load(west.way, path="/readyz") as load:
        reader.read_on("git push")
        eventually("us-east runs the new image", partial(runs, "us-east", "1.1.0"))
        assert runs("eu-west", "1.0.0")
        reader.read_on("git push")
        eventually("eu-west runs it too", partial(runs, "eu-west", "1.1.0"))
        reader.read_on("git push")
        eventually("eu-west is back", partial(runs, "eu-west", "1.0.0"))
    assert runs("us-east", "1.1.0")
    report.append(
        f"{APP} promoted twice and rolled back in {time.monotonic() - start:.0f} s: {load}"
    )
    assert load.lost == []
    assert not reader.ahead, "a step of the document that no test takes"


def test_an_app_from_a_helm_chart_runs_in_one_region(reader: Newcomer, up: Bootstrapped) -> None:
    """Its objects are the chart's; namespace, certificate and route are the platform's."""
    if not shutil.which("helm"):
        pytest.skip("needs helm on the PATH")
    fork = reader.fork
    folder = fork.folder / "apps" / CHARTED
    shutil.copytree(PACKAGES / CHARTED, folder)
    template = folder / "chart" / "templates" / "server.yaml"
    text = template.read_text("utf-8")
    image = "          image: "
    assert text.count(image) == 1
    command = '          command: [python3, -m, http.server, "8080"]\n'
    template.write_text(text.replace(image, command + image), "utf-8")
    placement = f"hostname: charted-paris, image: '{IMAGE}:1.0.0'"
    entry = f"[{{name: eu-west, apps: {{{CHARTED}: {{{placement}}}}}}}]"
    add_apps(fork.folder / "clusters.yaml", entry)
    fork.push("Run an app from a Helm chart in eu-west")
    look_at_git()
    result = up.bootstrap("--timeout", "8", variables=reader.secrets)
    assert result.returncode == 0, result.stdout + result.stderr
    assert Edge.of(fork, "eu-west", CHARTED).ask("GET", "/").status_code == 200
    assert kubectl("us-east", "get", "namespace", CHARTED).returncode != 0


@pytest.fixture(scope="module")
def failing(reader: Newcomer) -> None:
    """All pods of links-api in eu-west have lost their database."""
    url = "postgresql://postgres@192.0.2.1/links"
    apply("eu-west", [secret(APP, "db", {"url": url})], "--force-conflicts")
    said("eu-west", "-n", APP, "delete", "pods", "-l", f"app.kubernetes.io/name={APP}")


@pytest.mark.usefixtures("failing")
def test_a_bad_migration_leaves_the_old_version_serving(
    reader: Newcomer, up: Bootstrapped, edge: Edge, report: list[str]
) -> None:
    fork = reader.fork
    description, registry = fork.folder / "apps" / f"{APP}.yaml", fork.folder / "clusters.yaml"
    text = description.read_text("utf-8")
    description.write_text(text.replace("links_api.migrate", "links_api.no_such_module"), "utf-8")
    content = read(registry)
    for cluster in content["clusters"]:
        if cluster["name"] == "us-east":
            cluster["apps"][APP]["image"] = f"{IMAGE}:1.0.0"
    registry.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    with under_load(edge.way, path="/readyz") as load:
        fork.push("A migration that fails")
        look_at_git()
        try:
            eventually("the migration fails", _migration_failed, seconds=300)
            told = eventually("status reports it", partial(_reported, up))
            assert runs("us-east", "1.1.0")
        finally:
            fork.git("revert", "--no-edit", "HEAD")
            fork.push("Back from a migration that fails")
            look_at_git()
        eventually("us-east is as before", partial(settled, f"us-east-{APP}"), seconds=400)
    report.append(f"a bad migration: {load}; status: {told}")
    assert load.lost == []


def _migration_failed() -> bool:
    status = objects("us-east", "job", f"{APP}-before-rollout")["status"]
    return any(each["type"] == "Failed" for each in status.get("conditions", ()))


def _reported(up: Bootstrapped) -> str | None:
    lines = up.status().stdout.splitlines()
    return next((line for line in lines if f"us-east-{APP}" in line), None)


@pytest.mark.usefixtures("failing")
def test_an_app_whose_pods_all_fail_is_an_alert_and_bootstrap_repairs_it(
    reader: Newcomer, up: Bootstrapped, query: Query
) -> None:
    """Their database is gone, so none is ready, although each still answers the scraper."""
    fired = eventually(
        "AppDown fires",
        lambda: [each for each in query.alerts() if each["alertname"] == "AppDown"],
        seconds=900,
    )
    assert {(each["cluster"], each["app"]) for each in fired} == {("eu-west", APP)}
    result = up.bootstrap("--timeout", "0", variables=reader.secrets)
    assert result.returncode == 0, result.stdout + result.stderr
    said("eu-west", "-n", APP, "rollout", "restart", "deployment", APP)
    west = Edge.of(reader.fork, "eu-west")
    eventually("it answers again", lambda: west.ask("GET", "/readyz").status_code == 200)
    eventually(
        "the alert is over",
        lambda: not [each for each in query.alerts() if each["alertname"] == "AppDown"],
        seconds=300,
    )
