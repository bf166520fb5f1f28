"""What the commands rely on of a cluster, for the one in memory and, by kubectl, for a real one.

``LIVE_CLUSTER`` is the kubectl context of the real one, by default ``us-east``.
"""

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from operations import waiting
from operations.cluster import (
    Cluster,
    ClusterError,
    ConflictError,
    ForbiddenError,
    ImmutableError,
    InvalidError,
    Manifest,
    NotFoundError,
    UnauthorizedError,
    UnknownKindError,
    UnreachableError,
)
from operations.kubectl import Kubectl
from tests.memory import MemoryCluster


@dataclass(frozen=True)
class Ways:
    """Ways to one cluster, and a namespace of it that nobody else uses."""

    cluster: Cluster
    outsider: Cluster
    """Somebody without any rights."""
    stranger: Cluster
    """Somebody whom the API server does not know."""
    nowhere: Cluster
    """An API server that does not run."""
    namespace: str

    def manifest(self, kind: str, name: str, api: str = "v1", **content: Any) -> Manifest:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}

    def secret(self, name: str, **data: str) -> Manifest:
        return self.manifest("Secret", name, type="Opaque", data=data)

    def get(self, kind: str, name: str) -> Manifest:
        found = self.cluster.get(kind, name, self.namespace)
        assert found is not None, (kind, name)
        return found


def in_memory(monkeypatch: pytest.MonkeyPatch) -> Ways:
    cluster = MemoryCluster("one")
    monkeypatch.setattr(waiting, "time", cluster.clock)
    return Ways(
        cluster,
        outsider=cluster.by(denied=frozenset({("*", "*")})),
        stranger=cluster.by(signed_in=False),
        nowhere=cluster.by(down=True),
        namespace=f"contract-{uuid.uuid4().hex[:8]}",
    )


def by_kubectl(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Ways:
    context = os.environ.get("LIVE_CLUSTER", "us-east")
    shown = subprocess.run(
        ["kubectl", "config", "view", "--raw", "--minify", f"--context={context}", "-ojson"],
        check=True,
        capture_output=True,
        text=True,
    )
    config = json.loads(shown.stdout)
    (server,), (user,) = config["clusters"], config["users"]
    config["clusters"] = [
        {**server, "name": "one"},
        {**server, "name": "dead", "cluster": {"server": "https://127.0.0.1:1"}},
    ]
    config["users"] = [
        {**user, "name": "admin"},
        {"name": "outsider", "user": {**user["user"], "as": "somebody"}},
        {"name": "stranger", "user": {"token": "nonsense"}},
    ]
    ways = {
        "cluster": ("one", "admin"),
        "outsider": ("one", "outsider"),
        "stranger": ("one", "stranger"),
        "nowhere": ("dead", "admin"),
    }
    config["contexts"] = [
        {"name": name, "context": {"cluster": cluster, "user": user}}
        for name, (cluster, user) in ways.items()
    ]
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return Ways(
        **{name: Kubectl("one", name) for name in ways},
        namespace=f"contract-{uuid.uuid4().hex[:8]}",
    )


@pytest.fixture(params=["memory", pytest.param("kubectl", marks=pytest.mark.live)])
def ways(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Ways]:
    kind = request.param
    ways = in_memory(monkeypatch) if kind == "memory" else by_kubectl(monkeypatch, tmp_path)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ways.namespace}}
    ways.cluster.apply([namespace])
    yield ways
    ways.cluster.delete([namespace])


