"""Objects of dist as bootstrap applies them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from fleet.registry import Fleet
from operations import manifests, steps, waiting
from operations.cluster import InvalidError, Manifest, UnknownKindError, WebhookUnavailableError
from operations.credentials import Answers
from operations.site import Site
from rendering.validation.objects import Object
from tests.memory import Clock, MemoryCluster


def test_definitions_come_from_the_components_that_bring_them(built: Sequence[Object]) -> None:
    components = {
        manifest.component for manifest in built if manifest.kind == "CustomResourceDefinition"
    }
    assert components == {*steps.DEFINING_COMPONENTS, "argocd"}


def test_traefik_may_watch_from_the_start(fleet: Fleet, rendered: Path) -> None:
    """Every namespace that it is configured to: a watch that is refused comes back late."""
    site = Site(fleet, {}, rendered, Answers({}), {})
    for cluster in fleet.names:
        (deployment,) = manifests.of_files(site.dist, cluster, "Deployment.traefik.yaml")
        (watched,) = {
            argument.partition("=")[2]
            for argument in deployment["spec"]["template"]["spec"]["containers"][0]["args"]
            if "namespaces=" in argument
        }
        granted = {grant["metadata"]["namespace"] for grant in steps.traefik_grants(site, cluster)}
        assert granted == set(watched.split(",")) - {"traefik"}


def test_every_fleet_has_steps(any_fleet: Fleet, any_dist: Path) -> None:
    """Also those without optional components."""
    clusters = {name: MemoryCluster(name) for name in any_fleet.names}
    site = Site(any_fleet, clusters, any_dist, Answers({}), {})
    assert {step.cluster for stage in steps.stages(site) for step in stage} == {*any_fleet.names}


def test_objects_are_marked_as_argo_cd_marks_them() -> None:
    """An object without a namespace is in that of the Application's destination."""

    def mark(kind: str, group: str, **metadata: str) -> object:
        manifest = {"apiVersion": f"{group}/v1".lstrip("/"), "kind": kind, "metadata": metadata}
        marked = manifests.marked("us-east", "traefik", manifest)
        return marked["metadata"].get("annotations", {}).get(manifests.TRACKED)

    rbac = "rbac.authorization.k8s.io"
    assert mark("ClusterRole", rbac, name="a") == f"us-east-traefik:{rbac}/ClusterRole:argocd/a"
    assert mark("Service", "", name="a", namespace="b") == "us-east-traefik:/Service:b/a"
    assert mark("CustomResourceDefinition", "apiextensions.k8s.io", name="a") is None


class Starting(MemoryCluster):
    """Refuses with ``error``, as often as ``times``."""

    times: int
    error: Exception

    def apply(self, objects: Sequence[Manifest]) -> None:
        if objects and self.times:
            self.times -= 1
            raise self.error


@pytest.mark.parametrize(
    "error",
    [WebhookUnavailableError("us-east", "no webhook"), UnknownKindError("us-east", "no kind")],
    ids=["webhook", "kind"],
)
@pytest.mark.parametrize(("times", "succeeds"), [(3, True), (1000, False)])
def test_objects_are_tried_until_webhooks_answer_and_kinds_are_served(
    error: Exception,
    times: int,
    succeeds: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """But not forever."""
    cluster = Starting("us-east")
    cluster.times, cluster.error = times, error
    monkeypatch.setattr(waiting, "time", cluster.clock)
    objects = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}]
    if succeeds:
        manifests.apply(cluster, objects)
        assert cluster.times == 0
    else:
        with pytest.raises(type(error)):
            manifests.apply(cluster, objects)
        assert cluster.clock.seconds <= manifests.START_SECONDS + 10


def test_a_mistake_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Starting("us-east")
    cluster.times, cluster.error = 5, InvalidError("us-east", "is invalid")
    monkeypatch.setattr(waiting, "time", cluster.clock)
    with pytest.raises(InvalidError):
        manifests.apply(cluster, [{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}}])
    assert cluster.times == 4
    assert cluster.clock.seconds == 0


def test_a_definition_that_is_not_served_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = MemoryCluster("us-east", clock=Clock())
    monkeypatch.setattr(waiting, "time", cluster.clock)
    monkeypatch.setattr("tests.memory.controllers.ESTABLISHING_SECONDS", 1e9)
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1"}],
        },
    }
    with pytest.raises(Exception, match=r"us-east: does not serve .* things\.example\.org after"):
        manifests.apply(cluster, [definition])
