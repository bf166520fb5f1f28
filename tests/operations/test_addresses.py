"""Addresses of load balancers: found, asked for, and written to the registry."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import commands
from fleet.errors import InputError
from fleet.registry import OwnTraefik
from operations.cluster import UnreachableError
from operations.edit import change
from tests.objects import APPS, SAMPLE
from tests.operations.conftest import Result
from tests.operations.world import World

Command = Callable[..., Result]


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    shutil.copytree(APPS, tmp_path / "apps")
    path = tmp_path / "clusters.yaml"
    path.write_bytes(SAMPLE.read_bytes())
    return path


def test_an_address_changes_in_its_line_and_nothing_else(registry: Path) -> None:
    before = registry.read_text().splitlines()
    change(
        registry,
        {
            ("us-east", "address"): ("45.77.154.12", "203.0.113.1"),
            ("eu-west", "address"): ("95.179.208.170", "203.0.113.2"),
        },
    )
    after = registry.read_text().splitlines()
    assert [new for old, new in zip(before, after, strict=True) if old != new] == [
        "    address: 203.0.113.1",
        "    address: 203.0.113.2",
    ]


def test_an_address_that_the_registry_refuses_is_not_written(registry: Path) -> None:
    before = registry.read_bytes()
    with pytest.raises(InputError, match="is also the address of tooling"):
        change(registry, {("us-east", "address"): ("45.77.154.12", "144.202.101.170")})
    assert registry.read_bytes() == before
    assert {each.name for each in registry.parent.iterdir()} == {"apps", "clusters.yaml"}


def test_without_kubectl_every_command_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(project)
    for command in ("bootstrap", "status", "addresses"):
        with pytest.raises(InputError, match="kubectl: is not on the PATH; install it"):
            commands.main([command])
    assert capsys.readouterr().out == ""


def service(*points: dict[str, str]) -> dict[str, object]:
    """Traefik's, as a provider has filled it in."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "traefik", "namespace": "traefik"},
        "status": {"loadBalancer": {"ingress": list(points)}},
    }


def test_a_load_balancer_is_asked_for_and_waited_for(world: World, command: Command) -> None:
    result = command("addresses", "--create")
    assert result.status == 0, result.err
    assert result.out.splitlines() == ["hub   192.0.2.1", "edge  192.0.2.2"]
    world.journal.go_on()
    assert command("addresses", "--create").status == 0
    assert world.journal.changing == []


def test_without_a_load_balancer_that_is_said(world: World, command: Command) -> None:
    result = command("addresses")
    assert result.status == 1
    assert "edge  192.0.2.2   no load balancer yet; --create asks for one" in result.out


def test_a_provider_that_gives_no_address_is_reported_with_its_reason(
    world: World, command: Command
) -> None:
    edge = world.clusters["edge"]
    edge.address = None
    edge.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "traefik"}})
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "traefik"},
        "involvedObject": {"name": "traefik"},
        "message": "quota of load balancers exceeded",
    }
    edge.put(event)
    result = command("addresses", "--create")
    assert result.status == 2
    assert result.err.splitlines() == [
        "edge: Service traefik/traefik has no address after 300 s: quota of load balancers exceeded"
    ]


def test_a_load_balancer_with_a_name_alone_is_reported(world: World, command: Command) -> None:
    world.clusters["edge"].put(service({"hostname": "lb.example.org"}))
    result = command("addresses")
    assert result.status == 2
    assert "its load balancer has a name, lb.example.org, and no address" in result.err


def test_a_service_that_is_not_the_platforms_is_never_created(
    world: World, command: Command
) -> None:
    hub, edge = world.fleet.clusters
    own = OwnTraefik.model_validate({"namespace": "kube-system"})
    replaced = edge.model_copy(update={"traefik": own})
    world.fleet = world.fleet.model_copy(update={"clusters": (hub, replaced)})
    world.hub.put(service({"ip": "192.0.2.1"}))
    result = command("addresses", "--create")
    assert result.status == 1
    assert (
        "edge  192.0.2.2   no load balancer yet; Service kube-system/traefik has none" in result.out
    )
    assert world.journal.changing == []


def test_of_two_addresses_the_older_protocol_counts(world: World, command: Command) -> None:
    world.hub.put(service({"ip": "192.0.2.1"}))
    world.clusters["edge"].put(service({"ip": "2001:db8::1"}, {"ip": "192.0.2.2"}))
    assert command("addresses").status == 0


@pytest.mark.parametrize("arguments", [["addresses", "--create"], ["bootstrap", "--dry-run"]])
def test_a_command_reads_the_folder_of_its_own_fleet(
    arguments: list[str],
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another fleet's manifests may be in dist/."""
    git = world.fleet.git.model_copy(update={"folder": "dist-staging"})
    world.fleet = world.fleet.model_copy(update={"git": git})
    (tmp_path / "dist").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        commands.main(arguments)
    assert any(problem.startswith("dist-staging/") for problem in caught.value.problems)
    assert not any(problem.startswith("dist/") for problem in caught.value.problems)


def test_a_cluster_without_an_address_that_cannot_be_asked_is_listed_by_its_domain(
    world: World, command: Command
) -> None:
    hub, edge = world.fleet.clusters
    named = edge.model_copy(update={"address": None, "domain": "example.org"})
    world.fleet = world.fleet.model_copy(update={"clusters": (hub, named)})
    world.clusters["edge"].fault = UnreachableError("edge", "is down")
    result = command("addresses")
    assert result.status == 2
    assert "edge  example.org   not known, see below" in result.out
