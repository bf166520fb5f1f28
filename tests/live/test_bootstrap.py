"""One command brings empty clusters to a running fleet, and may be repeated."""

import json

import pytest

from charts.argocd import Argocd
from operations.manifests import TRACKED
from operations.steps import DEFINING_COMPONENTS
from tests.live.cluster import eventually, said
from tests.live.conftest import SECRETS, Bootstrapped

pytestmark = pytest.mark.live


def test_every_application_is_synced_and_healthy(up: Bootstrapped) -> None:
    """Nothing but the one command was run, and it was killed in the middle and run again."""
    before = [line.removeprefix("+ ") for line in up.taken]
    after = up.first.stdout.splitlines()
    # The last one may have been under way when it was killed.
    assert all(f"= {line}" in after for line in before[:-1])
    taken = [line for line in after if line.startswith("+ ")]
    assert len(taken) >= 10
    assert f"{up.applications} Applications are synced and healthy" in up.first.stdout


def test_a_second_run_finds_nothing_to_do(up: Bootstrapped) -> None:
    """And needs nothing that only a person knows."""
    result = up.bootstrap("--dry-run", variables={})
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "nothing to do"
    assert all(line.startswith("= ") for line in result.stdout.splitlines()[:-1])


def test_what_bootstrap_applied_is_as_argo_cd_would(up: Bootstrapped) -> None:
    """Argo CD found it synced, with its own mark on it, and has had to apply nothing."""
    fleet = up.fork.fleet
    for name in (
        *(f"{cluster.name}-{each}" for cluster in fleet.clusters for each in DEFINING_COMPONENTS),
        f"{fleet.hub.name}-{Argocd.NAME}",
    ):
        state = up.states[name]
        assert "operationState" not in state, (name, state["operationState"])
    path = "-o=jsonpath={.metadata.annotations}"
    for kind in ("clusterrole", "deployment", "service"):
        marks = json.loads(said("us-east", "-n", "traefik", "get", kind, "traefik", path))
        assert marks[TRACKED].startswith("us-east-traefik:")


@pytest.mark.parametrize(
    ("namespace", "what"),
    [("traefik", "service/traefik"), ("cert-manager", "deployment/cert-manager")],
)
def test_argo_cd_goes_on_with_what_bootstrap_applied(
    up: Bootstrapped, namespace: str, what: str
) -> None:
    """Under one name, so that a field that Git drops goes; a second one would keep it."""
    for cluster in up.fork.fleet.names:
        found = json.loads(
            said(cluster, "-n", namespace, "get", what, "-ojson", "--show-managed-fields")
        )
        applied = {
            each["manager"]
            for each in found["metadata"]["managedFields"]
            if each["operation"] == "Apply"
        }
        assert applied == {"argocd-controller"}


def test_no_secret_is_printed(up: Bootstrapped) -> None:
    for text in (up.first.stdout, up.first.stderr):
        for value in SECRETS.values():
            assert value not in text or value == "puller"


def test_status_is_green_and_says_so_to_programs(up: Bootstrapped) -> None:
    def green() -> bool:
        result = up.status("--json")
        bad = {
            row["cluster"]: {
                key: value
                for key, value in row.items()
                if isinstance(value, dict) and not value["good"] and key != "alerts"
            }
            for row in json.loads(result.stdout)
        }
        assert not any(bad.values()), bad
        return True

    assert eventually("status is green", green)
    rows = {row["cluster"]: row for row in json.loads(up.status("--json").stdout)}
    # Or how many apps are well, once test_apps.py has brought a second one.
    assert rows["us-east"]["app"]["text"] in ("passthrough", "2/2")
    assert rows["tooling"]["app"]["text"] == "-"
    assert "Pebble" in rows["eu-west"]["certificate"]["text"]


def test_addresses_are_those_of_the_registry(up: Bootstrapped) -> None:
    result = up.command("addresses")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_cluster_that_does_not_answer_is_told_with_all_the_rest(up: Bootstrapped) -> None:
    """Every problem at once, exit code 2, and nothing touched."""
    result = up.bootstrap("--context", "us-east=nowhere", "--context", "eu-west=tooling")
    assert result.returncode == 2
    lines = result.stderr.splitlines()
    missing = "us-east: kubectl has no context nowhere; name one with --context us-east="
    assert any(line.startswith(missing) for line in lines), lines
    assert any("eu-west: its load balancer is at" in line for line in lines), lines
    assert any("leads to the cluster of tooling" in line for line in lines), lines
