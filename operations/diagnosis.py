"""Why an Application is not healthy: what its objects and their pods report of themselves.

Argo CD keeps the health of single objects out of an Application's status (from version 3 on), so
the cluster with the objects is asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from fleet.errors import InputError
from operations.cluster import Cluster, Manifest

JUDGED: Final = (
    "Alertmanager",
    "APIService",
    "Certificate",
    "ClusterIssuer",
    "DaemonSet",
    "Deployment",
    "PersistentVolumeClaim",
    "Prometheus",
    "PrometheusAgent",
    "StatefulSet",
)
"""The kinds in dist whose health Argo CD judges."""

WORKLOADS: Final = ("DaemonSet", "Deployment", "StatefulSet")

GOOD: Final = ("Available", "Issuing", "Progressing", "Ready", "Reconciled")
"""Conditions that should be true where they exist. Issuing is false once an attempt failed."""


def diagnose(cluster: Cluster, application: Manifest) -> list[str]:
    """The reasons why the Application is not ready, one sentence each; empty if none is known."""
    resources = application.get("status", {}).get("resources") or []
    try:
        return list(dict.fromkeys(_of_objects(cluster, resources)))
    except InputError as error:
        return list(error.problems)


def of_workload(cluster: Cluster, workload: Manifest) -> list[str]:
    """What a workload and its pods report."""
    metadata = workload["metadata"]
    reasons = list(_of_conditions(workload))
    for pod in cluster.list_objects("pods", metadata["namespace"]):
        if pod["metadata"]["name"].startswith(f"{metadata['name']}-"):
            reasons += _of_pod(pod)
    return reasons


def _of_objects(cluster: Cluster, resources: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for resource in resources:
        kind, name = resource["kind"], resource["name"]
        if kind not in JUDGED:
            continue
        qualified = f"{kind}.{resource['group']}" if resource.get("group") else kind
        manifest = cluster.get(qualified, name, resource.get("namespace"))
        if manifest is None:
            yield f"{kind} {name} does not exist"
        elif reasons := list(_of_conditions(manifest)):
            if kind in WORKLOADS:
                reasons = of_workload(cluster, manifest)
            elif kind == "Certificate":
                reasons += _of_issuance(cluster, manifest)
            yield from (f"{kind} {name}: {reason}" for reason in reasons)


def _of_issuance(cluster: Cluster, certificate: Manifest) -> Iterator[str]:
    """How far the attempt to issue a certificate has come, by its orders and their challenges."""
    name, namespace = certificate["metadata"]["name"], certificate["metadata"]["namespace"]
    for kind in ("orders", "challenges"):
        for attempt in cluster.list_objects(f"{kind}.acme.cert-manager.io", namespace):
            status = attempt.get("status", {})
            state, why = status.get("state", "pending"), status.get("reason")
            if attempt["metadata"]["name"].startswith(f"{name}-") and state != "valid":
                yield f"{attempt['kind']} is {state}" + (f": {why}" if why else "")


def _of_conditions(manifest: Manifest) -> Iterator[str]:
    status = manifest.get("status", {})
    for condition in status.get("conditions") or ():
        if condition["type"] in GOOD and condition["status"] == "False":
            yield (
                condition.get("message") or condition.get("reason") or f"is not {condition['type']}"
            )
    if manifest["kind"] in WORKLOADS:
        wanted = manifest.get("spec", {}).get("replicas", status.get("desiredNumberScheduled", 0))
        ready = status.get("readyReplicas", status.get("numberReady", 0))
        new = status.get("updatedReplicas", status.get("updatedNumberScheduled", 0))
        if ready < wanted:
            yield f"{ready} of {wanted} pods are ready"
        if new < wanted or ready > wanted or status.get("unavailableReplicas"):
            yield f"a rollout is under way, {new} of {wanted} pods are new"
    if manifest["kind"] == "PersistentVolumeClaim" and status.get("phase") != "Bound":
        yield f"is {status.get('phase')}"


def _of_pod(pod: Manifest) -> Iterator[str]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions") or ():
        if (condition["type"], condition["status"]) == ("PodScheduled", "False"):
            yield f"Pod {name}: {condition.get('message')}"
    containers = (
        *status.get("initContainerStatuses", ()),
        *status.get("containerStatuses", ()),
    )
    for container in containers:
        blocked = container.get("state", {}).get("waiting")
        if blocked and blocked.get("reason") != "PodInitializing":
            detail = blocked.get("message")
            yield f"Pod {name}: {blocked['reason']}" + (f": {detail}" if detail else "")
