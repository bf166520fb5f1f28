"""References of role-based access control: a role to bind, and the account it is bound to."""

from imports.k8s import RoleRef, Subject

_GROUP = "rbac.authorization.k8s.io"


def role(name: str) -> RoleRef:
    """A Role in the namespace of the binding."""
    return {"apiGroup": _GROUP, "kind": "Role", "name": name}


def cluster_role(name: str) -> RoleRef:
    """A ClusterRole."""
    return {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name}


def account(name: str, namespace: str) -> Subject:
    """A service account, wherever it is bound."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
