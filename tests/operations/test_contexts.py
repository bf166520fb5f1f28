"""Which kubectl context leads to which cluster, and what commands report when one does not."""

from pathlib import Path

import pytest

import commands
from fleet.errors import InputError
from operations import kubectl
from operations.cluster import NoContextError
from operations.contexts import FleetOptions
from tests.memory import MemoryCluster

REGISTRY = """\
git: {repository: https://git.example.org/fleet.git, revision: main}
acme: {email: ops@foobar-platform.dev}
clusters:
  - {name: hub, role: hub, address: 192.0.2.1}
  - {name: north-1, role: region, address: 192.0.2.2, hostname: north, image: r.example.org/a:1}
  - {name: north-2, role: region, address: 192.0.2.3, hostname: south, image: r.example.org/a:1}
"""
HUB, NORTH = "https://192.0.2.1:6443", "https://192.0.2.2:6443"


NAME_ONE = "name one with --context north-2=CONTEXT, or as `context` in clusters.yaml"


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Kubectl's contexts, and the API server of each."""
    known = {"hub": HUB, "north-1": NORTH}
    monkeypatch.setattr(kubectl, "contexts", lambda: known)
    (tmp_path / "clusters.yaml").write_text(REGISTRY)
    monkeypatch.chdir(tmp_path)
    return known


def faults(*pairs: str) -> dict[str, str]:
    """What is wrong with the context of each cluster."""
    _, clusters = FleetOptions(Path("clusters.yaml"), pairs).connect()
    return {name: cluster.fault.reasons[0] for name, cluster in clusters.items() if cluster.fault}


def test_a_context_that_is_missing_is_reported_with_a_remedy(contexts: dict[str, str]) -> None:
    contexts.clear()
    assert faults().keys() == {"hub", "north-1", "north-2"}
    assert faults()["north-2"] == f"kubectl has no context north-2; {NAME_ONE}"


def test_the_context_of_another_cluster_is_never_proposed(contexts: dict[str, str]) -> None:
    """Under whichever name: north-1's API server has a second context here."""
    contexts["north-2-admin"] = NORTH
    assert faults() == {"north-2": f"kubectl has no context north-2; {NAME_ONE}"}
    contexts["north-2b"] = "https://192.0.2.3:6443"
    (told,) = faults().values()
    assert told == f"kubectl has no context north-2 (did you mean north-2b?); {NAME_ONE}"


def test_the_context_that_an_option_gives_to_another_cluster_is_not_proposed(
    contexts: dict[str, str],
) -> None:
    contexts.clear()
    contexts |= {"hub": HUB, "north-22": NORTH}
    assert faults("north-1=north-22") == {"north-2": f"kubectl has no context north-2; {NAME_ONE}"}


@pytest.mark.parametrize("pair", ["north-1", "north-1=", "nowhere=x"])
def test_what_is_no_pair_of_cluster_and_value_is_refused(
    pair: str, contexts: dict[str, str]
) -> None:
    with pytest.raises(InputError, match=r"write CLUSTER=VALUE|no such cluster"):
        commands.main(["status", "--context", pair])


def test_kubectls_contexts_are_read_with_their_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubectl writes null for an empty list, and a context need not name a cluster that exists."""
    for config, expected in (
        ('{"clusters": null, "contexts": null}', {}),
        (
            (
                '{"clusters": [{"name": "c", "cluster": {"server": "https://c"}}], "contexts": '
                '[{"name": "x", "context": {"cluster": "c"}}, {"name": "y", "context": {}}]}'
            ),
            {"x": "https://c", "y": ""},
        ),
    ):
        monkeypatch.setattr(kubectl, "_output", lambda *arguments, config=config: config)
        assert kubectl.contexts() == expected


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch, contexts: dict[str, str]) -> dict[str, MemoryCluster]:
    """The hub's API server is dead, north-2 has no context, and north-1 has moved."""
    missing = NoContextError("north-2", f"kubectl has no context north-2; {NAME_ONE}")
    clusters = {name: MemoryCluster(name) for name in ("hub", "north-1", "north-2")}
    clusters["hub"].down = True
    clusters["north-2"].fault = missing
    clusters["north-1"].put(service("192.0.2.22"))
    fleet, _ = FleetOptions(Path("clusters.yaml"), ()).connect()
    monkeypatch.setattr(FleetOptions, "connect", lambda options: (fleet, clusters))
    return clusters


def service(address: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "traefik", "namespace": "traefik"},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
    }


def test_addresses_reports_the_clusters_that_answer(
    three: dict[str, MemoryCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as caught:
        commands.main(["addresses"])
    hub, north_2 = caught.value.problems
    assert hub.startswith("hub: The connection to the server 192.0.2.100:6443 was refused; check")
    assert north_2 == f"north-2: kubectl has no context north-2; {NAME_ONE}"
    assert capsys.readouterr().out.splitlines() == [
        "hub      192.0.2.1   not known, see below",
        "north-1  192.0.2.2 → 192.0.2.22",
        "north-2  192.0.2.3   not known, see below",
        "--write changes clusters.yaml",
    ]


def test_addresses_writes_what_is_known(three: dict[str, MemoryCluster]) -> None:
    with pytest.raises(InputError, match="north-2: kubectl has no context"):
        commands.main(["addresses", "--write"])
    assert "address: 192.0.2.22," in Path("clusters.yaml").read_text()


def test_addresses_needs_a_dist_for_the_clusters_that_have_none(
    three: dict[str, MemoryCluster],
) -> None:
    three["north-1"].remove("service", "traefik", "traefik")
    with pytest.raises(InputError) as caught:
        commands.main(["addresses", "--create"])
    assert caught.value.problems[1:3] == (
        "dist/north-1/traefik/Namespace.traefik.yaml: does not exist; run `python main.py`",
        "dist/north-1/traefik/Service.traefik.yaml: does not exist; run `python main.py`",
    )
