"""Pod Security "restricted", written once for every workload that we model.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from typing import Final, Literal, TypeAlias

from imports.k8s import PodSecurityContext, SecurityContext

NON_ROOT: Final = 65532
"""User and group of the distroless "nonroot" account, which Traefik's chart and our image use."""
NOBODY: Final = 65534
"""User and group "nobody", which the images of Prometheus's exporters and of Grafana use."""

RESTRICTED_CONTAINER: Final[SecurityContext] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def restricted_pod(user: int = NON_ROOT) -> PodSecurityContext:
    """The pod-level half: one unprivileged user, and the runtime's own seccomp profile."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


Level: TypeAlias = Literal["restricted", "baseline", "privileged"]


def pod_security(level: Level) -> dict[str, str]:
    """The labels by which a Namespace refuses pods that are weaker than ``level``.

    The version is left at the API server's own: a cluster upgrade may only tighten the rule.
    """
    return {
        "pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/warn": level,
        "pod-security.kubernetes.io/audit": level,
    }
