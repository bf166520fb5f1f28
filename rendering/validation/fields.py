"""Values that the API server refuses though the schema, which says text or integer, allows them.

From kubernetes v1.34, pkg/apis/*/validation: enumerations, ranges, and fields that exclude each
other.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rendering.validation.objects import Object
from rendering.validation.schemas import choice

_ENUMS: Final[Mapping[str, Sequence[str]]] = {
    "concurrencyPolicy": ("Allow", "Forbid", "Replace"),
    "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    "externalTrafficPolicy": ("Cluster", "Local"),
    "imagePullPolicy": ("Always", "IfNotPresent", "Never"),
    "internalTrafficPolicy": ("Cluster", "Local"),
    "podManagementPolicy": ("OrderedReady", "Parallel"),
    "terminationMessagePolicy": ("FallbackToLogsOnError", "File"),
    "unhealthyPodEvictionPolicy": ("AlwaysAllow", "IfHealthyBudget"),
    "whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
}
"""Values of a field, whichever object it is in; the API's schema knows them as text only."""

_OPERATORS: Final[Mapping[str, Sequence[str]]] = {
    "tolerations": ("Equal", "Exists"),
    "matchExpressions": ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"),
    "matchFields": ("In", "NotIn"),
}

_PORT_NAMES: Final = ("containerPort", "hostPort")
_PORTS: Final = (1, 65535)
_LEAST: Final[Mapping[str, int]] = {
    "failureThreshold": 1,
    "initialDelaySeconds": 0,
    "maxSkew": 1,
    "minReadySeconds": 0,
    # Scaling to none needs a feature gate that is off.
    "minReplicas": 1,
    "periodSeconds": 1,
    "progressDeadlineSeconds": 1,
    "replicas": 0,
    "revisionHistoryLimit": 0,
    "successThreshold": 1,
    "terminationGracePeriodSeconds": 0,
    "timeoutSeconds": 1,
}

_ONE_OF: Final[Mapping[str, Sequence[str]]] = {
    **dict.fromkeys(
        ("livenessProbe", "readinessProbe", "startupProbe"),
        ("exec", "grpc", "httpGet", "tcpSocket"),
    ),
    "env": ("value", "valueFrom"),
}
"""Fields of which an item has one at most."""


_RESTARTS: Final[Mapping[str, Sequence[str]]] = {
    **dict.fromkeys(("Job", "CronJob"), ("Never", "OnFailure")),
    "Pod": ("Always", "Never", "OnFailure"),
}
_SERVICES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def has_valid_fields(each: Object) -> Iterator[str]:
    """Holds Kubernetes' own kinds to the tables; custom kinds have all this in their schema."""
    if each.kind == "CustomResourceDefinition" or not each.is_native:
        return
    yield from _faults(each.body.get("spec"), "spec", "")
    if each.kind == "Service":
        yield from _enum("spec.type", each.body["spec"].get("type", "ClusterIP"), _SERVICES)
    if each.template is not None:
        pod = each.template["spec"]
        if "restartPolicy" in pod:
            allowed = _RESTARTS.get(each.kind, ("Always",))
            yield from _enum("restartPolicy", pod["restartPolicy"], allowed)
        for container in pod.get("containers", ()):
            for probe in ("livenessProbe", "startupProbe"):
                if (container.get(probe) or {}).get("successThreshold", 1) != 1:
                    yield f"container {container['name']}: {probe}.successThreshold must be 1"


def _enum(path: str, value: object, known: Sequence[str]) -> Iterator[str]:
    if value not in known:
        yield f"{path}: {value} is not allowed; {choice(value, known)}"


def _faults(value: Any, path: str, within: str) -> Iterator[str]:
    """Faults below ``path``; ``within`` is the name of the field, or of the list, that holds it."""
    if isinstance(value, list):
        for at, inner in enumerate(value):
            name = inner.get("name", at) if isinstance(inner, dict) else at
            yield from _faults(inner, f"{path}[{name}]", within)
    if not isinstance(value, dict):
        return
    given = [key for key in _ONE_OF.get(within, ()) if key in value]
    if len(given) > 1:
        yield f"{path}: has {' and '.join(given)}; keep one"
    for key, inner in value.items():
        here = f"{path}.{key}"
        known = _OPERATORS.get(within, ()) if key == "operator" else _ENUMS.get(key, ())
        if known:
            yield from _enum(here, inner, known)
        if isinstance(inner, int):
            least = _PORTS[0] if key in _PORT_NAMES else _LEAST.get(key)
            most = _PORTS[1] if key in _PORT_NAMES else None
            if least is not None and inner < least:
                yield f"{here}: {inner} is less than {least}; give at least {least}"
            if most is not None and inner > most:
                yield f"{here}: {inner} is more than {most}; give at most {most}"
        yield from _faults(inner, here, key)
