"""Why an Application is not healthy: what its objects and their pods say of themselves.

Argo CD keeps the health of single objects out of an Application's status (from version 3 on), so
they are asked where they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from fleet.errors import InputError
from operations.kubectl import Kubectl, Manifest

TELLING: Final = (
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
"""Kinds that Argo CD judges the health of, of those in dist."""

WORKLOADS: Final = ("DaemonSet", "Deployment", "StatefulSet")

GOOD: Final = ("Available", "Issuing", "Progressing", "Ready", "Reconciled")
"""Conditions that are to be true where there are any. Issuing is false once an attempt failed."""


def diagnose(kubectl: Kubectl, application: Manifest) -> list[str]:
    """What stands in the way, a line each; empty if nothing says so."""
    resources = application.get("status", {}).get("resources") or []
    try:
        return list(dict.fromkeys(_of_objects(kubectl, resources)))
    except InputError as error:
        return list(error.problems)


def of_workload(kubectl: Kubectl, found: Manifest) -> list[str]:
    """What a workload and its pods say."""
    metadata = found["metadata"]
    told = list(_of_conditions(found))
    for pod in kubectl.every("pods", namespace=metadata["namespace"]):
        if pod["metadata"]["name"].startswith(f"{metadata['name']}-"):
            told += _of_pod(pod)
    return told


def _of_objects(kubectl: Kubectl, resources: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for each in resources:
        if each["kind"] not in TELLING:
            continue
        kind = f"{each['kind']}.{each['group']}" if each.get("group") else each["kind"]
        found = kubectl.get(kind, each["name"], each.get("namespace"))
        where = f"{each['kind']} {each['name']}"
        if found is None:
            yield f"{where} is not there"
        elif told := list(_of_conditions(found)):
            if each["kind"] in WORKLOADS:
                told = of_workload(kubectl, found)
            elif each["kind"] == "Certificate":
                told += _of_issuance(kubectl, found)
            yield from (f"{where}: {line}" for line in told)


def _of_issuance(kubectl: Kubectl, certificate: Manifest) -> Iterator[str]:
    """How far the attempt to issue a certificate has come, by its orders and their challenges."""
    name, namespace = certificate["metadata"]["name"], certificate["metadata"]["namespace"]
    for kind in ("orders", "challenges"):
        for each in kubectl.every(f"{kind}.acme.cert-manager.io", namespace=namespace):
            status = each.get("status", {})
            state, why = status.get("state", "pending"), status.get("reason")
            if each["metadata"]["name"].startswith(f"{name}-") and state != "valid":
                yield f"{each['kind']} is {state}" + (f": {why}" if why else "")


def _of_conditions(found: Manifest) -> Iterator[str]:
    status = found.get("status", {})
    for each in status.get("conditions") or ():
        if each["type"] in GOOD and each["status"] == "False":
            yield each.get("message") or each.get("reason") or f"is not {each['type']}"
    if found["kind"] in WORKLOADS:
        wanted = found.get("spec", {}).get("replicas", status.get("desiredNumberScheduled", 0))
        ready = status.get("readyReplicas", status.get("numberReady", 0))
        new = status.get("updatedReplicas", status.get("updatedNumberScheduled", 0))
        if ready < wanted:
            yield f"{ready} of {wanted} pods are ready"
        if new < wanted or ready > wanted or status.get("unavailableReplicas"):
            yield f"a rollout is under way, {new} of {wanted} pods are new"
    if found["kind"] == "PersistentVolumeClaim" and status.get("phase") != "Bound":
        yield f"is {status.get('phase')}"


def _of_pod(pod: Manifest) -> Iterator[str]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for each in status.get("conditions") or ():
        if (each["type"], each["status"]) == ("PodScheduled", "False"):
            yield f"Pod {name}: {each.get('message')}"
    containers = (
        *status.get("initContainerStatuses", ()),
        *status.get("containerStatuses", ()),
    )
    for each in containers:
        waiting = each.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") != "PodInitializing":
            detail = waiting.get("message")
            yield f"Pod {name}: {waiting['reason']}" + (f": {detail}" if detail else "")
