"""Why an Application is not synced and healthy, as Argo CD and Kubernetes report it."""

from typing import Any

import pytest

from operations import applications, diagnosis
from operations.applications import Application
from operations.cluster import UnreachableError
from tests.memory import MemoryCluster


def application(status: dict[str, Any]) -> Application:
    return applications._application("us-east-x", "us-east", {"status": status})


def test_an_application_that_does_not_exist_says_so() -> None:
    assert applications._application("a", "b", None).why == "Argo CD has not made it yet"


def test_the_reason_is_argo_cds_own_where_it_has_one() -> None:
    found = application(
        {
            "sync": {"status": "Unknown"},
            "health": {"status": "Healthy"},
            "conditions": [{"type": "ComparisonError", "message": "no such path"}],
            "operationState": {"phase": "Failed", "message": "one object is not valid"},
        }
    )
    assert not found.settled
    assert found.why == "no such path; one object is not valid"
    settled = application({"sync": {"status": "Synced"}, "health": {"status": "Healthy"}})
    assert settled.settled
    assert settled.why == ""


def test_a_pod_that_cannot_start_says_why() -> None:
    pod = {
        "metadata": {"name": "x-1"},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "False", "message": "no node"}],
            "containerStatuses": [
                {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}},
                {"state": {"running": {}}},
            ],
        },
    }
    assert list(diagnosis._of_pod(pod)) == [
        "Pod x-1: no node",
        "Pod x-1: ImagePullBackOff: not found",
    ]


def test_conditions_that_are_false_are_reasons() -> None:
    issuing = {"type": "Issuing", "status": "True", "message": "issuing"}
    ready = {"type": "Ready", "status": "False", "message": "rate limited"}
    found = {"kind": "Certificate", "status": {"conditions": [ready, issuing]}}
    assert list(diagnosis._of_conditions(found)) == ["rate limited"]
    issuing |= {"status": "False", "message": "will be retried"}
    assert list(diagnosis._of_conditions(found)) == ["rate limited", "will be retried"]
    claim = {"kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}
    assert list(diagnosis._of_conditions(claim)) == ["is Pending"]


ORDER = {"apiVersion": "acme.cert-manager.io/v1", "kind": "Order"}
CHALLENGE = {"apiVersion": "acme.cert-manager.io/v1", "kind": "Challenge"}


def defined(plural: str, kind: str, group: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1"}],
        },
    }


@pytest.fixture
def cluster() -> MemoryCluster:
    """A region with cert-manager's kinds."""
    cluster = MemoryCluster("us-east")
    for plural, kind, group in (
        ("orders", "Order", "acme.cert-manager.io"),
        ("challenges", "Challenge", "acme.cert-manager.io"),
        ("certificates", "Certificate", "cert-manager.io"),
    ):
        cluster.put(defined(plural, kind, group))
    cluster.clock.sleep(10)
    return cluster


def put(cluster: MemoryCluster, kind: dict[str, str], name: str, **content: Any) -> None:
    cluster.put({**kind, "metadata": {"name": name, "namespace": "a"}, **content})


def resource(kind: str, name: str, group: str = "") -> dict[str, Any]:
    return {"kind": kind, "name": name, "namespace": "a", "group": group}


def diagnosed(cluster: MemoryCluster, *resources: dict[str, Any]) -> list[str]:
    return diagnosis.diagnose(cluster, {"status": {"resources": list(resources)}})


def test_a_certificate_reports_how_far_it_is(cluster: MemoryCluster) -> None:
    """And nothing of another whose name is longer, nor of what is done."""
    reason = "404 in place of 200"
    put(cluster, ORDER, "app-1-2", status={"state": "processing"})
    put(cluster, ORDER, "other-1-2", status={"state": "invalid"})
    put(cluster, CHALLENGE, "app-1-2-3", status={"state": "pending", "reason": reason})
    put(cluster, CHALLENGE, "app-1-4-5")
    put(cluster, CHALLENGE, "app-1-4-6", status={"state": "valid"})
    certificate = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate"}
    condition = {"type": "Ready", "status": "False", "message": "Issuing"}
    put(cluster, certificate, "app", status={"conditions": [condition]})
    assert diagnosed(cluster, resource("Certificate", "app", "cert-manager.io")) == [
        "Certificate app: Issuing",
        "Certificate app: Order is processing",
        "Certificate app: Challenge is pending: 404 in place of 200",
        "Certificate app: Challenge is pending",
    ]


def test_a_workload_reports_its_pods(cluster: MemoryCluster) -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment"}
    put(cluster, deployment, "app", spec={"replicas": 2})
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    pod = {"apiVersion": "v1", "kind": "Pod"}
    put(cluster, pod, "app-1", status={"containerStatuses": [{"state": waiting}]})
    put(cluster, pod, "other-1", status={"containerStatuses": [{"state": waiting}]})
    assert diagnosed(cluster, resource("Deployment", "app", "apps")) == [
        "Deployment app: 0 of 2 pods are ready",
        "Deployment app: a rollout is under way, 0 of 2 pods are new",
        "Deployment app: Pod app-1: ImagePullBackOff: no such image",
    ]


def test_what_does_not_exist_is_reported(cluster: MemoryCluster) -> None:
    """But kinds whose health nobody judges are not asked for."""
    resources = (resource("StatefulSet", "app", "apps"), resource("ConfigMap", "app"))
    assert diagnosed(cluster, *resources) == ["StatefulSet app does not exist"]


def test_a_cluster_that_does_not_answer_is_the_reason(cluster: MemoryCluster) -> None:
    (reason,) = diagnosed(cluster.by(down=True), resource("Deployment", "app", "apps"))
    assert reason.startswith("us-east: The connection to the server")


def test_what_argo_cd_explains_is_not_asked_for_again(cluster: MemoryCluster) -> None:
    clusters = {"us-east": cluster.failing(UnreachableError("us-east", "down"))}
    for known in (
        Application("us-east-x", "us-east", "Synced", "Healthy", ""),
        Application("us-east-x", "us-east", "OutOfSync", "Healthy", "a reason"),
    ):
        assert applications.explained(known, clusters, "us-east") is known


def test_an_application_that_nothing_explains_says_so(cluster: MemoryCluster) -> None:
    unexplained = Application("us-east-x", "us-east", "Synced", "Degraded", "")
    explained = applications.explained(unexplained, {"us-east": cluster}, "us-east")
    assert explained.why == "nothing says why"


def test_objects_that_are_not_as_in_git_are_reasons() -> None:
    found = application(
        {
            "sync": {"status": "OutOfSync"},
            "health": {"status": "Degraded"},
            "resources": [
                {"kind": "Service", "namespace": "a", "name": "x", "status": "OutOfSync"},
                {"kind": "Job", "name": "y", "health": {"status": "Degraded", "message": "why"}},
                {"kind": "Job", "name": "z", "status": "OutOfSync", "requiresPruning": True},
            ],
        }
    )
    assert found.why == "Service a/x: is not as in Git; Job /y: why"
