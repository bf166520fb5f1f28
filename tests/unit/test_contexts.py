"""Which kubectl context leads to which cluster, and what commands report when one does not."""

import argparse
import json
from pathlib import Path

import pytest

import commands
from fleet.errors import InputError
from operations import addresses, contexts, status
from operations.kubectl import ClusterError, Kubectl
from operations.probes import Outside, ProbeError

REGISTRY = """\
git: {repository: https://git.example.org/fleet.git, revision: main}
acme: {email: ops@foobar-platform.dev}
clusters:
  - {name: hub, role: hub, address: 192.0.2.1}
  - {name: north-1, role: region, address: 192.0.2.2, hostname: north, image: r.example.org/a:1}
  - {name: north-2, role: region, address: 192.0.2.3, hostname: south, image: r.example.org/a:1}
"""
HUB, NORTH = "https://192.0.2.1:6443", "https://192.0.2.2:6443"


class Servers:
    """kubectl as the tests have it: its contexts, and how the API server of each answers."""

    def __init__(self) -> None:
        self.contexts: dict[str, str] = {"hub": HUB, "north-1": NORTH}
        self.answers: dict[str, dict[str, object]] = {}
        self.calls: list[str] = []

    def config(self, name: str, arguments: list[str], **_: object) -> str:
        assert (name, arguments) == ("kubectl", ["config", "view", "--output=json"])
        servers = sorted({*self.contexts.values()})
        return json.dumps(
            {
                "clusters": [{"name": url, "cluster": {"server": url}} for url in servers] or None,
                "contexts": [
                    {"name": context, "context": {"cluster": url, "user": "x"}}
                    for context, url in self.contexts.items()
                ]
                or None,
            }
        )

    def call(self, name: str, arguments: list[str], **_: object) -> str:
        self.calls.append(name)
        context = arguments[1]
        if context not in self.answers:
            raise ClusterError(f"{name}: connection refused")
        return json.dumps(self.answers[context])


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Servers:
    made = Servers()
    monkeypatch.setattr("operations.contexts.call", made.config)
    monkeypatch.setattr("operations.kubectl.call", made.call)
    (tmp_path / "clusters.yaml").write_text(REGISTRY)
    monkeypatch.chdir(tmp_path)
    return made


def service(*addresses: str) -> dict[str, object]:
    return {"status": {"loadBalancer": {"ingress": [{"ip": each} for each in addresses]}}}


def faults(*options: str) -> dict[str, str]:
    """What is wrong with the context of each cluster."""
    parser = argparse.ArgumentParser()
    contexts.add_fleet(parser)
    _, clusters = contexts.fleet_of(parser.parse_args(options))
    return {name: each.fault for name, each in clusters.items() if each.fault}


NAME_ONE = "name one with --context north-2=CONTEXT, or as `context` in clusters.yaml"


def test_a_context_that_is_missing_is_reported_with_a_remedy(servers: Servers) -> None:
    servers.contexts = {}
    assert faults().keys() == {"hub", "north-1", "north-2"}
    assert faults()["north-2"] == f"kubectl has no context north-2; {NAME_ONE}"


def test_the_context_of_another_cluster_is_never_proposed(servers: Servers) -> None:
    """Under whichever name: north-1's API server has a second context here."""
    servers.contexts["north-2-admin"] = NORTH
    assert faults() == {"north-2": f"kubectl has no context north-2; {NAME_ONE}"}
    servers.contexts["north-2b"] = "https://192.0.2.3:6443"
    (told,) = faults().values()
    assert told == f"kubectl has no context north-2 (did you mean north-2b?); {NAME_ONE}"


def test_the_context_that_an_option_gives_to_another_cluster_is_not_proposed(
    servers: Servers,
) -> None:
    servers.contexts = {"hub": HUB, "north-22": NORTH}
    assert faults("--context", "north-1=north-22") == {
        "north-2": f"kubectl has no context north-2; {NAME_ONE}"
    }


def test_addresses_reports_the_clusters_that_answer(
    servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    """One has no context, the hub's API server is dead; the third has moved."""
    servers.answers["north-1"] = service("192.0.2.22")
    with pytest.raises(InputError) as caught:
        commands.main(["addresses"])
    assert caught.value.problems == (
        "hub: connection refused",
        f"north-2: kubectl has no context north-2; {NAME_ONE}",
    )
    assert capsys.readouterr().out.splitlines() == [
        "hub      192.0.2.1   not known, see below",
        "north-1  192.0.2.2 → 192.0.2.22",
        "north-2  192.0.2.3   not known, see below",
        "--write changes clusters.yaml",
    ]


def test_addresses_writes_what_is_known(servers: Servers) -> None:
    servers.answers = {"hub": service("192.0.2.1"), "north-1": service("192.0.2.22")}
    with pytest.raises(InputError, match="north-2: kubectl has no context"):
        commands.main(["addresses", "--write"])
    assert "address: 192.0.2.22," in Path("clusters.yaml").read_text()


def test_addresses_wants_a_dist_for_the_clusters_that_have_none(
    servers: Servers, tmp_path: Path
) -> None:
    servers.answers["north-1"] = {}
    with pytest.raises(InputError) as caught:
        addresses._made(Kubectl("north-1", "north-1"), dist=Path("dist"))
    assert caught.value.problems == (
        "dist/north-1/traefik/Namespace.traefik.yaml: is not there; run `python main.py`",
        "dist/north-1/traefik/Service.traefik.yaml: is not there; run `python main.py`",
    )


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is reached from outside, nor by port-forward."""

    def refuse(self: Outside, host: str, *arguments: object) -> object:
        raise ProbeError(f"{host}: nobody is there")

    monkeypatch.setattr(Outside, "certificate", refuse)
    monkeypatch.setattr(Outside, "get", refuse)
    monkeypatch.setenv("PATH", "")


def test_status_reports_every_cluster(
    servers: Servers, offline: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each in a row of its own, with what is wrong; a dead API server is asked once."""
    servers.answers["north-1"] = {"items": []}
    assert commands.main(["status", "--json"]) == 1
    rows = {each["cluster"]: each for each in json.loads(capsys.readouterr().out)}
    assert {name: row["reachable"]["told"] for name, row in rows.items()} == {
        "hub": "no",
        "north-1": "yes",
        "north-2": "no",
    }
    assert rows["hub"]["reachable"]["why"] == "its API server does not answer: connection refused"
    assert rows["north-2"]["reachable"]["why"] == f"kubectl has no context north-2; {NAME_ONE}"
    assert servers.calls.count("hub") == 1
    assert "north-2" not in servers.calls


def test_status_has_the_hubs_word_on_a_region_that_is_dead(servers: Servers, offline: None) -> None:
    application = {
        "metadata": {"name": "north-1-traefik"},
        "status": {
            "sync": {"status": "Unknown"},
            "health": {"status": "Healthy"},
            "resources": [{"kind": "Deployment", "group": "apps", "name": "traefik"}],
        },
    }
    servers.answers["hub"] = {"items": [application], **application}
    parser = argparse.ArgumentParser()
    contexts.add_fleet(parser)
    fleet, clusters = contexts.fleet_of(parser.parse_args([]))
    hub, north, _ = status.look(fleet, clusters, Outside(lambda host: [], None))
    assert hub.reachable.good
    assert "north-1-traefik is Unknown and Healthy" in north.applications.why
    assert "north-1: its API server does not answer: connection refused" in north.applications.why
    assert servers.calls.count("north-1") == 1
