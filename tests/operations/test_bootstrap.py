"""Bootstrap on clusters in memory: what it brings, that it may be repeated, and interrupted."""

import itertools
from collections.abc import Callable

import pytest

from operations.steps import DEFINING_COMPONENTS
from tests.operations.conftest import Result
from tests.operations.world import VARIABLES, World

Command = Callable[..., Result]


def test_one_command_brings_bare_clusters_to_a_running_fleet(
    world: World, command: Command
) -> None:
    result = command("bootstrap")
    assert result.status == 0, result.err
    number = sum(len(cluster.components) for cluster in world.fleet.clusters)
    assert f"{number} Applications are synced and healthy" in result.out


def test_a_second_run_does_nothing(
    world: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And needs nothing that only people know."""
    assert command("bootstrap").status == 0
    world.journal.go_on()
    for variable in VARIABLES:
        monkeypatch.delenv(variable)
    result = command("bootstrap")
    assert result.status == 0, result.err
    assert result.taken == []
    assert world.journal.changing == []


def test_a_dry_run_changes_nothing(world: World, command: Command) -> None:
    """And takes no step, on bare clusters as on half of a fleet."""
    for kill_at in (0, 7, 20):
        world.journal.go_on()
        result = command("bootstrap", "--dry-run")
        assert result.status == 0, result.err
        assert result.out.splitlines()[-1] == f"{len(result.taken)} to take"
        assert len(result.taken) > 5
        assert world.journal.changing == []
        world.journal.kill_at = kill_at
        assert command("bootstrap").status == 137


def test_each_step_of_a_dry_run_is_one_that_the_run_takes(world: World, command: Command) -> None:
    planned = command("bootstrap", "--dry-run").taken
    assert planned == command("bootstrap").taken


@pytest.mark.parametrize("within", [False, True], ids=["before a call", "halfway through a call"])
def test_the_next_run_completes_one_that_was_interrupted(
    within: bool,  # noqa: FBT001 - a parameter of the test
    make_world: Callable[[], World],
    command: Command,
) -> None:
    """Wherever that was: each call that changes something is played."""
    for killed in itertools.count():
        world = make_world()
        world.journal.kill_at, world.journal.kill_within = killed, within
        if command("bootstrap").status == 0:
            break
        at = world.journal.changing[-1]
        world.journal.go_on()
        completed = command("bootstrap")
        assert completed.status == 0, (at, completed.err)
        assert "are synced and healthy" in completed.out, at
        world.journal.go_on()
        result = command("bootstrap", "--dry-run")
        assert result.out.splitlines()[-1] == "nothing to do", (at, result.taken)
    assert killed > 20


def test_what_was_done_before_an_interruption_is_not_done_again(
    world: World, command: Command
) -> None:
    world.journal.kill_at = 15
    done = command("bootstrap").taken
    world.journal.go_on()
    result = command("bootstrap")
    for line in done:
        assert f"={line[1:]}" in result.out.splitlines()


def test_no_secret_is_printed(world: World, command: Command) -> None:
    result = command("bootstrap")
    generated = {
        value
        for cluster in world.clusters.values()
        for manifest in cluster.objects("Secret")
        for key, value in world.contents(manifest).items()
        if key in ("password", "users", "token", "config", ".dockerconfigjson")
    }
    assert len(generated) > 5
    for value in {*generated, *VARIABLES.values()} - {"puller"}:
        assert value not in result.out + result.err


def test_objects_are_applied_as_argo_cd_applies_them(world: World, command: Command) -> None:
    """With its mark, and as its field manager, so that it has nothing to do and can prune."""
    assert command("bootstrap", "--timeout", "0").status == 0
    for cluster in world.clusters.values():
        for component in DEFINING_COMPONENTS:
            for manifest in world.folders[world.dist / cluster.name / component]:
                if manifest["kind"] == "CustomResourceDefinition":
                    continue
                stored = cluster.get(
                    f"{manifest['kind']}.{manifest['apiVersion'].rpartition('/')[0]}".rstrip("."),
                    manifest["metadata"]["name"],
                    manifest["metadata"].get("namespace"),
                )
                assert stored is not None
                mark = stored["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"]
                assert mark.startswith(f"{cluster.name}-{component}:")
                assert {entry["manager"] for entry in stored["metadata"]["managedFields"]} == {
                    "argocd-controller"
                }


def test_what_argo_cd_looks_after_is_left_to_it(world: World, command: Command) -> None:
    """Also by a run from an older checkout, to which newer objects look stale."""
    assert command("bootstrap").status == 0
    world.hub.edit("deployment", "traefik", "traefik", spec={"replicas": 7})
    assert command("bootstrap").taken == []


def test_what_nobody_looks_after_is_brought_up_to_date(world: World, command: Command) -> None:
    assert command("bootstrap", "--timeout", "0").status == 0
    world.hub.edit("deployment", "traefik", "traefik", spec={"replicas": 7})
    assert len(command("bootstrap", "--timeout", "0").taken) == 1
    stored = world.hub.stored("deployment", "traefik", "traefik")
    assert stored is not None
    assert stored["spec"]["replicas"] != 7
