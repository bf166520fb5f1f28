"""Git decides: what is merged arrives where it belongs, and what hands change is put back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from tests.live.cluster import eventually, kubectl, said
from tests.live.conftest import Bootstrapped
from tests.live.load import under_load
from tests.live.setting import Fork, fewest_pods
from tests.objects import FOOBAR_API, read

# What comes last waits for alerts on the region that is refused from here on.
pytestmark = [pytest.mark.live, pytest.mark.usefixtures("refused")]


def refresh(*applications: str) -> None:
    """Has Argo CD look at Git now, and not within its three minutes."""
    for each in applications:
        said(
            "tooling",
            "-n",
            "argocd",
            "annotate",
            "--overwrite",
            "application",
            each,
            "argocd.argoproj.io/refresh=normal",
        )


@contextmanager
def committed(fork: Fork, message: str, *applications: str) -> Iterator[None]:
    """A commit that is taken back at the end."""
    fork.push(message)
    refresh(*applications)
    try:
        yield
    finally:
        fork.git("revert", "--no-edit", "HEAD")
        fork.push(f"Back from: {message}")
        refresh(*applications)


def test_a_commit_for_one_region_arrives_there_and_nowhere_else(up: Bootstrapped) -> None:
    fork = up.fork
    before, other = _fewest("us-east"), _fewest("eu-west")
    more = max(before, other) + 1
    fewest_pods(fork.folder, "us-east", more)
    with committed(fork, "More pods in us-east", "us-east-foobar-api", "eu-west-foobar-api"):
        eventually("more pods", lambda: _ready("us-east") >= more)
        assert _fewest("eu-west") == other
    # Pods go later: the autoscaler waits five minutes before it takes any away.
    eventually("the autoscaler is as before", lambda: _fewest("us-east") == before)


def _fewest(cluster: str) -> int:
    """Pods of foobar-api that the autoscaler keeps at least."""
    path = "-o=jsonpath={.spec.minReplicas}"
    return int(said(cluster, "-n", FOOBAR_API, "get", "hpa", FOOBAR_API, path))


def _ready(cluster: str) -> int:
    arguments = ("-n", FOOBAR_API, "get", "deployment", FOOBAR_API)
    return int(said(cluster, *arguments, "-o=jsonpath={.status.readyReplicas}") or 0)


def test_a_bad_commit_leaves_the_app_up(up: Bootstrapped, report: list[str]) -> None:
    """An image that does not exist: the pods that run go on, and status tells why."""
    fork = up.fork
    registry = fork.folder / "clusters.yaml"
    content = read(registry)
    for cluster in content["clusters"]:
        if cluster["name"] == "us-east":
            app = cluster["apps"][FOOBAR_API]
            app["image"] = app["image"].rpartition(":")[0] + ":0.0.0-none"
    registry.write_text(yaml.safe_dump(content, sort_keys=False))
    with under_load(up.way("us-east")) as load:
        with committed(fork, "An image that is not there", "us-east-foobar-api"):
            eventually(
                "a pod that cannot start",
                lambda: "ImagePullBackOff" in said("us-east", "-n", FOOBAR_API, "get", "pods"),
            )
            told = eventually("status tells", lambda: _told(up, "0.0.0-none"))
            assert "us-east-foobar-api" in told
        eventually(
            "the old image is back",
            lambda: "ImagePullBackOff" not in said("us-east", "-n", FOOBAR_API, "get", "pods"),
        )
    report.append(f"bad commit: {load}")
    assert load.lost == []


def _told(up: Bootstrapped, what: str) -> str | None:
    result = up.status()
    assert result.returncode == 1, result.stderr
    lines = [line for line in result.stdout.splitlines() if what in line]
    return lines[0] if lines else None


def test_drift_is_put_back(up: Bootstrapped) -> None:
    """What hands delete comes back, and what hands change is changed back."""
    policy = ("-n", FOOBAR_API, "get", "networkpolicy", "default-deny", "-o=jsonpath={.spec}")
    before = said("us-east", *policy)
    said("us-east", "-n", FOOBAR_API, "delete", "networkpolicy", "default-deny")
    eventually("the policy is back", lambda: kubectl("us-east", *policy).stdout == before)
    service = ("-n", FOOBAR_API, "get", "service", FOOBAR_API, "-o=jsonpath={.spec.selector}")
    before = said("us-east", *service)
    patch = json.dumps({"spec": {"selector": {"app.kubernetes.io/name": "somebody-else"}}})
    said("us-east", "-n", FOOBAR_API, "patch", "service", FOOBAR_API, "-p", patch)
    eventually("the selector is back", lambda: said("us-east", *service) == before)


def test_a_region_that_is_removed_keeps_its_workloads(up: Bootstrapped) -> None:
    fork = up.fork
    way = up.way("eu-west")
    registry = fork.folder / "clusters.yaml"
    content = read(registry)
    content["clusters"] = [each for each in content["clusters"] if each["name"] != "eu-west"]
    registry.write_text(yaml.safe_dump(content, sort_keys=False))
    moved = fork.folder / "overlays" / "eu-west"
    kept = fork.folder.parent / "overlays-of-eu-west"
    moved.rename(kept)
    gone = ("tooling-applications", "tooling-ingest", "tooling-rules")
    before = said("eu-west", "-n", FOOBAR_API, "get", "pods", "-oname")
    with committed(fork, "Without eu-west", *gone):
        route = ("-n", "pages", "get", "ingressroute", "metrics-eu-west", "-oname")
        eventually("its way in is gone", lambda: kubectl("tooling", *route).returncode != 0)
        assert said("eu-west", "-n", FOOBAR_API, "get", "pods", "-oname") == before
        assert way.get("/version")[0] == 200
        # They wait for somebody to remove them, as docs/operations.md says.
        applications = said("tooling", "-n", "argocd", "get", "applications", "-oname")
        assert "eu-west-foobar-api" in applications
    eventually("its way in is back", lambda: kubectl("tooling", *route).returncode == 0)
