"""What the pods of a cluster request and may use, and the nodes that this platform needs for them.

All amounts are whole thousandths of a core and whole MiB. Overlays are left out.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from docgen.fleets import Components, Manifest
from fleet.catalogue import Role

UNITS: Final = {"m": 1, "": 1000, "Mi": 1, "Gi": 1024}
OPERATED: Final = ("Prometheus", "PrometheusAgent", "Alertmanager")
RELOADER: Final = Counter(cpu=10, memory=50)
"""What Prometheus Operator v0.93.1 requests for the reloader in each of its pods; its limit of
memory is the same."""
KUBERNETES: Final = Counter(cpu=450, memory=256)
"""What Kubernetes' own pods request of a node: Calico 250m, and CoreDNS twice 100m and 70 MiB."""

MEMORY_RESERVED: Final = ((4096, 0.25), (4096, 0.2), (8192, 0.1))
"""Shares of the first 4 GiB, of the next 4 GiB and of the next 8 GiB that a node keeps for itself.

GKE's formula, which others have adopted; Vultr publishes none and keeps less.
"""
EVICTION_MIB: Final = 100
"""Memory that a kubelet keeps free by evicting pods (``evictionHard``)."""
CPU_RESERVED: Final = 0.06
"""Share of the first core, by the same formula; of each further one it is a sixth at most."""


@dataclass(frozen=True)
class Nodes:
    """The nodes of a cluster."""

    number: int
    plan: str
    """Vultr's name for their size."""
    cores: int
    memory: int
    """In GiB."""

    @property
    def allocatable(self) -> Counter[str]:
        """What pods can have of one node."""
        left = self.memory * 1024
        memory = left - EVICTION_MIB
        for size, share in MEMORY_RESERVED:
            memory -= int(min(left, size) * share)
            left = max(0, left - size)
        reserved = CPU_RESERVED + (self.cores - 1) * CPU_RESERVED / 6
        return Counter(cpu=int(1000 * (self.cores - reserved)), memory=memory)


NODES: Final[Mapping[Role, Nodes]] = {
    "hub": Nodes(3, "vc2-4c-8gb", cores=4, memory=8),
    "region": Nodes(2, "vc2-2c-4gb", cores=2, memory=4),
}
"""What each cluster needs, so that its pods still fit when one node is gone."""


@dataclass
class Sizes:
    """What the pods of one cluster request, and the memory that they may use."""

    once: Counter[str] = field(default_factory=Counter)
    """Requests of all pods whose number is fixed."""
    node: Counter[str] = field(default_factory=Counter)
    """Requests of the pods that run on each node."""
    scaled: Counter[str] = field(default_factory=Counter)
    """Requests of the pods that autoscalers may add."""
    limits: int = 0
    """Sum of the limits of memory of all pods, each node's pods counted once."""
    largest: tuple[int, str] = (0, "")
    """The highest limit of memory that a pod has, and the workload of that pod."""
    largest_request: int = 0
    """The most memory that one pod requests."""

    @classmethod
    def of(cls, components: Components) -> Self:
        """The sizes of a cluster's ``components``."""
        sizes = cls()
        objects = [each for manifests in components.values() for each in manifests]
        scalers = {
            each["spec"]["scaleTargetRef"]["name"]: each["spec"]
            for each in objects
            if each["kind"] == "HorizontalPodAutoscaler"
        }
        for each in objects:
            need, limit = requests(each), memory_limit(each)
            scaler = scalers.get(each["metadata"]["name"])
            most = replicas = each.get("spec", {}).get("replicas", 1)
            if each["kind"] == "DaemonSet":
                sizes.node += need
            elif scaler and need:
                replicas, most = scaler["minReplicas"], scaler["maxReplicas"]
                sizes.once += times(need, replicas)
                sizes.scaled += times(need, most - replicas)
            else:
                sizes.once += times(need, replicas)
            sizes.limits += limit * most
            label = f"{each['kind']}/{each['metadata']['name']}"
            sizes.largest = max(sizes.largest, (limit, label))
            sizes.largest_request = max(sizes.largest_request, need["memory"])
        return sizes

    def fits(self, nodes: Nodes) -> Iterator[str]:
        """Why the pods do not fit on ``nodes`` once one node is gone; nothing if they do."""
        free = nodes.allocatable - self.node - KUBERNETES
        for resource in ("cpu", "memory"):
            needed = self.once[resource] + self.scaled[resource]
            if needed > (nodes.number - 1) * free[resource]:
                yield f"pods request {needed} of {resource}, a node has {free[resource]} for them"
        for what, size in (("limit", self.largest[0]), ("request", self.largest_request)):
            if size > free["memory"]:
                yield f"a pod has a {what} of {size} MiB, a node has {free['memory']} for it"


def requests(manifest: Manifest) -> Counter[str]:
    """What one pod of a workload requests; nothing of any other object."""
    found: Counter[str] = Counter()
    for resources in _resources(manifest):
        for name in ("cpu", "memory"):
            found[name] += amount(resources.get("requests", {}).get(name, "0"))
    return found + (RELOADER if manifest["kind"] in OPERATED else Counter())


def memory_limit(manifest: Manifest) -> int:
    """The sum of the limits of memory of one pod's containers, in MiB."""
    limits = [amount(each.get("limits", {}).get("memory", "0")) for each in _resources(manifest)]
    return sum(limits) + (RELOADER["memory"] if manifest["kind"] in OPERATED else 0)


def _resources(manifest: Manifest) -> Iterator[Manifest]:
    spec = manifest.get("spec", {})
    if manifest["kind"] in OPERATED:
        yield spec["resources"]
    elif manifest["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
        for each in spec.get("template", {}).get("spec", {}).get("containers", ()):
            yield each.get("resources", {})


def times(need: Counter[str], count: int) -> Counter[str]:
    """What ``count`` pods request, of which each has a ``need``."""
    return Counter({resource: amount * count for resource, amount in need.items()})


def amount(quantity: object) -> int:
    """A quantity of CPU or memory in thousandths of a core or in MiB."""
    number, unit = re.fullmatch(r"(\d+)(\D*)", str(quantity)).groups()  # type: ignore[union-attr]
    return int(number) * UNITS[unit]
