"""What the pods, rollouts and Services of our own workloads have in common.

Those of apps are modelled with cdk8s-plus-27, which has words of its own for them.
"""

from collections.abc import Sequence
from typing import Final

from charts.security import NON_ROOT, restricted_pod
from imports.k8s import (
    Container,
    DaemonSetUpdateStrategy,
    DeploymentStrategy,
    PodSpec,
    ServicePort,
)

REVISION_HISTORY_LIMIT: Final = 3
"""Earlier revisions of a workload that Kubernetes keeps for a rollback."""

DEPLOYMENT_STRATEGY: Final[DeploymentStrategy] = {
    "type": "RollingUpdate",
    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
}
"""Replaces a pod only after its successor is ready."""

DAEMON_SET_STRATEGY: Final[DaemonSetUpdateStrategy] = {
    "type": "RollingUpdate",
    "rollingUpdate": {"maxUnavailable": "10%"},
}
"""Updates one node in ten concurrently."""


def pod(
    *,
    account: str,
    priority: str,
    containers: Sequence[Container],
    user: int = NON_ROOT,
    token: bool = False,
) -> PodSpec:
    """A pod that runs as the unprivileged ``user``, with the service account ``account``.

    With ``token`` its containers get a token for the API server. ``priority`` is a priority class.
    What else a workload sets goes beside it: ``{**pod(…), "volumes": […]}``.
    """
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,
        "priorityClassName": priority,
        "securityContext": restricted_pod(user),
        "containers": containers,
    }


def service_port(name: str, number: int) -> ServicePort:
    """The port ``number`` of a Service, which leads to the container's port called ``name``."""
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}