CALLS: dict[str, Callable[[Ways, Cluster], object]] = {
    "check_ready": lambda ways, cluster: cluster.check_ready(),
    "version": lambda ways, cluster: cluster.version(),
    "api_versions": lambda ways, cluster: cluster.api_versions(),
    "allows": lambda ways, cluster: cluster.allows("*", "*"),
    "get": lambda ways, cluster: cluster.get("secret", "a", ways.namespace),
    "list_objects": lambda ways, cluster: cluster.list_objects("secret"),
    "list_names": lambda ways, cluster: cluster.list_names("secret"),
    "read": lambda ways, cluster: cluster.read([ways.secret("a")]),
    "preview": lambda ways, cluster: cluster.preview([ways.secret("a")]),
    "apply": lambda ways, cluster: cluster.apply([ways.secret("a")]),
    "delete": lambda ways, cluster: cluster.delete([ways.secret("a")]),
    "restart": lambda ways, cluster: cluster.restart("a", ways.namespace),
}
OPEN_TO_ALL = ("check_ready", "version", "api_versions", "allows")
"""Answered to everybody whom the API server knows."""


@pytest.mark.parametrize("call", CALLS)
def test_an_api_server_that_does_not_run_is_unreachable(ways: Ways, call: str) -> None:
    with pytest.raises(UnreachableError):
        CALLS[call](ways, ways.nowhere)


@pytest.mark.parametrize("call", [call for call in CALLS if call not in ("check_ready", "version")])
def test_somebody_unknown_is_not_let_in(ways: Ways, call: str) -> None:
    with pytest.raises(UnauthorizedError):
        CALLS[call](ways, ways.stranger)


@pytest.mark.parametrize("call", [call for call in CALLS if call not in OPEN_TO_ALL])
def test_somebody_without_rights_is_refused_with_the_name_of_what_they_asked_for(
    ways: Ways, call: str
) -> None:
    with pytest.raises(ForbiddenError, match=r"secrets|deployments"):
        CALLS[call](ways, ways.outsider)


def test_rights_are_known(ways: Ways) -> None:
    assert ways.cluster.allows("*", "*")
    assert not ways.outsider.allows("*", "*")
    assert not ways.outsider.allows("get", "secrets")


def test_a_fault_that_is_known_is_raised_at_once(ways: Ways) -> None:
    fault = UnreachableError("one", "why")
    failing = ways.cluster.failing(fault)
    assert failing.fault is fault
    for call in CALLS.values():
        with pytest.raises(UnreachableError) as caught:
            call(ways, failing)
        assert caught.value is fault


def test_it_says_what_it_is(ways: Ways) -> None:
    ways.cluster.check_ready()
    assert ways.cluster.version() >= (1, 33)
    assert ways.cluster.server().startswith("https://")
    assert {"v1", "apps/v1"} <= ways.cluster.api_versions()


def test_what_does_not_exist_is_none(ways: Ways) -> None:
    """Be it that the object, its namespace or its kind is missing."""
    assert ways.cluster.get("secret", "none", ways.namespace) is None
    assert ways.cluster.get("secret", "none", "no-such-namespace") is None
    assert ways.cluster.get("things.example.org", "none", ways.namespace) is None
    assert list(ways.cluster.list_objects("things.example.org")) == []
    assert list(ways.cluster.list_objects("secret", "no-such-namespace")) == []
    assert list(ways.cluster.read([ways.secret("none")])) == []


def test_nothing_to_do_is_done_without_a_call(ways: Ways) -> None:
    ways.nowhere.apply([])
    ways.nowhere.delete([])
    assert list(ways.nowhere.read([])) == []
    assert list(ways.nowhere.preview([])) == []


def test_what_is_applied_is_there(ways: Ways) -> None:
    ways.cluster.apply([ways.secret("a", x="MQ=="), ways.secret("b")])
    found = ways.get("secret", "a")
    assert found["data"] == {"x": "MQ=="}
    assert found["metadata"]["uid"]
    names = [
        each["metadata"]["name"] for each in ways.cluster.list_objects("secret", ways.namespace)
    ]
    assert names == ["a", "b"]
    assert {"a", "b"} <= ways.cluster.list_names("secrets")
    both = [ways.secret("b"), ways.secret("none"), ways.secret("a")]
    read = ways.cluster.read(both)
    assert [each["metadata"]["name"] for each in read] == ["b", "a"]


