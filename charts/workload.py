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
    ResourceRequirements,
    ServicePort,
    Volume,
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

LOGS_MIB: Final = 50
"""What a kubelet keeps of a container's log lines: five files of 10 MiB, by its defaults
(``containerLogMaxFiles`` and ``containerLogMaxSize``)."""
DISK_MIB: Final = 5 * LOGS_MIB
"""What a container may have on its node's disk; beyond that, its pod is evicted.

A kubelet looks at log files every ten seconds (``containerLogMonitorInterval``), so the newest one
may grow far beyond 10 MiB before it is rotated.
"""


def disk(volumes: int = 0) -> ResourceRequirements:
    """A container's share of its node's disk.

    ``volumes`` is how many MiB the pod's ``emptyDir`` volumes may hold: a kubelet counts them with
    the pod's containers, so one container needs room for all of them.
    """
    return {
        # Without a request, Kubernetes takes the limit for one.
        "requests": {"ephemeral-storage": f"{LOGS_MIB}Mi"},
        "limits": {"ephemeral-storage": f"{DISK_MIB + volumes}Mi"},
    }


def resources(*, cpu: str, memory: str, limit: str, volumes: int = 0) -> ResourceRequirements:
    """What a container requests, its ``limit`` of memory, and its share of the disk.

    ``volumes`` is as in ``disk``.
    """
    share = disk(volumes)
    return {
        "requests": {"cpu": cpu, "memory": memory, **share["requests"]},
        "limits": {"memory": limit, **share["limits"]},
    }


def empty_dir(name: str, size: int) -> Volume:
    """A volume on the node's disk, of at most ``size`` MiB, that is gone with its pod."""
    return {"name": name, "emptyDir": {"sizeLimit": f"{size}Mi"}}


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
