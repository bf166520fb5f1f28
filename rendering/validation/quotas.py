"""CPU, memory and storage: how quantities are written, and whether a namespace's quota holds."""

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias

from rendering.validation.objects import ClusterObjects, Finding, Object

DISK: Final = "ephemeral-storage"
_SUFFIXES: Final = {
    "": Decimal(1),
    **{
        unit: Decimal(10) ** power
        for unit, power in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)
    },
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
_QUANTITY: Final = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(m|n|u|k|[KMGTPE]i|[MGTPE])|[eE]([+-]?\d+))?"
)
"""apimachinery, pkg/api/resource/quantity.go."""


def quantity(value: object) -> Decimal | None:
    """The number that a quantity such as ``500m`` or ``2Gi`` stands for; None if it is none."""
    found = _QUANTITY.fullmatch(str(value))
    if not found or isinstance(value, bool):
        return None
    number, suffix, exponent = found.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SUFFIXES[suffix or ""])


def has_valid_quantities(each: Object) -> Iterator[str]:
    """CPU, memory and storage, wherever an object has ``resources``, and the limits of quotas."""
    for path, value in _quantities(each):
        if (number := quantity(value)) is None:
            yield f"{path}: {value} is no quantity; write one such as 500m, 128Mi or 2Gi"
        elif number < 0:
            yield f"{path}: {value} is less than 0; give a positive quantity"
    for path, resources in _resources(each.body, ""):
        for name, limit in (resources.get("limits") or {}).items():
            least, most = quantity((resources.get("requests") or {}).get(name, 0)), quantity(limit)
            if least is not None and most is not None and least > most:
                yield (
                    f"{path}.requests.{name}: {resources['requests'][name]} is more than the limit "
                    f"{limit}; raise the limit or lower the request"
                )


