"""The service account through which Argo CD on the hub deploys to a region, and its rights.

The rights end at the API groups that the region's components use, and leave Secrets alone. They
include ``bind`` and ``escalate`` on roles, because components bring roles of their own: whoever
holds the token can make itself administrator of the region. Keep it like an administrator's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts import kinds, rbac
from charts.component import KEEP, Component
from charts.network import default_deny
from fleet.registry import Fleet, Region
from imports.k8s import (
    ClusterRole,
    ClusterRoleBinding,
    ObjectMeta,
    PolicyRule,
    Role,
    RoleBinding,
    Secret,
    ServiceAccount,
)

if TYPE_CHECKING:
    from constructs import Construct

ARGOCD_MANAGER: Final = "argocd-manager"
"""Name that `argocd cluster add` uses as well."""
TOKEN_SECRET: Final = f"{ARGOCD_MANAGER}-token"

READ: Final = ("get", "list", "watch")
MANAGE: Final = (*READ, "create", "update", "patch", "delete")

RULES: Final[Sequence[PolicyRule]] = (
    {
        "apiGroups": [""],
        "resources": [
            "configmaps",
            "limitranges",
            "namespaces",
            "persistentvolumeclaims",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ],
        "verbs": MANAGE,
    },
    {
        "apiGroups": [
            "admissionregistration.k8s.io",
            "apiextensions.k8s.io",
            "apiregistration.k8s.io",
            "apps",
            "autoscaling",
            "batch",
            "cert-manager.io",
            "acme.cert-manager.io",
            "monitoring.coreos.com",
            "networking.k8s.io",
            "policy",
            "scheduling.k8s.io",
            "traefik.io",
        ],
        "resources": ["*"],
        "verbs": MANAGE,
    },
    {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterrolebindings", "clusterroles", "rolebindings", "roles"],
        "verbs": (*MANAGE, "bind", "escalate"),
    },
    # What the tree of an Application shows, and the restart and log buttons.
    {"apiGroups": [""], "resources": ["endpoints", "events", "nodes", "pods/log"], "verbs": READ},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    {"apiGroups": [""], "resources": ["pods"], "verbs": (*READ, "delete")},
)


@dataclass(frozen=True, kw_only=True)
class ArgocdAccess(Component[Region]):
    """Service account, its token Secret (filled in by the API server), and its rights."""

    NAME = "argocd-access"
    NAMESPACE = "argocd"
    REQUIRED = True
    CLUSTER_KINDS = (kinds.NAMESPACE, kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING)

    @classmethod
    def of(cls, fleet: Fleet, cluster: Region) -> Self:
        return cls()

    def add_to(self, chart: "Construct") -> None:
        meta: ObjectMeta = {"name": ARGOCD_MANAGER, "namespace": self.NAMESPACE}

        self.own_namespace(chart)
        ServiceAccount(
            chart,
            "account",
            # Argo CD would cut off its own access.
            metadata={**meta, "annotations": KEEP},
            automountServiceAccountToken=False,
        )
        Secret(
            chart,
            "token",
            metadata={
                "name": TOKEN_SECRET,
                "namespace": self.NAMESPACE,
                "annotations": {**KEEP, "kubernetes.io/service-account.name": ARGOCD_MANAGER},
            },
            type="kubernetes.io/service-account-token",
        )
        ClusterRole(
            chart,
            "cluster-role",
            metadata={"name": ARGOCD_MANAGER, "annotations": KEEP},
            rules=RULES,
        )
        ClusterRoleBinding(
            chart,
            "cluster-role-binding",
            metadata={"name": ARGOCD_MANAGER, "annotations": KEEP},
            roleRef=rbac.cluster_role(ARGOCD_MANAGER),
            subjects=[rbac.account(ARGOCD_MANAGER, self.NAMESPACE)],
        )
        # The one Secret in dist is the account's own.
        Role(
            chart,
            "role",
            metadata=meta,
            rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": MANAGE}],
        )
        RoleBinding(
            chart,
            "role-binding",
            metadata=meta,
            roleRef=rbac.role(ARGOCD_MANAGER),
            subjects=[rbac.account(ARGOCD_MANAGER, self.NAMESPACE)],
        )
        default_deny(chart, namespace=self.NAMESPACE)
