"""kube-state-metrics: the objects of a cluster as metrics.

It lists what rules and dashboards ask for and nothing else: upstream's own role reads every Secret
and ConfigMap of the cluster.
"""

from typing import ClassVar, Final

from cdk8s import App

from charts import kinds, rbac
from charts.component import Component
from charts.labels import selector
from charts.network import TO_API_SERVER, TO_DNS, allow, tcp
from charts.scheduling import PLATFORM
from charts.scrape import FROM_SCRAPERS, MONITORING, drop, monitor
from charts.security import NOBODY, RESTRICTED_CONTAINER, restricted_pod
from charts.upstream import KUBE_STATE_METRICS_IMAGE
from fleet.registry import ComponentName
from imports.k8s import ClusterRole, ClusterRoleBinding, Deployment, ObjectMeta, ServiceAccount

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


class KubeStateMetrics(Component):
    """Deployment, rights, monitor and policy."""

    NAME: ClassVar[ComponentName] = KUBE_STATE_METRICS
    NAMESPACE = MONITORING
    CLUSTER_KINDS = (kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING)

    def __init__(self, app: App) -> None:
        super().__init__(app)
        meta: ObjectMeta = {"name": KUBE_STATE_METRICS, "namespace": MONITORING}
        labels = selector(KUBE_STATE_METRICS)

        ServiceAccount(self, "account", metadata=meta, automountServiceAccountToken=False)
        ClusterRole(
            self,
            "role",
            metadata={"name": KUBE_STATE_METRICS},
            rules=[
                {"apiGroups": [group], "resources": list(names), "verbs": ["list", "watch"]}
                for group, names in RESOURCES.items()
            ],
        )
        ClusterRoleBinding(
            self,
            "binding",
            metadata={"name": KUBE_STATE_METRICS},
            roleRef=rbac.cluster_role(KUBE_STATE_METRICS),
            subjects=[rbac.account(KUBE_STATE_METRICS, MONITORING)],
        )
        Deployment(
            self,
            "deployment",
            metadata=meta,
            spec={
                "replicas": 1,
                "revisionHistoryLimit": 3,
                # Two at once would be every series twice.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": KUBE_STATE_METRICS,
                        "automountServiceAccountToken": True,
                        "enableServiceLinks": False,
                        "priorityClassName": PLATFORM,
                        "securityContext": restricted_pod(NOBODY),
                        "containers": [
                            {
                                "name": KUBE_STATE_METRICS,
                                "image": KUBE_STATE_METRICS_IMAGE,
                                "imagePullPolicy": "IfNotPresent",
                                "args": [
                                    "--port=8080",
                                    "--telemetry-port=8081",
                                    "--resources="
                                    + ",".join(
                                        sorted(
                                            name for names in RESOURCES.values() for name in names
                                        )
                                    ),
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
                                "resources": {
                                    "requests": {"cpu": "20m", "memory": "128Mi"},
                                    "limits": {"memory": "512Mi"},
                                },
                                "securityContext": RESTRICTED_CONTAINER,
                            }
                        ],
                    },
                },
            },
        )
        # A series is about the pod or node that it names, not about the pod that tells of it.
        monitor(
            self,
            KUBE_STATE_METRICS,
            namespace=MONITORING,
            labels=labels,
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
            self,
            f"{KUBE_STATE_METRICS}-telemetry",
            namespace=MONITORING,
            labels=labels,
            endpoint={"port": "telemetry"},
        )
        allow(
            self,
            KUBE_STATE_METRICS,
            namespace=MONITORING,
            labels=labels,
            ingress=[{"from": FROM_SCRAPERS, "ports": tcp("metrics", "telemetry")}],
            egress=[TO_DNS, TO_API_SERVER],
        )
