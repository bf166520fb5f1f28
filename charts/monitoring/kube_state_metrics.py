"""kube-state-metrics: the objects of a cluster as metrics.

It lists what rules and dashboards ask for and nothing else: upstream's own role reads every Secret
and ConfigMap of the cluster.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts import kinds, rbac
from charts.component import Component
from charts.labels import selector
from charts.network import TO_API_SERVER, TO_DNS, allow, tcp
from charts.scheduling import OPERATING
from charts.scrape import FROM_SCRAPERS, MONITORING, drop, monitor
from charts.security import NOBODY, RESTRICTED_CONTAINER
from charts.upstream import KUBE_STATE_METRICS_IMAGE
from charts.workload import REVISION_HISTORY_LIMIT, pod, resources
from fleet.registry import Cluster, Fleet
from imports.k8s import (
    ClusterRole,
    ClusterRoleBinding,
    Container,
    Deployment,
    DeploymentSpec,
    ObjectMeta,
    ServiceAccount,
)

if TYPE_CHECKING:
    from constructs import Construct

KUBE_STATE_METRICS: Final = "kube-state-metrics"

RESOURCES: Final = {
    "": (
        "namespaces",
        "nodes",
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "resourcequotas",
        "services",
    ),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "policy": ("poddisruptionbudgets",),
}
"""What is listed and watched, by API group."""

META: Final[ObjectMeta] = {"name": KUBE_STATE_METRICS, "namespace": MONITORING}
LABELS: Final = selector(KUBE_STATE_METRICS)


@dataclass(frozen=True, kw_only=True)
class KubeStateMetrics(Component[Cluster]):
    """Deployment, rights, monitor and policy."""

    NAME = KUBE_STATE_METRICS
    NAMESPACE = MONITORING
    CLUSTER_KINDS = (kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING)
    EXPECTED = True

    @classmethod
    def of(cls, fleet: Fleet, cluster: Cluster) -> Self:
        return cls()

    def add_to(self, chart: "Construct") -> None:
        ServiceAccount(chart, "account", metadata=META, automountServiceAccountToken=False)
        ClusterRole(
            chart,
            "role",
            metadata={"name": KUBE_STATE_METRICS},
            rules=[
                {"apiGroups": [group], "resources": list(names), "verbs": ["list", "watch"]}
                for group, names in RESOURCES.items()
            ],
        )
        ClusterRoleBinding(
            chart,
            "binding",
            metadata={"name": KUBE_STATE_METRICS},
            roleRef=rbac.cluster_role(KUBE_STATE_METRICS),
            subjects=[rbac.account(KUBE_STATE_METRICS, MONITORING)],
        )
        Deployment(chart, "deployment", metadata=META, spec=_deployment())
        # A series is about the pod or node that it names, not about the pod that tells of it.
        monitor(
            chart,
            KUBE_STATE_METRICS,
            namespace=MONITORING,
            labels=LABELS,
            endpoint={
                "port": "metrics",
                "honorLabels": True,
                "relabelings": [
                    {"action": "labeldrop", "regex": "pod|container|namespace|endpoint"}
                ],
                "metricRelabelings": [
                    # One series a pod for each reason, condition or time that nobody asks for.
                    drop(
                        "kube_pod_tolerations",
                        "kube_pod_status_scheduled.*",
                        "kube_pod_status_qos_class",
                        "kube_pod_ips",
                        "kube_pod_service_account",
                        "kube_pod_status_initialized_time",
                        "kube_pod_status_container_ready_time",
                        "kube_replicaset_status_.*",
                        "kube_replicaset_metadata_generation",
                    )
                ],
            },
        )
        monitor(
            chart,
            f"{KUBE_STATE_METRICS}-telemetry",
            namespace=MONITORING,
            labels=LABELS,
            endpoint={"port": "telemetry"},
        )
        allow(
            chart,
            KUBE_STATE_METRICS,
            namespace=MONITORING,
            labels=LABELS,
            ingress=[{"from": FROM_SCRAPERS, "ports": tcp("metrics", "telemetry")}],
            egress=[TO_DNS, TO_API_SERVER],
        )


def _deployment() -> DeploymentSpec:
    return {
        "replicas": 1,
        "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
        # Two at once would be every series twice.
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": pod(
                account=KUBE_STATE_METRICS,
                priority=OPERATING,
                user=NOBODY,
                token=True,
                containers=[_container()],
            ),
        },
    }


def _container() -> Container:
    listed = sorted(name for names in RESOURCES.values() for name in names)
    return {
        "name": KUBE_STATE_METRICS,
        "image": KUBE_STATE_METRICS_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "--port=8080",
            "--telemetry-port=8081",
            f"--resources={','.join(listed)}",
        ],
        "ports": [
            {"name": "metrics", "containerPort": 8080},
            {"name": "telemetry", "containerPort": 8081},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "telemetry"},
            "periodSeconds": 10,
        },
        "livenessProbe": {
            "httpGet": {"path": "/livez", "port": "metrics"},
            "periodSeconds": 10,
        },
        # Grows with the objects of the cluster: 2 GiB is some 10 000 pods.
        "resources": resources(cpu="20m", memory="128Mi", limit="512Mi"),
        "securityContext": RESTRICTED_CONTAINER,
    }
