"""What the API server refuses though the schema allows it: the relations between fields.

Schemas say which fields there are and of which type. These checks follow the validation that the
API server adds to them (kubernetes v1.34, pkg/apis/*/validation), as far as what we and overlays
write can break it, and the quotas that a namespace sets.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from fleet.validation.objects import ClusterObjects, Finding, Object, containers

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

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LONGEST_LABEL: Final = 63
_LONGEST_NAME: Final = 253
_LONGEST_PORT_NAME: Final = 15

_NAMED_LIKE_PATHS: Final = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
_NAMED_BY_A_LABEL: Final = ("Namespace", "Service")


def quantity(value: object) -> Decimal | None:
    """The number that a quantity such as ``500m`` or ``2Gi`` stands for; None if it is none."""
    found = _QUANTITY.fullmatch(str(value))
    if not found or isinstance(value, bool):
        return None
    number, suffix, exponent = found.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SUFFIXES[suffix or ""])


def check(cluster: ClusterObjects) -> Iterator[Finding]:
    for each in cluster.all:
        for rule in OBJECT_RULES:
            yield from (Finding(each, fault) for fault in rule(each))
    for cluster_rule in CLUSTER_RULES:
        yield from cluster_rule(cluster)


def has_valid_names(each: Object) -> Iterator[str]:
    name = each.name
    if each.kind in _NAMED_LIKE_PATHS:
        wrong = name in ("", ".", "..") or "/" in name or "%" in name
    elif each.kind in _NAMED_BY_A_LABEL:
        wrong = not _LABEL.fullmatch(name) or len(name) > _LONGEST_LABEL
    else:
        wrong = not _SUBDOMAIN.fullmatch(name) or len(name) > _LONGEST_NAME
    if wrong:
        yield (
            f"metadata.name: {name} is no valid name; use lower-case letters, digits and inner "
            "hyphens, and not too many"
        )
    for key, value in _labels(each):
        if not _LABEL_VALUE.fullmatch(str(value)) or len(str(value)) > _LONGEST_LABEL:
            yield (
                f"label {key}: {value} is no valid label value; use at most {_LONGEST_LABEL} "
                "letters, digits, hyphens, dots and underscores"
            )


def _labels(each: Object) -> Iterator[tuple[str, Any]]:
    """The labels of an object and of the template of its pods."""
    for holder in (each.body, each.template or {}):
        yield from ((holder.get("metadata") or {}).get("labels") or {}).items()


def has_valid_quantities(each: Object) -> Iterator[str]:
    """CPU, memory and storage, wherever an object has ``resources``, and the limits of quotas."""
    for path, value in _quantities(each.body, ""):
        if quantity(value) is None:
            yield f"{path}: {value} is no quantity; write one such as 500m, 128Mi or 2Gi"
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


def _quantities(body: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    # A CustomResourceDefinition describes fields of these names; none of them is a quantity.
    if body["kind"] == "CustomResourceDefinition":
        return
    for where, resources in _resources(body, path):
        for which in ("requests", "limits"):
            for name, value in (resources.get(which) or {}).items():
                yield f"{where}.{which}.{name}", value
    if body["kind"] == "ResourceQuota":
        for name, value in (body["spec"].get("hard") or {}).items():
            yield f"spec.hard.{name}", value


def has_whole_containers(each: Object) -> Iterator[str]:
    """Each container has a name of its own and an image; what it mounts is there."""
    if each.template is None:
        return
    pod = each.template["spec"]
    names: set[str] = set()
    volumes = {volume["name"] for volume in pod.get("volumes", ())}
    volumes |= {
        claim["metadata"]["name"] for claim in each.body["spec"].get("volumeClaimTemplates", ())
    }
    if not pod.get("containers"):
        yield "its pods have no container; add one"
    for container in containers(pod):
        name = container["name"]
        where = f"container {name}"
        if not container.get("image"):
            others = [one["name"] for one in containers(pod) if one.get("image")]
            yield (
                f"{where} has no image; name an existing container ({', '.join(others)}) or give "
                "the new one an image"
            )
        if name in names:
            yield f"{where} is there twice; give each its own name"
        names.add(name)
        for mount in container.get("volumeMounts", ()):
            if mount["name"] not in volumes:
                yield f"{where} mounts volume {mount['name']}, which the pod does not have; add it"
        ports = [port["name"] for port in container.get("ports", ()) if "name" in port]
        for port in dict.fromkeys(ports):
            if ports.count(port) > 1:
                yield f"{where} has two ports with the name {port}; give each its own"
            if len(port) > _LONGEST_PORT_NAME or not _LABEL.fullmatch(port):
                yield (
                    f"{where}: {port} is no name of a port; use at most {_LONGEST_PORT_NAME} "
                    "lower-case letters, digits and hyphens"
                )


def selects_its_own_pods(each: Object) -> Iterator[str]:
    """kube-linter: mismatching-selector."""
    if each.kind in ("Deployment", "StatefulSet", "DaemonSet") and each.template is not None:
        wanted = each.body["spec"].get("selector", {}).get("matchLabels", {})
        labels = each.template["metadata"].get("labels") or {}
        if not wanted.items() <= labels.items():
            yield (
                f"spec.selector asks for {_shown(wanted)}, which its pods do not have; write the "
                "same labels in both"
            )


def scales_within_its_bounds(each: Object) -> Iterator[str]:
    if each.kind == "HorizontalPodAutoscaler":
        least, most = each.body["spec"].get("minReplicas", 1), each.body["spec"]["maxReplicas"]
        if least > most:
            yield f"spec.minReplicas: {least} is more than maxReplicas {most}; lower it"
        if most < 1:
            yield f"spec.maxReplicas: {most} is less than 1; give at least 1"


def bounds_one_side(each: Object) -> Iterator[str]:
    if each.kind == "PodDisruptionBudget" and {"minAvailable", "maxUnavailable"} <= {
        *each.body["spec"]
    }:
        yield "spec has both minAvailable and maxUnavailable; keep one"


OBJECT_RULES: Final[Sequence[Callable[[Object], Iterator[str]]]] = (
    has_valid_names,
    has_valid_quantities,
    has_whole_containers,
    selects_its_own_pods,
    scales_within_its_bounds,
    bounds_one_side,
)

Usage: TypeAlias = tuple[Object, int, Mapping[str, Decimal]]
"""A workload, the most pods that it may have, and what one of them counts for in a quota."""


def fits_its_quota(cluster: ClusterObjects) -> Iterator[Finding]:
    """At its largest, during a rollout, a namespace stays within its ResourceQuota.

    DaemonSets are left out, as their pods are as many as the nodes.
    """
    for each in cluster.of("ResourceQuota"):
        uses = list(_usage(cluster, each.namespace))
        for name, value in (each.body["spec"].get("hard") or {}).items():
            hard = quantity(value)
            used = sum(
                (number * per_pod.get(name, Decimal(0)) for _, number, per_pod in uses), Decimal(0)
            )
            if hard is not None and used > hard:
                of = ", ".join(
                    f"{workload.label} with up to {number} pods"
                    for workload, number, per_pod in uses
                    if per_pod.get(name)
                )
                fault = (
                    f"spec.hard.{name}: is {value}, and {of} may need {_plain(used)}; lower the "
                    "number of pods or what they ask for, or raise the quota"
                )
                yield Finding(each, fault)


def _usage(cluster: ClusterObjects, namespace: str | None) -> Iterator[Usage]:
    for each, template in cluster.workloads():
        if each.namespace == namespace and each.kind != "DaemonSet":
            yield each, _most_pods(cluster, each), _per_pod(template["spec"])


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
    if isinstance(surge, str):
        surge = math.ceil(number * int(surge.removesuffix("%")) / 100)
    return int(number + surge)


def _per_pod(pod: Mapping[str, Any]) -> dict[str, Decimal]:
    """What a pod counts for: itself, and the sum of its containers, or its largest init one."""
    found = {"pods": Decimal(1)}
    for which in ("requests", "limits"):
        for resource in ("cpu", "memory", "ephemeral-storage"):
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


def _plain(number: Decimal) -> str:
    """As people write it: in Gi or Mi where it is many bytes."""
    for unit in ("Gi", "Mi"):
        if number >= _SUFFIXES[unit]:
            return f"{(number / _SUFFIXES[unit]).quantize(Decimal('0.1')).normalize():f}{unit}"
    return f"{number.normalize():f}"


def _shown(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())


CLUSTER_RULES: Final[Sequence[Callable[[ClusterObjects], Iterator[Finding]]]] = (fits_its_quota,)
