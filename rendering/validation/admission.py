"""What the API server refuses though the schema allows it: the relations between fields.

Schemas say which fields there are and of which type. These checks follow the validation that the
API server adds to them (kubernetes v1.34, pkg/apis/*/validation), as far as what we and overlays
write can break it, and the quotas that a namespace sets.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from rendering.validation import fields, quotas
from rendering.validation.objects import ClusterObjects, Finding, Object, as_selector, containers

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LABEL_KEY: Final = re.compile(
    rf"({_SUBDOMAIN.pattern}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
)
_LONGEST_LABEL: Final = 63
_LONGEST_NAME: Final = 253
_LONGEST_PORT_NAME: Final = 15

_NAMED_LIKE_PATHS: Final = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
_NAMED_BY_A_LABEL: Final = ("Namespace", "Service")


def check(cluster: ClusterObjects) -> Iterator[Finding]:
    for each in cluster.all:
        for rule in OBJECT_RULES:
            yield from (Finding(each, fault) for fault in rule(each))
    yield from quotas.fits_its_quota(cluster)
    yield from quotas.fits_its_disk(cluster)


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
        if not _LABEL_KEY.fullmatch(str(key)):
            yield f"label {key}: is no valid key; write one such as example.org/team"
        if not _LABEL_VALUE.fullmatch(str(value)) or len(str(value)) > _LONGEST_LABEL:
            yield (
                f"label {key}: {value} is no valid label value; use at most {_LONGEST_LABEL} "
                "letters, digits, hyphens, dots and underscores"
            )


def _labels(each: Object) -> Iterator[tuple[str, Any]]:
    """The labels of an object and of the template of its pods."""
    for holder in (each.body, each.template or {}):
        yield from ((holder.get("metadata") or {}).get("labels") or {}).items()


def rolls_out(each: Object) -> Iterator[str]:
    if each.kind != "Deployment":
        return
    strategy = each.body["spec"].get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    where = "spec.strategy"
    if strategy.get("type", "RollingUpdate") not in ("Recreate", "RollingUpdate"):
        yield f"{where}.type: {strategy['type']} is not allowed; one of Recreate, RollingUpdate"
    if strategy.get("type") == "Recreate" and rolling:
        yield f"{where}: Recreate allows no rollingUpdate; set rollingUpdate: null as well"
    for key in ("maxSurge", "maxUnavailable"):
        if not re.fullmatch(r"\d+%?", str(rolling.get(key, 0))):
            yield f"{where}.rollingUpdate.{key}: {rolling[key]} is neither number nor percentage"
    if {str(rolling.get(key, "25%")).rstrip("%") for key in ("maxSurge", "maxUnavailable")} == {
        "0"
    }:
        yield f"{where}.rollingUpdate: maxSurge and maxUnavailable are 0; raise one"


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
                f"spec.selector asks for {as_selector(wanted)}, which its pods do not have; "
                "write the same labels in both"
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
    quotas.has_valid_quantities,
    has_whole_containers,
    selects_its_own_pods,
    scales_within_its_bounds,
    bounds_one_side,
    fields.has_valid_fields,
    rolls_out,
)
