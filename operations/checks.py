"""What has to be true before bootstrap changes anything; all that is not is reported together."""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from charts.ingress import EXTERNAL_NAMES, LABELS, IngressController
from fleet import registry, volumes
from fleet.errors import InputError
from fleet.registry import Fleet
from operations import kubectl, nodes
from operations.addresses import address_of, name_of
from operations.cluster import Cluster, ClusterError, Manifest
from operations.hostnames import Resolve

OLDEST_KUBERNETES: Final = (1, 33)
"""The oldest that cert-manager 1.21 supports (its supported releases: 1.33 to 1.36)."""
OLDEST_KUBECTL: Final = (1, 32)
"""One minor version behind the server is as far as kubectl's own skew policy goes."""

REGION: Final = "topology.kubernetes.io/region"
"""The label with which a provider's controller says where a node is."""
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"


def problems(
    fleet: Fleet, clusters: Mapping[str, Cluster], *, dist: Path, resolve: Resolve
) -> list[str]:
    """A line for each thing that is wrong."""
    with ThreadPoolExecutor(len(clusters) + 1) as pool:
        of_clusters = [
            pool.submit(_of_cluster, member, clusters[member.name], resolve)
            for member in fleet.clusters
        ]
        identities = dict(zip(clusters, pool.map(_identity, clusters.values()), strict=True))
    lines = [*_of_kubectl(), *_of_dist(fleet, dist)]
    lines += [line for future in of_clusters for line in future.result()]
    owners: dict[str, str] = {}
    for name, identity in identities.items():
        if identity and identity in owners:
            lines.append(
                f"{name}: its context {clusters[name].context} leads to the cluster of "
                f"{owners[identity]}; give each its own"
            )
        elif identity:
            owners[identity] = name
    return lines


def _of_kubectl() -> Iterator[str]:
    version = kubectl.client_version()
    if version < OLDEST_KUBECTL:
        yield f"kubectl: is {_dotted(version)}; install {_dotted(OLDEST_KUBECTL)} or newer"


def _of_dist(fleet: Fleet, dist: Path) -> Iterator[str]:
    for cluster in fleet.clusters:
        for component in cluster.components:
            folder = dist / cluster.name / component
            if not (folder / "kustomization.yaml").is_file():
                yield f"{folder}: does not exist; run `python main.py`"


def _of_cluster(member: registry.Cluster, cluster: Cluster, resolve: Resolve) -> list[str]:
    try:
        return [
            *_of_version(cluster),
            *_of_rights(cluster),
            *_of_storage(member, cluster),
            *_of_nodes(member, cluster),
            *_of_replacements(member, cluster),
            *_of_address(member, cluster),
            *_of_hosts(member, resolve, name_of(member, cluster)),
        ]
    except InputError as error:
        return [*error.problems, *_of_hosts(member, resolve)]


def _identity(cluster: Cluster) -> str | None:
    """What no two clusters have in common."""
    try:
        namespace = cluster.get("namespace", "kube-system")
    except ClusterError:
        return None
    return str(namespace["metadata"]["uid"]) if namespace else None


def _of_version(cluster: Cluster) -> Iterator[str]:
    version = cluster.version()
    if version < OLDEST_KUBERNETES:
        yield (
            f"{cluster.name}: runs Kubernetes {_dotted(version)}; "
            f"upgrade it to {_dotted(OLDEST_KUBERNETES)} or newer"
        )


def _of_rights(cluster: Cluster) -> Iterator[str]:
    if not cluster.allows("*", "*"):
        yield (
            f"{cluster.name}: who signs in by context {cluster.context} is no administrator; "
            "use a kubeconfig of one"
        )


