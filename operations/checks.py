"""What has to be so before bootstrap touches anything: everything that is not is told at once."""

import json
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from fleet.errors import InputError
from fleet.registry import Cluster, Fleet
from operations.addresses import address_of
from operations.kubectl import TIMEOUT_SECONDS, ClusterError, Kubectl, call
from operations.names import Resolve

OLDEST_KUBERNETES: Final = (1, 33)
"""The oldest that cert-manager 1.21 supports (its supported releases: 1.33 to 1.36)."""
OLDEST_KUBECTL: Final = (1, 32)
"""One minor version behind the server is as far as kubectl's own skew policy goes."""

DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"


def problems(
    fleet: Fleet, clusters: Mapping[str, Kubectl], *, dist: Path, resolve: Resolve
) -> list[str]:
    """A line for each thing that is wrong."""
    with ThreadPoolExecutor(len(clusters) + 1) as pool:
        of_clusters = [
            pool.submit(_of_cluster, cluster, clusters[cluster.name], resolve)
            for cluster in fleet.clusters
        ]
        identities = dict(zip(clusters, pool.map(_identity, clusters.values()), strict=True))
    lines = [*_of_kubectl(), *_of_dist(fleet, dist)]
    lines += [line for each in of_clusters for line in each.result()]
    seen: dict[str, str] = {}
    for name, identity in identities.items():
        if identity and identity in seen:
            lines.append(
                f"{name}: its context {clusters[name].context} leads to the cluster of "
                f"{seen[identity]}; give each its own"
            )
        elif identity:
            seen[identity] = name
    return lines


def _of_kubectl() -> Iterator[str]:
    said = json.loads(call("kubectl", ["version", "--client", "-ojson"], timeout=TIMEOUT_SECONDS))
    version = _version(said["clientVersion"])
    if version < OLDEST_KUBECTL:
        yield f"kubectl: is {_told(version)}; install {_told(OLDEST_KUBECTL)} or newer"


def _of_dist(fleet: Fleet, dist: Path) -> Iterator[str]:
    for cluster in fleet.clusters:
        for component in cluster.components:
            folder = dist / cluster.name / component
            if not (folder / "kustomization.yaml").is_file():
                yield f"{folder}: is not there; run `python main.py`"


def _of_cluster(cluster: Cluster, kubectl: Kubectl, resolve: Resolve) -> list[str]:
    try:
        return [
            *_of_version(kubectl),
            *_of_rights(kubectl),
            *_of_storage(cluster, kubectl),
            *_of_address(cluster, kubectl),
            *_of_hosts(cluster, resolve),
        ]
    except InputError as error:
        return [*error.problems, *_of_hosts(cluster, resolve)]


def _identity(kubectl: Kubectl) -> str | None:
    """What no two clusters have in common."""
    try:
        found = kubectl.get("namespace", "kube-system")
    except ClusterError:
        return None
    return str(found["metadata"]["uid"]) if found else None


def _of_version(kubectl: Kubectl) -> Iterator[str]:
    version = _version(json.loads(kubectl.run("get", "--raw", "/version", timeout=20)))
    if version < OLDEST_KUBERNETES:
        yield (
            f"{kubectl.name}: runs Kubernetes {_told(version)}; "
            f"upgrade it to {_told(OLDEST_KUBERNETES)} or newer"
        )


def _of_rights(kubectl: Kubectl) -> Iterator[str]:
    if not kubectl.allowed("*", "*"):
        yield (
            f"{kubectl.name}: who signs in by context {kubectl.context} is no administrator; "
            "use a kubeconfig of one"
        )


def _of_storage(cluster: Cluster, kubectl: Kubectl) -> Iterator[str]:
    classes = {each["metadata"]["name"]: each for each in kubectl.every("storageclass")}
    wanted = cluster.volume_class
    if wanted is None:
        if not any(
            each["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true"
            for each in classes.values()
        ):
            yield (
                f"{kubectl.name}: has no default StorageClass; "
                f"name one as `storageClass`: {_listed(classes)}"
            )
    elif wanted not in classes:
        yield (
            f"{kubectl.name}: has no StorageClass {wanted}; "
            f"name one as `storageClass`: {_listed(classes)}"
        )


def _of_address(cluster: Cluster, kubectl: Kubectl) -> Iterator[str]:
    found = address_of(kubectl)
    if found and ip_address(found) != cluster.address:
        yield (
            f"{kubectl.name}: its load balancer is at {found}, and the registry says "
            f"{cluster.address}; run `python -m fleet addresses --write`"
        )


def _of_hosts(cluster: Cluster, resolve: Resolve) -> Iterator[str]:
    for host in cluster.hosts:
        try:
            found = {ip_address(each) for each in resolve(host)}
        except LookupError as error:
            yield (
                f"{cluster.name}: {host} does not resolve ({error}); have it lead to "
                f"{cluster.address}"
            )
            continue
        if cluster.address not in found:
            yield (
                f"{cluster.name}: {host} leads to {_listed(map(str, found))}; have it lead to "
                f"{cluster.address}"
            )


def _version(said: Mapping[str, str]) -> tuple[int, int]:
    """Providers write a minor version such as 34+."""
    return int(said["major"]), int(said["minor"].rstrip("+"))


def _told(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _listed(names: Collection[str] | Iterator[str]) -> str:
    return ", ".join(sorted(names)) or "none"
