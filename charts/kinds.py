"""Kinds by group and name: what AppProjects and rights are written in."""

from typing import Final, NamedTuple


class GroupKind(NamedTuple):
    """A kind of Kubernetes object, whatever its version; the core group is the empty string."""

    group: str
    kind: str


NAMESPACE: Final = GroupKind("", "Namespace")
CRD: Final = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")
CLUSTER_ROLE: Final = GroupKind("rbac.authorization.k8s.io", "ClusterRole")
CLUSTER_ROLE_BINDING: Final = GroupKind("rbac.authorization.k8s.io", "ClusterRoleBinding")
MUTATING_WEBHOOK: Final = GroupKind("admissionregistration.k8s.io", "MutatingWebhookConfiguration")
VALIDATING_WEBHOOK: Final = GroupKind(
    "admissionregistration.k8s.io", "ValidatingWebhookConfiguration"
)
PRIORITY_CLASS: Final = GroupKind("scheduling.k8s.io", "PriorityClass")
INGRESS_CLASS: Final = GroupKind("networking.k8s.io", "IngressClass")
CLUSTER_ISSUER: Final = GroupKind("cert-manager.io", "ClusterIssuer")
API_SERVICE: Final = GroupKind("apiregistration.k8s.io", "APIService")

APP_KINDS: Final = (
    GroupKind("", "ConfigMap"),
    GroupKind("", "PersistentVolumeClaim"),
    GroupKind("", "Pod"),
    GroupKind("", "Service"),
    GroupKind("", "ServiceAccount"),
    GroupKind("apps", "Deployment"),
    GroupKind("apps", "ReplicaSet"),
    GroupKind("apps", "StatefulSet"),
    GroupKind("autoscaling", "HorizontalPodAutoscaler"),
    GroupKind("batch", "CronJob"),
    GroupKind("batch", "Job"),
    GroupKind("policy", "PodDisruptionBudget"),
)
"""What an app can consist of, all of it in its own namespace.

Nothing that guards it (quotas, policies, roles), that could take another app's hostname or metrics
(routes, certificates, endpoints, monitors), or that belongs outside Git (Secrets). Argo CD shows
the children of an object only if their kinds are listed too, hence Pod and ReplicaSet.
"""