def test_a_field_that_is_no_longer_applied_goes(ways: Ways) -> None:
    ways.cluster.apply([ways.secret("a", x="MQ==", y="Mg==")])
    ways.cluster.apply([ways.secret("a", x="Mw==")])
    assert ways.get("secret", "a")["data"] == {"x": "Mw=="}


def test_what_is_applied_again_stays_as_it_is(ways: Ways) -> None:
    ways.cluster.apply([ways.secret("a", x="MQ==")])
    before = ways.get("secret", "a")
    ways.cluster.apply([ways.secret("a", x="MQ==")])
    assert ways.get("secret", "a") == before


def test_a_preview_says_what_would_be_and_changes_nothing(ways: Ways) -> None:
    ways.cluster.apply([ways.secret("a", x="MQ==")])
    before = ways.get("secret", "a")
    new, same, changed = ways.cluster.preview(
        [ways.secret("new"), ways.secret("a", x="MQ=="), ways.secret("a", x="Mg==")]
    )
    assert new["metadata"]["name"] == "new"
    assert same == next(iter(ways.cluster.read([ways.secret("a")])))
    assert changed["data"] == {"x": "Mg=="}
    assert ways.get("secret", "a") == before
    assert ways.cluster.get("secret", "new", ways.namespace) is None


def test_when_data_were_written_is_known(ways: Ways) -> None:
    ways.cluster.apply([ways.secret("a", x="MQ==")])
    (entry,) = ways.get("secret", "a")["metadata"]["managedFields"]
    assert entry["manager"] == "argocd-controller"
    assert entry["time"] >= ways.get("secret", "a")["metadata"]["creationTimestamp"]
    assert "f:data" in entry["fieldsV1"]


def test_one_that_is_refused_does_not_keep_the_others(ways: Ways) -> None:
    bad = ways.manifest("Secret", "Bad_Name", type="Opaque")
    with pytest.raises(InvalidError, match="Bad_Name") as caught:
        ways.cluster.apply([bad, ways.secret("good")])
    assert len(caught.value.problems) == 1
    assert ways.get("secret", "good")


def test_each_that_is_refused_is_reported(ways: Ways) -> None:
    with pytest.raises(ForbiddenError) as caught:
        ways.outsider.apply([ways.secret("a"), ways.secret("b")])
    first, second = caught.value.problems
    assert 'secrets "a" is forbidden: User "somebody" cannot patch' in first
    assert 'secrets "b" is forbidden' in second


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"type": "kubernetes.io/basic-auth", "data": {}}, InvalidError),
        ({"type": "Opaque", "data": {"x": "!"}}, InvalidError),
        ({"type": "Opaque", "dat": {}}, InvalidError),
    ],
    ids=["missing", "not encoded", "unknown field"],
)
def test_an_object_that_is_not_valid_is_refused_by_name(
    ways: Ways, content: dict[str, Any], error: type[ClusterError]
) -> None:
    with pytest.raises(error, match="wrong"):
        ways.cluster.apply([ways.manifest("Secret", "wrong", **content)])


def test_a_field_that_cannot_change_is_refused(ways: Ways) -> None:
    ways.cluster.apply([ways.secret("a")])
    basic = ways.manifest("Secret", "a", type="kubernetes.io/basic-auth", data={"username": "eA=="})
    with pytest.raises(ImmutableError, match='"a"'):
        ways.cluster.apply([basic])


def test_what_somebody_else_has_changed_is_a_conflict(ways: Ways) -> None:
    ways.cluster.apply([ways.secret("a")])
    stale = ways.secret("a", x="MQ==")
    stale = {**stale, "metadata": {**stale["metadata"], "resourceVersion": "1"}}
    with pytest.raises(ConflictError, match='"a"'):
        ways.cluster.apply([stale])


def test_a_namespace_that_does_not_exist_is_reported(ways: Ways) -> None:
    stray = {**ways.secret("a"), "metadata": {"name": "a", "namespace": "no-such-namespace"}}
    with pytest.raises(NotFoundError, match="no-such-namespace"):
        ways.cluster.apply([stray])


