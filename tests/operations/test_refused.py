"""What operators read when something is wrong: before bootstrap starts, or in the middle of it."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from operations import kubectl, waiting
from operations.cluster import ClusterError, ForbiddenError, UnreachableError
from tests.operations.conftest import Result
from tests.operations.world import VARIABLES, World

Command = Callable[..., Result]


@dataclass
class Refusing:
    """Answers one of the calls that change something with an error, and all that are like it."""

    error: type[ClusterError]
    cluster: str
    at: int
    call: str | None = None
    seen: int = 0

    def __call__(self, call: str) -> None:
        if not call.startswith(("apply", "delete", "restart")) or call.startswith("apply --dry"):
            return
        if self.seen == self.at and self.call is None:
            self.call = call
        self.seen += 1
        if call == self.call:
            raise self.error(self.cluster, f"{call} is refused")


def play(
    world: World, command: Command, error: type[ClusterError], cluster: str, at: int
) -> tuple[Result, str | None]:
    refusing = Refusing(error, cluster, at)
    hooks = world.clusters[cluster].hooks
    hooks.append(refusing)
    result = command("bootstrap")
    hooks.remove(refusing)
    return result, refusing.call


@pytest.mark.parametrize(
    "error",
    [kind for kind in ClusterError.__subclasses__() if kind.REMEDY],
    ids=lambda kind: kind.__name__,
)
def test_a_refusal_is_one_sentence_with_cluster_object_and_remedy(
    world: World, command: Command, error: type[ClusterError]
) -> None:
    """And exit code 2; the steps before it are done, and the next run goes on from there."""
    result, call = play(world, command, error, "edge", 5)
    assert result.status == 2
    assert result.err.splitlines() == [f"edge: {call} is refused; {error.REMEDY}"]
    assert result.taken
    assert command("bootstrap").status == 0


@pytest.mark.parametrize("cluster", ["hub", "edge"])
def test_a_refusal_of_any_call_is_reported_and_the_next_run_completes_it(
    make_world: Callable[[], World], command: Command, cluster: str
) -> None:
    for at in itertools.count():
        world = make_world()
        result, call = play(world, command, ForbiddenError, cluster, at)
        if call is None:
            break
        assert result.status == 2, call
        (line,) = result.err.splitlines()
        assert line == f"{cluster}: {call} is refused; {ForbiddenError.REMEDY}"
        assert command("bootstrap").status == 0, call
    assert at > 10


@pytest.mark.parametrize("error", [ForbiddenError, UnreachableError])
def test_a_refusal_of_a_rotation_is_reported_and_bootstrap_completes_it(
    make_world: Callable[[], World], command: Command, error: type[ClusterError]
) -> None:
    world = make_world()
    assert command("bootstrap").status == 0
    hub = world.hub
    refusing = Refusing(error, "hub", 2)
    hub.hooks.append(refusing)
    result = command("bootstrap", "--rotate")
    hub.hooks.remove(refusing)
    assert result.status == 2
    assert result.err.splitlines() == [f"hub: {refusing.call} is refused; {error.REMEDY}"]
    assert command("bootstrap").status == 0
    assert command("bootstrap", "--dry-run").out.splitlines()[-1] == "nothing to do"


# Before anything is changed


def refused(world: World, command: Command, *arguments: str) -> list[str]:
    """The problems that the checks report; nothing was changed."""
    result = command("bootstrap", *arguments)
    assert result.status == 2, result.out
    assert world.journal.changing == []
    assert result.out == ""
    return result.err.splitlines()


def test_clusters_that_do_not_answer_are_reported_with_all_else_that_is_wrong(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cluster in world.clusters.values():
        cluster.down = True
    monkeypatch.setattr("operations.bootstrap.resolver", lambda server: lambda host: ["192.0.2.9"])
    lines = refused(world, command)
    for name in world.fleet.names:
        own = [line for line in lines if line.startswith(f"{name}: ")]
        assert any("The connection to the server" in line for line in own)
        assert any("leads to 192.0.2.9; have it lead to" in line for line in own)


def test_somebody_who_is_no_administrator_is_told(world: World, command: Command) -> None:
    world.clusters["edge"].denied = frozenset({("patch", "secrets")})
    (line,) = refused(world, command)
    assert line.startswith("edge: who signs in by context edge is no administrator; use a")


def test_a_cluster_that_is_too_old_is_reported(world: World, command: Command) -> None:
    world.clusters["edge"].kubernetes = (1, 31)
    assert refused(world, command) == ["edge: runs Kubernetes 1.31; upgrade it to 1.33 or newer"]


def test_a_kubectl_that_is_too_old_is_reported(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubectl, "client_version", lambda: (1, 29))
    assert refused(world, command) == ["kubectl: is 1.29; install 1.32 or newer"]


def test_a_storage_class_that_is_missing_is_reported(world: World, command: Command) -> None:
    edge = world.clusters["edge"]
    edge.remove("storageclass", "standard")
    assert refused(world, command) == [
        "edge: has no default StorageClass; name one as `storageClass`: none"
    ]
    named = [
        member.model_copy(update={"storage_class": "fast"}) if member.name == "hub" else member
        for member in world.fleet.clusters
    ]
    world.fleet = world.fleet.model_copy(update={"clusters": tuple(named)})
    assert "hub: has no StorageClass fast; name one as `storageClass`: standard" in refused(
        world, command
    )


def test_a_load_balancer_elsewhere_is_reported(world: World, command: Command) -> None:
    world.clusters["edge"].put(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "traefik", "namespace": "traefik"},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.77"}]}},
        }
    )
    (line,) = refused(world, command)
    assert line == (
        "edge: its load balancer is at 192.0.2.77, and the registry says 192.0.2.2; "
        "run `python -m fleet addresses --write`"
    )


def test_a_hostname_that_does_not_resolve_is_reported(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str) -> list[str]:
        raise LookupError("no such name")

    monkeypatch.setattr("operations.bootstrap.resolver", lambda server: resolve)
    lines = refused(world, command)
    assert len(lines) == sum(len(cluster.hosts) for cluster in world.fleet.clusters)
    assert all(
        "does not resolve (no such name); have it lead to 192.0.2." in line for line in lines
    )


def test_one_cluster_under_two_names_is_reported(world: World, command: Command) -> None:
    world.clusters["edge"] = world.hub.by(name="edge", context="other")
    assert "edge: its context other leads to the cluster of hub; give each its own" in refused(
        world, command
    )


def test_a_dist_that_was_not_rendered_is_reported(
    world: World, command: Command, tmp_path: Path
) -> None:
    result = command("bootstrap", dist=tmp_path)
    assert result.status == 2
    assert result.err.splitlines() == [
        f"{tmp_path / cluster.name / component}: does not exist; run `python main.py`"
        for cluster in world.fleet.clusters
        for component in cluster.components
    ]


def test_what_only_people_know_is_asked_for_or_reported(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable)
    monkeypatch.setattr("operations.credentials.sys.stdin.isatty", lambda: False, raising=False)
    assert refused(world, command) == [
        (
            "hub: Secret monitoring/alertmanager-receivers does not exist; set ALERTS_PAGES and "
            "ALERTS_NOTICES and ALERTS_WATCHDOG, or run this in a terminal"
        ),
        (
            "edge: Secret foobar-api/registry-pull does not exist; set REGISTRY_USERNAME and "
            "REGISTRY_PASSWORD, or run this in a terminal"
        ),
    ]
    monkeypatch.setattr("operations.credentials.can_ask", lambda: True)
    monkeypatch.setattr("operations.credentials.getpass.getpass", lambda prompt: "typed")
    assert command("bootstrap").status == 0
    result = command("bootstrap")
    assert result.taken == []


def test_credentials_that_others_renewed_are_stored(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("bootstrap").status == 0
    monkeypatch.setenv("REGISTRY_PASSWORD", "renewed")
    (line,) = command("bootstrap").taken
    assert line == "+ edge  Secret foobar-api/registry-pull"


# What does not come about


def test_an_application_that_stays_unhealthy_is_explained(world: World, command: Command) -> None:
    world.broken["edge-traefik"] = "Deployment"
    result = command("bootstrap", "--timeout", "5")
    assert result.status == 1
    (line,) = (line for line in result.out.splitlines() if line.startswith("edge-traefik: "))
    assert line == "edge-traefik: Synced, Degraded: Deployment none does not exist"
    assert "traefik (Synced, Degraded)" in result.out


def test_an_argo_cd_that_does_not_start_is_reported_with_its_pods(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.memory.controllers.STARTING_SECONDS", 1e9)
    result = command("bootstrap")
    assert result.status == 2
    assert "hub: Deployment argocd/argocd-repo-server is not ready after 300 s: " in result.err
    assert "0 of 1 pods are ready" in result.err


def test_an_account_that_gets_no_token_is_reported(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.memory.controllers.TOKEN_SECONDS", 1e9)
    result = command("bootstrap")
    assert result.status == 2
    assert result.err.startswith(
        "edge: Secret argocd/argocd-manager-token has no token after 30 s; run the command again"
    )


def test_a_hub_that_stops_answering_while_bootstrap_waits_is_waited_for(
    world: World, command: Command
) -> None:
    failures = iter([True] * 5)

    def fail(call: str) -> None:
        if call == "get applications.argoproj.io" and world.deployed and next(failures, False):
            raise UnreachableError("hub", "is overloaded")

    world.hub.hooks.append(fail)
    result = command("bootstrap")
    assert result.status == 0, result.err
    assert next(failures, None) is None


def test_a_hub_that_never_answers_again_is_reported(world: World, command: Command) -> None:
    def fail(call: str) -> None:
        if call == "get applications.argoproj.io" and world.deployed:
            raise UnreachableError("hub", "is down")

    world.hub.hooks.append(fail)
    result = command("bootstrap", "--timeout", "3")
    assert result.status == 2
    assert result.err.startswith("hub: is down; check that the cluster runs")
    assert 180 < waiting.now() < 400
