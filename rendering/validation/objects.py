"""The objects of a cluster as the checks see them: found by kind, namespace and name."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Pod": (),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where a workload has the template of its pods; a Pod is its own."""

WITH_SPEC: Final = frozenset(
    {
        *TEMPLATES,
        *(
            "Certificate",
            "HorizontalPodAutoscaler",
            "IngressRoute",
            "IngressRouteTCP",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "ResourceQuota",
            "Service",
        ),
    }
)
"""Kinds that do nothing without a spec, though the schema of some lets it be missing."""

OPERATED: Final[Mapping[str, Mapping[str, str]]] = {
    "Prometheus": {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": "k8s"},
    "PrometheusAgent": {"app.kubernetes.io/name": "prometheus-agent"},
    "Alertmanager": {"app.kubernetes.io/name": "alertmanager", "alertmanager": "main"},
}
"""Labels that Prometheus Operator v0.93.1 gives the pods of a custom resource."""

OPERATED_PORTS: Final = (
    {"name": "web", "containerPort": 9090},
    {"name": "reloader-web", "containerPort": 8080},
)
"""Ports that it gives them; checks look at the names."""

CLUSTER_SCOPED: Final = frozenset(
    {
        "APIService", "ClusterRole", "ClusterRoleBinding", "CSIDriver", "CustomResourceDefinition",
        "IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass",
        "RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
    }
)  # fmt: skip
"""Kubernetes' own kinds that have no namespace."""

Identity: TypeAlias = tuple[str, str | None, str]
"""Kind, namespace (None for a cluster-scoped object) and name."""


@dataclass(frozen=True)
class Object:
    """One object, and where it comes from: a file of dist, or the folder that builds it."""

    cluster: str
    component: str
    file: Path
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        found: str | None = self.body["metadata"].get("namespace")
        return found

    @property
    def group(self) -> str:
        group, slash, _ = str(self.body["apiVersion"]).partition("/")
        return group if slash else ""

    @property
    def is_native(self) -> bool:
        """Whether the kind is one of Kubernetes' own."""
        return "." not in self.group or self.group.endswith(".k8s.io")

    @property
    def label(self) -> str:
        """``Kind/name``, as every message calls an object."""
        return f"{self.kind}/{self.name}"

    @property
    def template(self) -> Mapping[str, Any] | None:
        """The template of the pods of a workload; None for any other kind."""
        if self.kind not in TEMPLATES:
            return None
        found: Any = self.body
        for key in TEMPLATES[self.kind]:
            found = found.get(key) or {}
        return {"metadata": {}, "spec": {}, **found}

    def __str__(self) -> str:
        return f"{self.cluster}/{self.component}: {self.label}"


class Finding(NamedTuple):
    """An object, and what is wrong with it."""

    object: Object
    fault: str


class ClusterObjects:
    """Every object of one cluster, in the order in which it was given."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self.all = tuple(objects)
        self._by_kind: dict[str, list[Object]] = defaultdict(list)
        self._by_identity: dict[Identity, Object] = {}
        for each in self.all:
            self._by_kind[each.kind].append(each)
            self._by_identity.setdefault((each.kind, each.namespace, each.name), each)

    def of(self, *kinds: str) -> Iterator[Object]:
        """The objects of some kinds."""
        for kind in kinds:
            yield from self._by_kind.get(kind, ())

    def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        return self._by_identity.get((kind, namespace, name))

    def names(self, kind: str, namespace: str | None) -> set[str]:
        """The names of the objects of a kind in a namespace."""
        return {each.name for each in self.of(kind) if each.namespace == namespace}

    def workloads(self) -> Iterator[tuple[Object, Mapping[str, Any]]]:
        """Every workload with the template of its pods."""
        for each in self.of(*TEMPLATES):
            if each.template is not None:
                yield each, each.template

    def pods(self) -> Iterator[tuple[Object, Mapping[str, Any]]]:
        """The templates of all pods: those of workloads, and those that the operator makes."""
        yield from self.workloads()
        for each in self.of(*OPERATED):
            spec = {**each.body["spec"], "containers": [{"name": "", "ports": OPERATED_PORTS}]}
            yield each, {"metadata": {"labels": OPERATED[each.kind]}, "spec": spec}

    def selected(
        self, namespace: str | None, labels: Mapping[str, str]
    ) -> list[tuple[Object, Mapping[str, Any]]]:
        """The pods of a namespace that have ``labels``."""
        return [
            (each, template)
            for each, template in self.pods()
            if each.namespace == namespace
            and labels.items() <= (template["metadata"].get("labels") or {}).items()
        ]


def containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All containers of a pod's spec, those that run before the others first."""
    return [*pod.get("initContainers", ()), *pod.get("containers", ())]


def as_selector(labels: Mapping[str, str]) -> str:
    """Labels as kubectl takes them: ``app=web, tier=front``."""
    return ", ".join(f"{key}={value}" for key, value in labels.items())