def test_a_kind_that_nothing_defines_is_reported_with_the_object(ways: Ways) -> None:
    stray = ways.manifest("Thing", "a", "none.example.org/v1")
    for call in (
        ways.cluster.apply,
        ways.cluster.preview,
        ways.cluster.read,
        ways.cluster.delete,
    ):
        with pytest.raises(UnknownKindError, match=r"Thing .*/a.*none\.example\.org/v1"):
            call([stray])
    with pytest.raises(UnknownKindError):
        ways.cluster.list_names("things.none.example.org")


def test_what_is_deleted_is_gone_when_the_call_returns(ways: Ways) -> None:
    """And what does not exist is no problem."""
    ways.cluster.apply([ways.secret("a")])
    ways.cluster.delete([ways.secret("a"), ways.secret("none")])
    assert ways.cluster.get("secret", "a", ways.namespace) is None


def test_a_kind_is_served_once_its_definition_is_established(ways: Ways) -> None:
    group = f"{ways.namespace}.example.org"
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }

    def established() -> bool:
        (found,) = ways.cluster.read([definition])
        conditions = found.get("status", {}).get("conditions") or ()
        return any(
            (condition["type"], condition["status"]) == ("Established", "True")
            for condition in conditions
        )

    ways.cluster.apply([definition])
    try:
        assert waiting.until(established, seconds=30, interval=0.5)
        assert f"things.{group}" in ways.cluster.list_names("customresourcedefinitions")
        assert f"{group}/v1" in ways.cluster.api_versions()
        ways.cluster.apply([ways.manifest("Thing", "a", f"{group}/v1")])
        found = ways.get(f"Thing.{group}", "a")
        assert found["kind"] == "Thing"
        assert len(ways.cluster.list_objects(f"things.{group}")) == 1
    finally:
        ways.cluster.delete([definition])


def test_a_token_says_who_the_account_is(ways: Ways) -> None:
    """A new account has another one, and its Secret goes with it; a new Secret has the same."""
    account = ways.manifest("ServiceAccount", "robot")
    secret = ways.manifest("Secret", "robot-token", type="kubernetes.io/service-account-token")
    annotations = {"kubernetes.io/service-account.name": "robot"}
    secret = {**secret, "metadata": {**secret["metadata"], "annotations": annotations}}

    def token() -> str | None:
        found = ways.cluster.get("secret", "robot-token", ways.namespace) or {}
        data = found.get("data") or {}
        assert "token" not in data or "ca.crt" in data
        return data.get("token")

    def issued() -> str:
        found = waiting.until(token, seconds=30, interval=0.3)
        assert found is not None
        return found

    ways.cluster.apply([account])
    ways.cluster.apply([secret])
    first = issued()
    ways.cluster.delete([secret])
    ways.cluster.apply([secret])
    assert issued() == first
    ways.cluster.delete([account])
    gone = waiting.until(
        lambda: ways.cluster.get("secret", "robot-token", ways.namespace) is None,
        seconds=30,
        interval=0.3,
    )
    assert gone
    ways.cluster.apply([account])
    ways.cluster.apply([secret])
    assert issued() != first


def test_a_restart_marks_the_pods_and_wants_a_deployment(ways: Ways) -> None:
    labels = {"app": "a"}
    container = {"name": "a", "image": "registry.invalid/none:1"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    ways.cluster.apply([ways.manifest("Deployment", "a", "apps/v1", spec=spec)])
    ways.cluster.restart("a", ways.namespace)
    template = ways.get("deployment", "a")["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    with pytest.raises(NotFoundError, match=r'deployments\.apps "none" not found'):
        ways.cluster.restart("none", ways.namespace)


def test_a_port_of_nothing_cannot_be_forwarded(ways: Ways) -> None:
    with (
        pytest.raises(NotFoundError, match='services "none" not found'),
        ways.cluster.forwarded(ways.namespace, "service/none", 80),
    ):
        pass