def _resources(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping called ``resources`` that has requests or limits, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{key}" if path else str(key)
            if key == "resources" and isinstance(inner, dict) and {"requests", "limits"} & {*inner}:
                if all(isinstance(each, dict | None) for each in inner.values()):
                    yield here, inner
            else:
                yield from _resources(inner, here)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            name = inner.get("name", at) if isinstance(inner, dict) else at
            yield from _resources(inner, f"{path}[{name}]")


def _quantities(each: Object) -> Iterator[tuple[str, Any]]:
    # A CustomResourceDefinition describes fields of these names; none of them is a quantity.
    if each.kind == "CustomResourceDefinition":
        return
    for where, resources in _resources(each.body, ""):
        for which in ("requests", "limits"):
            for name, value in (resources.get(which) or {}).items():
                yield f"{where}.{which}.{name}", value
    for volume in (each.template or {}).get("spec", {}).get("volumes", ()):
        if "sizeLimit" in (volume.get("emptyDir") or {}):
            yield f"volume {volume['name']}: sizeLimit", volume["emptyDir"]["sizeLimit"]
    if each.kind == "ResourceQuota":
        for name, value in (each.body["spec"].get("hard") or {}).items():
            yield f"spec.hard.{name}", value


Usage: TypeAlias = tuple[Object, int, Mapping[str, Decimal]]
"""A workload, the most pods that it may have, and what one of them counts for in a quota."""


def fits_its_quota(cluster: ClusterObjects) -> Iterator[Finding]:
    """At its largest, during a rollout, a namespace stays within its ResourceQuota.

    DaemonSets are left out, as their pods are as many as the nodes.
    """
    for each in cluster.of("ResourceQuota"):
        uses = list(_usage(cluster, each))
        for name, value in (each.body["spec"].get("hard") or {}).items():
            hard = quantity(value)
            shares = (number * per_pod.get(name, Decimal(0)) for _, number, per_pod in uses)
            used = sum(shares, Decimal(0))
            if hard is not None and used > hard:
                of = ", ".join(
                    f"{workload.label} with up to {number} pods"
                    for workload, number, per_pod in uses
                    if per_pod.get(name)
                )
                fault = (
                    f"spec.hard.{name}: is {value}, and {of} may need {_plain(used, name)}; "
                    "lower the number of pods or what they ask for, or raise the quota"
                )
                yield Finding(each, fault)


def fits_its_disk(cluster: ClusterObjects) -> Iterator[Finding]:
    """A pod may fill its ``emptyDir`` volumes before its node evicts it for what it has on disk.

    A kubelet holds the volumes, the log lines and what containers write against the sum of the
    containers' limits. One container without a limit, and it holds nothing against it.
    """
    defaults = {
        each.namespace: limit.get("default") or {}
        for each in cluster.of("LimitRange")
        for limit in each.body["spec"]["limits"]
        if limit["type"] == "Container"
    }
    for each, template in cluster.workloads():
        default = defaults.get(each.namespace, {}).get(DISK)
        limits: list[Decimal | None] = []
        for container in template["spec"].get("containers", ()):
            resources = container.get("resources") or {}
            limit = (resources.get("limits") or {}).get(DISK, default)
            request = _asked(container, "requests", DISK)
            limits.append(quantity(limit))
            if limit is default and limits[-1] is not None and request > limits[-1]:
                fault = (
                    f"container {container['name']}: requests {_plain(request, DISK)} of the disk, "
                    f"and the limit of its namespace is {default}; add resources.limits.{DISK}"
                )
                yield Finding(each, fault)
        volumes = sum(map(_size, template["spec"].get("volumes", ())), Decimal(0))
        known = [limit for limit in limits if limit is not None]
        if len(known) == len(limits) and volumes > sum(known):
            fault = (
                f"its emptyDir volumes may hold {_plain(volumes, DISK)}, but its pod is evicted at "
                f"{_plain(sum(known, Decimal(0)), DISK)}; raise resources.limits.{DISK} of a "
                "container, or lower a sizeLimit"
            )
            yield Finding(each, fault)


def _size(volume: Mapping[str, Any]) -> Decimal:
    """What a volume may hold of its node's disk, as far as it is known."""
    folder = volume.get("emptyDir") or {}
    size = quantity(folder.get("sizeLimit"))
    return Decimal(0) if size is None or folder.get("medium") == "Memory" else size


def _usage(cluster: ClusterObjects, quota: Object) -> Iterator[Usage]:
    for each, template in cluster.workloads():
        if (
            each.namespace == quota.namespace
            and each.kind != "DaemonSet"
            and _counts(quota, template["spec"])
        ):
            yield each, _most_pods(cluster, each), _per_pod(template["spec"])


def _counts(quota: Object, pod: Mapping[str, Any]) -> bool:
    """Whether a quota that is for pods of some priority classes only is for ``pod``."""
    selector = quota.body["spec"].get("scopeSelector") or {}
    return all(
        pod.get("priorityClassName") in scope["values"]
        for scope in selector.get("matchExpressions", ())
        if (scope["scopeName"], scope["operator"]) == ("PriorityClass", "In")
    )


def _most_pods(cluster: ClusterObjects, each: Object) -> int:
    spec = each.body["spec"]
    number = max(
        (
            scaler.body["spec"]["maxReplicas"]
            for scaler in cluster.of("HorizontalPodAutoscaler")
            if scaler.namespace == each.namespace
            and scaler.body["spec"]["scaleTargetRef"]["name"] == each.name
        ),
        default=spec.get("replicas", 1) if each.kind in ("Deployment", "StatefulSet") else 1,
    )
    if each.kind != "Deployment" or spec.get("strategy", {}).get("type") == "Recreate":
        return int(number)
    # Kubernetes' default is a quarter more, rounded up.
    surge = spec.get("strategy", {}).get("rollingUpdate", {}).get("maxSurge", "25%")
    share = re.fullmatch(r"(\d+)%", str(surge))
    extra = math.ceil(number * int(share[1]) / 100) if share else surge
    return int(number) + (extra if isinstance(extra, int) else 0)


def _per_pod(pod: Mapping[str, Any]) -> dict[str, Decimal]:
    """What a pod counts for: itself, and the sum of its containers, or its largest init one."""
    found = {"pods": Decimal(1)}
    for which in ("requests", "limits"):
        for resource in ("cpu", "memory", DISK):
            together = sum((_asked(one, which, resource) for one in pod["containers"]), Decimal(0))
            first = max(
                (_asked(one, which, resource) for one in pod.get("initContainers", ())),
                default=Decimal(0),
            )
            found[f"{which}.{resource}"] = max(together, first)
    return found


def _asked(container: Mapping[str, Any], which: str, resource: str) -> Decimal:
    value = ((container.get("resources") or {}).get(which) or {}).get(resource, 0)
    return quantity(value) or Decimal(0)


def _plain(number: Decimal, of: str) -> str:
    """As people write it: in Gi or Mi where it counts bytes."""
    for unit in ("Gi", "Mi") if "memory" in of or "storage" in of else ():
        if number >= _SUFFIXES[unit]:
            return f"{(number / _SUFFIXES[unit]).quantize(Decimal('0.1')).normalize():f}{unit}"
    return f"{number.normalize():f}"
