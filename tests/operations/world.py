"""A fleet in memory: clusters, and an Argo CD on the hub that deploys dist once it can."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fleet.registry import Fleet
from operations import credentials, manifests
from operations.cluster import Manifest
from operations.credentials import Content, SecretRef
from tests.memory import Clock, Journal, MemoryCluster

VARIABLES: Final = {
    "REGISTRY_USERNAME": "puller",
    "REGISTRY_PASSWORD": "password-of-the-registry",
    "ALERTS_PAGES": "https://receiver.invalid/pages",
    "ALERTS_NOTICES": "https://receiver.invalid/notices",
    "ALERTS_WATCHDOG": "https://receiver.invalid/watchdog",
}
"""What only people know."""

ADMIN_HASH: Final = SecretRef("hub", "argocd", "argocd-secret")
INITIAL_PASSWORD: Final = SecretRef("hub", "argocd", "argocd-initial-admin-secret")
"""The password of Argo CD's administrator."""

STORAGE_CLASS: Final = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
}


@dataclass
class World:
    """Bare clusters for every member of ``fleet``; ``folders`` are dist, built by kustomize."""

    fleet: Fleet
    dist: Path
    folders: Mapping[Path, Sequence[Manifest]]
    clock: Clock = field(default_factory=Clock)
    journal: Journal = field(default_factory=Journal)
    clusters: dict[str, MemoryCluster] = field(default_factory=dict)
    deployed: dict[str, bool] = field(default_factory=dict)
    """Which Applications there are, and whether Argo CD can sign in to their cluster."""

    broken: dict[str, str] = field(default_factory=dict)
    """Applications that stay unhealthy, and the kind of an object of each that is missing."""

    started: set[float] = field(default_factory=set)
    """When the pods of Argo CD's server that have started were created."""

    def __post_init__(self) -> None:
        for member in self.fleet.clusters:
            cluster = MemoryCluster(
                member.name,
                clock=self.clock,
                journal=self.journal,
                url=f"https://api.{member.name}.invalid:6443",
                address=str(member.address),
            )
            cluster.put(STORAGE_CLASS)
            self.clusters[member.name] = cluster
        self.clock.watchers.append(self.deploy)

    @property
    def hub(self) -> MemoryCluster:
        return self.clusters[self.fleet.hub.name]

    def read(self, ref: SecretRef) -> Content | None:
        """A Secret, without a call."""
        found = self.clusters[ref.cluster].stored("secret", ref.name, ref.namespace)
        return None if found is None else credentials.decoded(found)

    @staticmethod
    def contents(secret: Manifest) -> Content:
        return credentials.decoded(secret)

    def deploy(self) -> None:
        """What Argo CD does: an Application for each folder that a set lists."""
        self._generate_password()
        server = self.hub.stored("deployment", "argocd-repo-server", "argocd")
        if not (server or {}).get("status", {}).get("readyReplicas"):
            return
        for manifest in self.hub.objects("ApplicationSet"):
            name = manifest["metadata"]["name"]
            (generator,) = manifest["spec"]["generators"]
            folders = [
                (each.get("cluster", name), each.get("component", name))
                for each in generator["list"]["elements"]
            ]
            for cluster, component in folders:
                self._deploy(cluster, component, self._signs_in(cluster))

    def _generate_password(self) -> None:
        """What Argo CD's server does when it starts and its administrator has no password."""
        pod = self.hub.storage.objects.get(("", "Pod", "argocd", "argocd-server-0"))
        if pod is None or pod.created in self.started:
            return
        self.started.add(pod.created)
        if (self.read(ADMIN_HASH) or {}).get("admin.password"):
            return
        for ref, key in ((INITIAL_PASSWORD, "password"), (ADMIN_HASH, "admin.password")):
            content = {key: f"generated at {pod.created}"}
            self.hub.put(credentials.manifest(ref, content), manager="argocd-server")

    def _signs_in(self, cluster: str) -> bool:
        if cluster == self.fleet.hub.name:
            return True
        known = self.read(SecretRef(self.fleet.hub.name, "argocd", f"cluster-{cluster}"))
        token = self.read(SecretRef(cluster, "argocd", "argocd-manager-token"))
        return bool(known and token and token.get("token", "none") in known["config"])

    def _deploy(self, cluster: str, component: str, signs_in: bool) -> None:  # noqa: FBT001
        name = f"{cluster}-{component}"
        if self.deployed.get(name) == signs_in:
            return
        if signs_in and name not in self.deployed:
            for manifest in self.folders[self.dist / cluster / component]:
                # What bootstrap has applied is as Argo CD would apply it.
                if manifests.identity(manifest) not in self.clusters[cluster].storage.objects:
                    marked = manifests.marked(cluster, component, manifest)
                    self.clusters[cluster].put(marked, manager="argocd-controller")
        self.deployed[name] = signs_in
        status: dict[str, Any] = {
            "sync": {"status": "Synced" if signs_in else "Unknown"},
            "health": {"status": "Healthy"},
        }
        if not signs_in:
            message = (
                f"cluster {cluster}: the server has asked for the client to provide credentials"
            )
            status["conditions"] = [{"type": "ComparisonError", "message": message}]
        if kind := self.broken.get(name):
            missing = {"kind": kind, "name": "none", "namespace": "default"}
            status |= {"health": {"status": "Degraded"}, "resources": [missing]}
        self.hub.put(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": name, "namespace": "argocd"},
                "status": status,
            }
        )
