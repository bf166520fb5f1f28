"""metrics-server: the CPU figures that apps' autoscalers and `kubectl top` read.

Vultr's clusters come without one. Where a provider brings its own, list metrics-server under the
cluster's ``without``.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts import kinds, rbac
from charts.component import Component
from charts.labels import selector
from charts.network import ANYBODY, EVERYWHERE, TO_API_SERVER, TO_DNS, allow, default_deny, tcp
from charts.scheduling import PLATFORM
from charts.security import RESTRICTED_CONTAINER
from charts.upstream import METRICS_SERVER_IMAGE
from charts.workload import (
    DEPLOYMENT_STRATEGY,
    REVISION_HISTORY_LIMIT,
    empty_dir,
    pod,
    resources,
    service_port,
)
from fleet.registry import Cluster, Fleet
from imports.k8s import (
    APIService,
    ClusterRole,
    ClusterRoleBinding,
    Container,
    Deployment,
    DeploymentSpec,
    ObjectMeta,
    RoleBinding,
    Service,
    ServiceAccount,
)

if TYPE_CHECKING:
    from constructs import Construct

METRICS_SERVER: Final = "metrics-server"
PORT: Final = 10250
TMP_MIB: Final = 16

META: Final[ObjectMeta] = {"name": METRICS_SERVER, "namespace": METRICS_SERVER}
LABELS: Final = selector(METRICS_SERVER)


@dataclass(frozen=True, kw_only=True)
class MetricsServer(Component[Cluster]):
    """Workload, aggregated API and rights, as in the release's components.yaml."""

    NAME = METRICS_SERVER
    NAMESPACE = METRICS_SERVER
    # Whoever serves an aggregated API reads its configuration there.
    OTHER_NAMESPACES = ("kube-system",)
    CLUSTER_KINDS = (
        kinds.NAMESPACE,
        kinds.CLUSTER_ROLE,
        kinds.CLUSTER_ROLE_BINDING,
        kinds.API_SERVICE,
    )

    @classmethod
    def of(cls, fleet: Fleet, cluster: Cluster) -> Self:
        return cls()

    def add_to(self, chart: "Construct") -> None:
        self.own_namespace(chart)
        ServiceAccount(chart, "account", metadata=META, automountServiceAccountToken=False)
        ClusterRole(
            chart,
            "cluster-role",
            metadata={"name": f"system:{METRICS_SERVER}"},
            rules=[
                {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
                {
                    "apiGroups": [""],
                    "resources": ["pods", "nodes"],
                    "verbs": ["get", "list", "watch"],
                },
            ],
        )
        # Lets everybody who may look at a namespace look at its figures.
        ClusterRole(
            chart,
            "aggregated-reader",
            metadata={
                "name": "system:aggregated-metrics-reader",
                "labels": {
                    f"rbac.authorization.k8s.io/aggregate-to-{role}": "true"
                    for role in ("admin", "edit", "view")
                },
            },
            rules=[
                {
                    "apiGroups": ["metrics.k8s.io"],
                    "resources": ["pods", "nodes"],
                    "verbs": ["get", "list", "watch"],
                }
            ],
        )
        for name, role in (
            (f"system:{METRICS_SERVER}", f"system:{METRICS_SERVER}"),
            (f"{METRICS_SERVER}:system:auth-delegator", "system:auth-delegator"),
        ):
            ClusterRoleBinding(
                chart,
                f"{role}-binding",
                metadata={"name": name},
                roleRef=rbac.cluster_role(role),
                subjects=[rbac.account(METRICS_SERVER, METRICS_SERVER)],
            )
        RoleBinding(
            chart,
            "auth-reader-binding",
            metadata={"name": "metrics-server-auth-reader", "namespace": "kube-system"},
            roleRef=rbac.role("extension-apiserver-authentication-reader"),
            subjects=[rbac.account(METRICS_SERVER, METRICS_SERVER)],
        )
        Service(
            chart,
            "service",
            metadata=META,
            spec={
                "selector": LABELS,
                "ports": [service_port("https", 443)],
            },
        )
        APIService(
            chart,
            "api",
            metadata={"name": "v1beta1.metrics.k8s.io"},
            spec={
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"name": METRICS_SERVER, "namespace": METRICS_SERVER, "port": 443},
                # It signs its own certificate at each start, as upstream ships it.
                "insecureSkipTLSVerify": True,
            },
        )
        Deployment(chart, "deployment", metadata=META, spec=_deployment())
        default_deny(chart, namespace=METRICS_SERVER)
        allow(
            chart,
            METRICS_SERVER,
            namespace=METRICS_SERVER,
            labels=LABELS,
            # The API server asks, from an address that no selector names.
            ingress=[{"from": ANYBODY, "ports": tcp("https")}],
            egress=[TO_DNS, TO_API_SERVER, {"to": EVERYWHERE, "ports": tcp(10250)}],
        )


def _deployment() -> DeploymentSpec:
    return {
        "replicas": 1,
        "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
        "strategy": DEPLOYMENT_STRATEGY,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                **pod(
                    account=METRICS_SERVER,
                    priority=PLATFORM,
                    containers=[_container()],
                    token=True,
                ),
                "volumes": [empty_dir("tmp", TMP_MIB)],
            },
        },
    }


def _container() -> Container:
    return {
        "name": METRICS_SERVER,
        "image": METRICS_SERVER_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "--cert-dir=/tmp",
            f"--secure-port={PORT}",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            "--kubelet-use-node-status-port",
            "--metric-resolution=15s",
            # Kubelets sign their serving certificates themselves unless rotation by the cluster's
            # CA is on, which VKE does not say.
            "--kubelet-insecure-tls",
        ],
        "ports": [{"name": "https", "containerPort": PORT}],
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"},
            "initialDelaySeconds": 20,
            "periodSeconds": 10,
        },
        "livenessProbe": {
            "httpGet": {"path": "/livez", "port": "https", "scheme": "HTTPS"},
            "periodSeconds": 10,
        },
        "resources": resources(cpu="50m", memory="64Mi", limit="256Mi", volumes=TMP_MIB),
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
