"""Values that the API server refuses though the schema, which says text or integer, allows them.

From kubernetes v1.34, pkg/apis/*/validation: enumerations, ranges, and fields that exclude each
other.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fleet.diagnostics import Location, Problem, choice, shown
from rendering.validation.objects import TEMPLATES, Object

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
    if each.is_native and each.kind != "CustomResourceDefinition":
        yield from map(str, _problems(each))


def _problems(each: Object) -> Iterator[Problem]:
    spec = each.body.get("spec")
    yield from _of_value(spec, ("spec",))
    if each.kind == "Service":
        yield from _enum(("spec", "type"), each.body["spec"].get("type", "ClusterIP"), _SERVICES)
    if each.template is not None:
        pod, location = each.template["spec"], (*TEMPLATES[each.kind], "spec")
        if "restartPolicy" in pod:
            allowed = _RESTARTS.get(each.kind, ("Always",))
            yield from _enum((*location, "restartPolicy"), pod["restartPolicy"], allowed)
        for at, container in enumerate(pod.get("containers", ())):
            for probe in ("livenessProbe", "startupProbe"):
                if (container.get(probe) or {}).get("successThreshold", 1) != 1:
                    yield Problem(
                        (*location, "containers", at, probe, "successThreshold"), "must be 1"
                    )


def _enum(location: Location, value: object, known: Sequence[str]) -> Iterator[Problem]:
    if value not in known:
        yield Problem(location, f"{shown(value)} is not allowed{choice(value, known)}")


def _of_value(value: Any, location: Location) -> Iterator[Problem]:
    """What is wrong with a value of an object, and with everything within it."""
    if isinstance(value, list):
        for at, item in enumerate(value):
            yield from _of_value(item, (*location, at))
    if not isinstance(value, dict):
        return
    # An item of a list is governed by the name of the list.
    field = next((str(part) for part in reversed(location) if isinstance(part, str)), "")
    exclusive = [key for key in _ONE_OF.get(field, ()) if key in value]
    if len(exclusive) > 1:
        yield Problem(location, f"has {' and '.join(exclusive)}; keep one")
    for key, inner in value.items():
        known = _OPERATORS.get(field, ()) if key == "operator" else _ENUMS.get(key, ())
        if known:
            yield from _enum((*location, key), inner, known)
        if isinstance(inner, int):
            yield from _range((*location, key), inner)
        yield from _of_value(inner, (*location, key))


def _range(location: Location, number: int) -> Iterator[Problem]:
    is_port = location[-1] in _PORT_NAMES
    least = _PORTS[0] if is_port else _LEAST.get(str(location[-1]))
    if least is not None and number < least:
        yield Problem(location, f"{number} is less than {least}; give at least {least}")
    if is_port and number > _PORTS[1]:
        yield Problem(location, f"{number} is more than {_PORTS[1]}; give at most {_PORTS[1]}")
