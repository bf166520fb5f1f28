"""Objects of dist as Argo CD applies them: read, compared with what a cluster has, applied."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from charts.applications import ARGOCD
from fleet import documents
from operations import kubectl, waiting
from operations.cluster import (
    Cluster,
    ClusterError,
    Manifest,
    UnknownKindError,
    WebhookUnavailableError,
)

T = TypeVar("T")

TRACKED: Final = "argocd.argoproj.io/tracking-id"
"""The annotation by which Argo CD knows what it has deployed."""

DEFINITION: Final = "CustomResourceDefinition"

START_SECONDS: Final = 300
"""How long Argo CD and the webhook of cert-manager may take to start, their images pulled."""

SERVING_SECONDS: Final = 60
"""How long an API server may take to serve a kind that has just been defined."""

Identity: TypeAlias = tuple[str, str, str, str]
"""Group, kind, namespace and name of an object: what no two objects of a cluster have in common."""


def of_folders(
    dist: Path, cluster: str, components: Sequence[str]
) -> tuple[list[Manifest], list[Manifest]]:
    """The objects of folders of dist whose kinds Kubernetes or Argo CD defines, and the others.

    The others have a webhook or an operator behind them that is yet to start.
    """
    plain: list[Manifest] = []
    others: list[Manifest] = []
    for component in components:
        for manifest in kubectl.kustomize(dist / cluster / component):
            group, *_ = identity(manifest)
            known = "." not in group or group.endswith((".k8s.io", "argoproj.io"))
            (plain if known else others).append(marked(cluster, component, manifest))
    return plain, others


def of_files(dist: Path, cluster: str, pattern: str) -> list[Manifest]:
    """The objects of files of dist, whichever component they belong to."""
    return [
        marked(cluster, path.parent.name, manifest)
        for path in sorted((dist / cluster).glob(f"*/{pattern}"))
        for manifest in documents.read_all(path)
    ]


def marked(cluster: str, component: str, manifest: Manifest) -> Manifest:
    """The object as Argo CD applies it: marked as one of the Application's.

    So the Application is synced from the start, and Argo CD prunes what Git drops one day. Argo CD
    marks no definitions (its ResourceTracking, which also has the form), and has objects without a
    namespace in that of the Application's destination.
    """
    if manifest["kind"] == DEFINITION:
        return manifest
    group, kind, namespace, name = identity(manifest)
    mark = f"{cluster}-{component}:{group}/{kind}:{namespace or ARGOCD}/{name}"
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), TRACKED: mark}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def identity(manifest: Manifest) -> Identity:
    metadata = manifest["metadata"]
    group = str(manifest["apiVersion"]).rpartition("/")[0]
    namespace = str(metadata.get("namespace", ""))
    return group, str(manifest["kind"]), namespace, str(metadata["name"])


def lacking(
    cluster: Cluster, rendered: Sequence[Manifest], applications: Collection[str]
) -> list[Manifest]:
    """Which objects of dist bootstrap has to apply.

    Those that do not exist, and those that differ from dist and that none of the existing
    ``applications`` will bring up to date.
    """
    definitions = [manifest for manifest in rendered if manifest["kind"] == DEFINITION]
    others = [manifest for manifest in rendered if manifest["kind"] != DEFINITION]
    return [
        *_missing_definitions(cluster, definitions),
        *_missing_or_stale(cluster, others, applications),
    ]


def _missing_definitions(cluster: Cluster, definitions: Sequence[Manifest]) -> list[Manifest]:
    """Argo CD brings existing ones up to date, and marks none as its own."""
    if not definitions:
        return []
    names = cluster.list_names("customresourcedefinitions")
    return [manifest for manifest in definitions if manifest["metadata"]["name"] not in names]


def _missing_or_stale(
    cluster: Cluster, rendered: Sequence[Manifest], applications: Collection[str]
) -> list[Manifest]:
    served = cluster.api_versions()
    known = [manifest for manifest in rendered if manifest["apiVersion"] in served]
    present = {identity(manifest): manifest for manifest in cluster.read(known)}
    ours = [
        manifest
        for manifest in rendered
        if identity(manifest) in present and _application(manifest) not in applications
    ]
    return [
        *(manifest for manifest in rendered if identity(manifest) not in present),
        *_stale(cluster, ours, present),
    ]


def _application(manifest: Manifest) -> str:
    """The name of the Application that an object is marked with."""
    return str(manifest["metadata"]["annotations"][TRACKED]).partition(":")[0]


def _stale(
    cluster: Cluster, rendered: Sequence[Manifest], present: Mapping[Identity, Manifest]
) -> list[Manifest]:
    """Those that applying would change."""
    applied = _once_admitted(lambda: cluster.preview(rendered))
    return [
        manifest
        for manifest, new in zip(rendered, applied, strict=True)
        if _comparable(new) != _comparable(present[identity(manifest)])
    ]


def _comparable(manifest: Manifest) -> Manifest:
    """Without what the API server counts and keeps for itself."""
    counted = ("managedFields", "resourceVersion", "generation")
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in counted}
    return {**manifest, "metadata": metadata, "status": None}


def apply(cluster: Cluster, objects: Sequence[Manifest]) -> None:
    """Definitions first, and once these are served what they define; namespaces before the rest."""
    definitions = [manifest for manifest in objects if manifest["kind"] == DEFINITION]
    namespaces = [manifest for manifest in objects if manifest["kind"] == "Namespace"]
    rest = [manifest for manifest in objects if manifest["kind"] not in (DEFINITION, "Namespace")]
    cluster.apply(definitions)
    _until_served(cluster, definitions)
    cluster.apply(namespaces)
    _once_admitted(lambda: cluster.apply(rest))


def _once_admitted(call: Callable[[], T]) -> T:
    """Tries until the webhooks answer that have a say in it, and the kinds are served."""
    start = waiting.now()
    while True:
        try:
            return call()
        except WebhookUnavailableError:
            if waiting.now() > start + START_SECONDS:
                raise
        except UnknownKindError:
            if waiting.now() > start + SERVING_SECONDS:
                raise
        waiting.pause(2)


def _until_served(cluster: Cluster, definitions: Sequence[Manifest]) -> None:
    """Until the API server serves what they define; kubectl wait fails on one that is too new."""

    def unserved() -> list[str]:
        served = {
            manifest["metadata"]["name"]
            for manifest in cluster.read(definitions)
            for condition in manifest.get("status", {}).get("conditions") or ()
            if (condition["type"], condition["status"]) == ("Established", "True")
        }
        names = (definition["metadata"]["name"] for definition in definitions)
        return [name for name in names if name not in served]

    if not waiting.until(lambda: not unserved(), seconds=SERVING_SECONDS, interval=0.5):
        raise ClusterError(
            cluster.name,
            f"does not serve CustomResourceDefinition {', '.join(unserved())} after "
            f"{SERVING_SECONDS} s",
        )