def _of_storage(member: registry.Cluster, cluster: Cluster) -> Iterator[str]:
    classes = {
        storage_class["metadata"]["name"]: storage_class
        for storage_class in cluster.list_objects("storageclass")
    }
    wanted = member.volume_class
    if wanted is None:
        if not any(
            storage_class["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true"
            for storage_class in classes.values()
        ):
            yield (
                f"{cluster.name}: has no default StorageClass; "
                f"name one as `storageClass`: {_listed(classes)}"
            )
    elif wanted not in classes:
        yield (
            f"{cluster.name}: has no StorageClass {wanted}; "
            f"name one as `storageClass`: {_listed(classes)}"
        )
    elif member.storage_class is None:
        # The list may be out of date; who names the class knows better.
        yield from _of_location(wanted, cluster)


def _of_location(storage_class: str, cluster: Cluster) -> Iterator[str]:
    """The class exists even where the provider has no such disks, and volumes then never bind."""
    offered = volumes.LOCATIONS.get(storage_class)
    if offered is None:
        return
    locations = {
        location
        for node in cluster.list_objects("node")
        if (location := node["metadata"].get("labels", {}).get(REGION))
    }
    if elsewhere := locations - offered:
        yield (
            f"{cluster.name}: its provider does not list {storage_class} in {_listed(elsewhere)}; "
            "set `storageClass` to another one, or to this one if it is offered there by now"
        )


def _of_nodes(member: registry.Cluster, cluster: Cluster) -> Iterator[str]:
    if why := nodes.outside(member, cluster.list_objects("node")):
        yield f"{cluster.name}: {why}"


def _of_replacements(member: registry.Cluster, cluster: Cluster) -> Iterator[str]:
    """What the registry names in place of a component has to be there."""
    if member.traefik is not None:
        yield from _of_traefik(
            IngressController.of(member), cluster, leads_elsewhere=isinstance(member, registry.Hub)
        )
    issuer = member.issuer_name
    if issuer and cluster.get("clusterissuers.cert-manager.io", issuer) is None:
        yield f"{cluster.name}: has no ClusterIssuer {issuer}; create it, or correct `issuerName`"


def _of_traefik(
    ingress: IngressController, cluster: Cluster, *, leads_elsewhere: bool
) -> Iterator[str]:
    if cluster.get("service", ingress.service, ingress.namespace) is None:
        yield (
            f"{cluster.name}: has no Service {ingress.namespace}/{ingress.service}; name that of "
            "its Traefik under `traefik`"
        )
    if cluster.get("ingressclass", ingress.class_name) is None:
        yield (
            f"{cluster.name}: has no IngressClass {ingress.class_name}; name that of its Traefik "
            "as `traefik.ingressClass`"
        )
    pods = [
        pod
        for pod in cluster.list_objects("pods", ingress.namespace)
        if LABELS.items() <= pod["metadata"].get("labels", {}).items()
    ]
    if not pods:
        (label,) = map("=".join, LABELS.items())
        yield (
            f"{cluster.name}: no pod in {ingress.namespace} has the label {label}, by which "
            "policies let Traefik in; give it to Traefik's pods"
        )
    elif leads_elsewhere and not any(map(_allows_external_names, pods)):
        yield (
            f"{cluster.name}: Traefik does not lead to Services of type ExternalName, by which it "
            f"reaches the hub's pages; start it with --{EXTERNAL_NAMES}=true"
        )
    definition = cluster.get("customresourcedefinition", "ingressroutes.traefik.io") or {}
    if not any(map(_names_a_class, definition.get("spec", {}).get("versions", ()))):
        yield (
            f"{cluster.name}: its definition of IngressRoute has no ingressClassName, which "
            "Traefik has since 3.7; upgrade Traefik and its definitions"
        )


def _allows_external_names(pod: Manifest) -> bool:
    """Whether a pod of Traefik was started so, as arguments or the environment have it."""
    option = EXTERNAL_NAMES.lower()
    for container in pod.get("spec", {}).get("containers", ()):
        arguments = [*container.get("command", ()), *container.get("args", ())]
        for argument in arguments:
            name, _, value = argument.lower().lstrip("-").partition("=")
            if name == option and value in ("", "true"):
                return True
        variable = f"TRAEFIK_{option}".replace(".", "_").upper()
        for each in container.get("env", ()):
            if each["name"].upper() == variable and each.get("value", "").lower() == "true":
                return True
    return False


def _names_a_class(version: Manifest) -> bool:
    """Whether routes of this version have a field for their ingress class."""
    schema = version.get("schema", {}).get("openAPIV3Schema", {}).get("properties", {})
    return "ingressClassName" in schema.get("spec", {}).get("properties", {})


def _of_address(member: registry.Cluster, cluster: Cluster) -> Iterator[str]:
    if member.address is None or member.behind_proxy:
        return
    address = address_of(member, cluster)
    if address and ip_address(address) != member.address:
        yield (
            f"{cluster.name}: its load balancer is at {address}, and the registry says "
            f"{member.address}; run `python -m fleet addresses --write`"
        )


def _of_hosts(
    member: registry.Cluster, resolve: Resolve, balancer: str | None = None
) -> Iterator[str]:
    """Without an address, hostnames lead where the name of the load balancer leads."""
    target = member.address or balancer or "its load balancer"
    wanted: Collection[IPv4Address | IPv6Address] | None = None
    if member.address and not member.behind_proxy:
        wanted = {member.address}
    elif balancer and not member.behind_proxy:
        try:
            wanted = {ip_address(address) for address in resolve(balancer)}
        except LookupError as error:
            yield f"{member.name}: {balancer}, its load balancer, does not resolve ({error}); wait"
    for host in member.hosts:
        try:
            addresses = {ip_address(address) for address in resolve(host)}
        except LookupError as error:
            yield (f"{member.name}: {host} does not resolve ({error}); have it lead to {target}")
            continue
        if wanted is not None and addresses.isdisjoint(wanted):
            yield (
                f"{member.name}: {host} leads to {_listed(map(str, addresses))}; have it lead to "
                f"{target}"
            )


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _listed(names: Collection[str] | Iterator[str]) -> str:
    return ", ".join(sorted(names)) or "none"
