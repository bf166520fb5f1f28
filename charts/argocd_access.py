"""The service account through which Argo CD on the hub deploys to a region, and its rights.

The rights end at the API groups that the region's components use, and leave Secrets alone. They
include ``bind`` and ``escalate`` on roles, because components bring roles of their own: whoever
holds the token can make itself administrator of the region. Keep it like an administrator's.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from cdk8s import App

from charts import kinds, rbac
from charts.component import KEEP, Component
from charts.network import default_deny
from fleet.registry import ComponentName
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


class ArgocdAccess(Component):
    """Service account, its token Secret (filled in by the API server), and its rights."""

    NAME: ClassVar[ComponentName] = "argocd-access"
    NAMESPACE = "argocd"
    CLUSTER_KINDS = (kinds.NAMESPACE, kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING)

    def __init__(self, app: App) -> None:
        super().__init__(app)
        meta: ObjectMeta = {"name": ARGOCD_MANAGER, "namespace": self.NAMESPACE}

        self.own_namespace()
        ServiceAccount(
            self,
            "account",
            # Argo CD would cut off its own access.
            metadata={**meta, "annotations": KEEP},
            automountServiceAccountToken=False,
        )
        Secret(
            self,
            "token",
            metadata={
                "name": TOKEN_SECRET,
                "namespace": self.NAMESPACE,
                "annotations": {**KEEP, "kubernetes.io/service-account.name": ARGOCD_MANAGER},
            },
            type="kubernetes.io/service-account-token",
        )
        ClusterRole(
            self,
            "cluster-role",
            metadata={"name": ARGOCD_MANAGER, "annotations": KEEP},
            rules=RULES,
        )
        ClusterRoleBinding(
            self,
            "cluster-role-binding",
            metadata={"name": ARGOCD_MANAGER, "annotations": KEEP},
            roleRef=rbac.cluster_role(ARGOCD_MANAGER),
            subjects=[rbac.account(ARGOCD_MANAGER, self.NAMESPACE)],
        )
        # The one Secret in dist is the account's own.
        Role(
            self,
            "role",
            metadata=meta,
            rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": MANAGE}],
        )
        RoleBinding(
            self,
            "role-binding",
            metadata=meta,
            roleRef=rbac.role(ARGOCD_MANAGER),
            subjects=[rbac.account(ARGOCD_MANAGER, self.NAMESPACE)],
        )
        default_deny(self, namespace=self.NAMESPACE)
