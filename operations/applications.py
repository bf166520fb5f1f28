"""Argo CD's Applications: how each stands, and why one does not come about."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from charts.applications import ARGOCD
from fleet.registry import Fleet
from operations.diagnosis import diagnose
from operations.kubectl import Kubectl, Manifest


@dataclass(frozen=True)
class Application:
    """What Argo CD says of one folder of dist."""

    name: str
    cluster: str
    sync: str
    health: str
    why: str
    """What is in the way, or nothing."""

    @property
    def settled(self) -> bool:
        return (self.sync, self.health) == ("Synced", "Healthy")


def expected(fleet: Fleet) -> dict[str, str]:
    """The Applications that the fleet is to have, and the cluster of each."""
    return {
        f"{cluster.name}-{component}": cluster.name
        for cluster in fleet.clusters
        for component in cluster.components
    }


def read(fleet: Fleet, hub: Kubectl) -> list[Application]:
    """How each Application stands that the fleet is to have."""
    found = {
        each["metadata"]["name"]: each
        for each in hub.every("applications.argoproj.io", namespace=ARGOCD)
    }
    return [
        _application(name, cluster, found.get(name)) for name, cluster in expected(fleet).items()
    ]


def explained(application: Application, clusters: Mapping[str, Kubectl], hub: str) -> Application:
    """The same, with what its objects say where Argo CD itself gives no reason."""
    if application.settled or application.why:
        return application
    kind = "applications.argoproj.io"
    found = clusters[hub].get(kind, application.name, ARGOCD) or {}
    told = diagnose(clusters[application.cluster], found)
    return replace(application, why="; ".join(told) or "nothing says why")


def _application(name: str, cluster: str, found: Manifest | None) -> Application:
    if found is None:
        return Application(name, cluster, "Missing", "Missing", "Argo CD has not made it yet")
    status = found.get("status", {})
    sync = status.get("sync", {}).get("status", "Unknown")
    health = status.get("health", {}).get("status", "Unknown")
    settled = (sync, health) == ("Synced", "Healthy")
    why = "" if settled else "; ".join(dict.fromkeys(_reasons(status)))
    return Application(name, cluster, sync, health, why)


def _reasons(status: Mapping[str, object]) -> Iterator[str]:
    """From what Argo CD could not even read, to what an object says of itself."""
    conditions = status.get("conditions")
    for each in conditions if isinstance(conditions, list) else ():
        if str(each.get("type", "")).endswith("Error"):
            yield str(each.get("message", each["type"]))
    operation = status.get("operationState")
    if isinstance(operation, dict) and operation.get("phase") not in ("Succeeded", None):
        yield str(operation.get("message", operation["phase"]))
    resources = status.get("resources")
    for each in resources if isinstance(resources, list) else ():
        health = each.get("health", {})
        if health.get("status") in ("Degraded", "Progressing", "Missing", "Suspended"):
            told = health.get("message") or health["status"]
            yield f"{each['kind']} {each.get('namespace', '')}/{each['name']}: {told}"
        elif each.get("status") == "OutOfSync" and not each.get("requiresPruning"):
            yield f"{each['kind']} {each.get('namespace', '')}/{each['name']}: is not as in Git"
