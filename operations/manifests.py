"""Objects of dist as Argo CD applies them: read, compared with what a cluster has, applied."""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from charts.applications import ARGOCD
from fleet import documents
from operations.kubectl import ClusterError, Kubectl, Manifest, kustomize

TRACKED: Final = "argocd.argoproj.io/tracking-id"
"""The annotation by which Argo CD knows what it has deployed."""

DEFINITION: Final = "CustomResourceDefinition"

START_SECONDS: Final = 300
"""How long Argo CD and the webhook of cert-manager may take to start, their images pulled."""


def of_folders(
    dist: Path, cluster: str, components: Sequence[str]
) -> tuple[list[Manifest], list[Manifest]]:
    """The objects of folders of dist whose kinds Kubernetes or Argo CD defines, and the others.

    Those have a webhook or an operator behind them that is yet to start.
    """
    plain: list[Manifest] = []
    others: list[Manifest] = []
    for component in components:
        for each in kustomize(dist / cluster / component):
            group, _ = _kind(each)
            known = "." not in group or group.endswith((".k8s.io", "argoproj.io"))
            (plain if known else others).append(marked(cluster, component, each))
    return plain, others


def of_files(dist: Path, cluster: str, pattern: str) -> list[Manifest]:
    """The objects of files of dist, whichever component they are of."""
    return [
        marked(cluster, path.parent.name, each)
        for path in sorted((dist / cluster).glob(f"*/{pattern}"))
        for each in documents.read_all(path)
    ]


def marked(cluster: str, component: str, manifest: Manifest) -> Manifest:
    """The object as Argo CD applies it: marked as one of the Application's.

    So the Application is synced from the start, and what Git drops one day is pruned. Argo CD
    marks no definitions (its ResourceTracking, which also has the form), and has objects without a
    namespace in that of the Application's destination.
    """
    if manifest["kind"] == DEFINITION:
        return manifest
    (group, kind), namespace, name = _identity(manifest)
    mark = f"{cluster}-{component}:{group}/{kind}:{namespace or ARGOCD}/{name}"
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), TRACKED: mark}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _application(marked: Manifest) -> str:
    """The name of the Application that an object is of."""
    return str(marked["metadata"]["annotations"][TRACKED]).partition(":")[0]


def lacking(
    kubectl: Kubectl, wanted: Sequence[Manifest], applications: Collection[str]
) -> list[Manifest]:
    """Which of ``wanted`` are to be applied.

    Those that are not there; and of those that are not as wanted, what none of the Applications
    that there are will bring up to date.
    """
    definitions = [each for each in wanted if each["kind"] == DEFINITION]
    others = [each for each in wanted if each["kind"] != DEFINITION]
    return [*_missing(kubectl, definitions), *_missing_or_stale(kubectl, others, applications)]


def _missing(kubectl: Kubectl, definitions: Sequence[Manifest]) -> list[Manifest]:
    """Those that are not there; Argo CD brings the others up to date, and marks none as its own."""
    if not definitions:
        return []
    names = kubectl.run("get", "customresourcedefinitions", "--output=name").split()
    known = {name.rpartition("/")[2] for name in names}
    return [each for each in definitions if each["metadata"]["name"] not in known]


def _missing_or_stale(
    kubectl: Kubectl, wanted: Sequence[Manifest], applications: Collection[str]
) -> list[Manifest]:
    """Those that are not there, and those that are not as wanted and not Argo CD's yet."""
    served = {line.strip() for line in kubectl.run("api-versions").splitlines()}
    known = [each for each in wanted if each["apiVersion"] in served]
    present = {_identity(each): each for each in kubectl.present(known)} if known else {}
    ours = [
        each
        for each in wanted
        if _identity(each) in present and _application(each) not in applications
    ]
    return [
        *(each for each in wanted if _identity(each) not in present),
        *_stale(kubectl, ours, present),
    ]


def apply(kubectl: Kubectl, wanted: Sequence[Manifest]) -> None:
    """Definitions first, and once these are served what they define; namespaces before the rest."""
    definitions = [each for each in wanted if each["kind"] == DEFINITION]
    namespaces = [each for each in wanted if each["kind"] == "Namespace"]
    rest = [each for each in wanted if each["kind"] not in (DEFINITION, "Namespace")]
    if definitions:
        kubectl.apply(definitions)
        _until_served(kubectl, definitions)
    if namespaces:
        kubectl.apply(namespaces)
    if rest:
        _apply_once_agreed(kubectl, rest)


def _apply_once_agreed(kubectl: Kubectl, wanted: Sequence[Manifest]) -> None:
    """Tries until the webhooks answer that have a say in it."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            return kubectl.apply(wanted)
        except ClusterError as error:
            if "failed calling webhook" not in str(error) or time.monotonic() > end:
                raise
        time.sleep(2)


def _until_served(kubectl: Kubectl, definitions: Sequence[Manifest]) -> None:
    """Until the API server serves what they define; kubectl wait fails on one that is too new."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        served = [
            each
            for each in kubectl.present(definitions)
            for condition in each.get("status", {}).get("conditions") or ()
            if (condition["type"], condition["status"]) == ("Established", "True")
        ]
        if len(served) == len(definitions):
            return
        time.sleep(0.5)
    raise ClusterError(f"{kubectl.name}: does not serve the definitions it was given within 60 s")


def _kind(manifest: Manifest) -> tuple[str, str]:
    return str(manifest["apiVersion"]).rpartition("/")[0], str(manifest["kind"])


def _identity(manifest: Manifest) -> tuple[tuple[str, str], str, str]:
    metadata = manifest["metadata"]
    return _kind(manifest), str(metadata.get("namespace", "")), str(metadata["name"])


def _stale(
    kubectl: Kubectl,
    wanted: Sequence[Manifest],
    present: Mapping[tuple[tuple[str, str], str, str], Manifest],
) -> list[Manifest]:
    """Those that applying would change."""
    if not wanted:
        return []
    applied = kubectl.applied(wanted)
    return [
        each
        for each, new in zip(wanted, applied, strict=True)
        if _plain(new) != _plain(present[_identity(each)])
    ]


def _plain(manifest: Manifest) -> Manifest:
    """Without what the API server counts and keeps for itself."""
    counted = ("managedFields", "resourceVersion", "generation")
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in counted}
    return {**manifest, "metadata": metadata, "status": None}
