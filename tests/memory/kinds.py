"""The kinds that an API server serves before anything is installed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Kind:
    """A kind that an API server serves."""

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    namespaced: bool = True

    def called(self, name: str) -> bool:
        """Whether kubectl takes ``name`` for it."""
        word, _, group = name.lower().partition(".")
        return word in (self.plural, self.kind.lower()) and group in ("", self.group)

    @property
    def api_versions(self) -> tuple[str, ...]:
        return tuple(f"{self.group}/{each}".removeprefix("/") for each in self.versions)

    @property
    def resource(self) -> str:
        """How messages call it."""
        return f"{self.plural}.{self.group}".rstrip(".")


def _kinds(group: str, version: str, *kinds: str, namespaced: bool = True) -> Iterator[Kind]:
    for kind in kinds:
        word = kind.lower()
        plural = word + "es" if word.endswith("s") else re.sub("y$", "ie", word) + "s"
        yield Kind(group, (version,), kind, plural, namespaced)


BUILT_IN: Final = (
    *_kinds("", "v1", "Namespace", "Node", "PersistentVolume", namespaced=False),
    *_kinds("", "v1", "ConfigMap", "Event", "LimitRange", "PersistentVolumeClaim"),
    *_kinds("", "v1", "Pod", "ResourceQuota", "Secret", "Service", "ServiceAccount"),
    *_kinds("apps", "v1", "DaemonSet", "Deployment", "StatefulSet"),
    *_kinds("batch", "v1", "CronJob", "Job"),
    *_kinds("autoscaling", "v2", "HorizontalPodAutoscaler"),
    *_kinds("policy", "v1", "PodDisruptionBudget"),
    *_kinds("networking.k8s.io", "v1", "Ingress", "NetworkPolicy"),
    *_kinds("networking.k8s.io", "v1", "IngressClass", namespaced=False),
    *_kinds("rbac.authorization.k8s.io", "v1", "Role", "RoleBinding"),
    *_kinds(
        "rbac.authorization.k8s.io", "v1", "ClusterRole", "ClusterRoleBinding", namespaced=False
    ),
    *_kinds("scheduling.k8s.io", "v1", "PriorityClass", namespaced=False),
    *_kinds("storage.k8s.io", "v1", "StorageClass", namespaced=False),
    *_kinds("apiextensions.k8s.io", "v1", "CustomResourceDefinition", namespaced=False),
    *_kinds("apiregistration.k8s.io", "v1", "APIService", namespaced=False),
    *_kinds(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        namespaced=False,
    ),
)
WORKLOADS: Final = ("DaemonSet", "Deployment", "StatefulSet")
