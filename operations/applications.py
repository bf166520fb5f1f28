"""Argo CD's Applications: the state of each, and why one is not synced and healthy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from charts.applications import ARGOCD
from fleet.registry import Fleet
from operations.cluster import Cluster, Manifest
from operations.diagnosis import diagnose

KIND: Final = "applications.argoproj.io"


@dataclass(frozen=True)
class Application:
    """What Argo CD reports of one folder of dist."""

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
    """The Applications that the fleet should have, and the cluster of each."""
    return {
        f"{cluster.name}-{component}": cluster.name
        for cluster in fleet.clusters
        for component in cluster.components
    }


def read(fleet: Fleet, hub: Cluster) -> list[Application]:
    """The state of each Application that the fleet should have."""
    manifests = {
        manifest["metadata"]["name"]: manifest for manifest in hub.list_objects(KIND, ARGOCD)
    }
    return [
        _application(name, cluster, manifests.get(name))
        for name, cluster in expected(fleet).items()
    ]


def explained(application: Application, clusters: Mapping[str, Cluster], hub: str) -> Application:
    """The same, with what its objects report where Argo CD itself gives no reason."""
    if application.settled or application.why:
        return application
    manifest = clusters[hub].get(KIND, application.name, ARGOCD) or {}
    reasons = diagnose(clusters[application.cluster], manifest)
    return replace(application, why="; ".join(reasons) or "nothing says why")


def _application(name: str, cluster: str, manifest: Manifest | None) -> Application:
    if manifest is None:
        return Application(name, cluster, "Missing", "Missing", "Argo CD has not made it yet")
    status = manifest.get("status", {})
    sync = status.get("sync", {}).get("status", "Unknown")
    health = status.get("health", {}).get("status", "Unknown")
    settled = (sync, health) == ("Synced", "Healthy")
    why = "" if settled else "; ".join(dict.fromkeys(_reasons(status)))
    return Application(name, cluster, sync, health, why)


def _reasons(status: Mapping[str, object]) -> Iterator[str]:
    """From what Argo CD could not even read, to what an object reports of itself."""
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if str(condition.get("type", "")).endswith("Error"):
            yield str(condition.get("message", condition["type"]))
    operation = status.get("operationState")
    if isinstance(operation, dict) and operation.get("phase") not in ("Succeeded", None):
        yield str(operation.get("message", operation["phase"]))
    resources = status.get("resources")
    for resource in resources if isinstance(resources, list) else ():
        health = resource.get("health", {})
        name = f"{resource['kind']} {resource.get('namespace', '')}/{resource['name']}"
        if health.get("status") in ("Degraded", "Progressing", "Missing", "Suspended"):
            yield f"{name}: {health.get('message') or health['status']}"
        elif resource.get("status") == "OutOfSync" and not resource.get("requiresPruning"):
            yield f"{name}: is not as in Git"
