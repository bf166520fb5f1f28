"""Prometheus Operator: turns Prometheus, PrometheusAgent and monitors into running programs.

The namespace and the names in it are those that kube-prometheus's rules expect. Kubelets are
announced by an EndpointSlice, since Endpoints are on their way out; upstream's bundle has neither
the flag nor the right for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypedDict, cast

from charts import kinds, rbac
from charts.component import Component, JsonPatch, Patch
from charts.network import TO_API_SERVER, TO_DNS, allow, default_deny
from charts.scheduling import OPERATING
from charts.scrape import MONITORING, scraped
from charts.upstream import PROMETHEUS_CONFIG_RELOADER_IMAGE, PROMETHEUS_OPERATOR_BUNDLE
from charts.workload import disk, resources, service_port
from fleet.registry import Cluster, Fleet
from imports.k8s import ClusterRole, ClusterRoleBinding, ServicePort
from imports.monitoring import Container, PodSecurityContext, ResourceRequirements

if TYPE_CHECKING:
    from constructs import Construct

PROMETHEUS_OPERATOR: Final = "prometheus-operator"

KUBELETS: Final = "kubelet"
"""Name of the Service in kube-system by which the operator announces the kubelets."""

# The selector of the bundle's Deployment.
LABELS: Final = {
    "app.kubernetes.io/component": "controller",
    "app.kubernetes.io/name": PROMETHEUS_OPERATOR,
}


class OperatedPods(TypedDict):
    """What Prometheus, PrometheusAgent and Alertmanager all say of the operator's pods."""

    serviceAccountName: str
    automountServiceAccountToken: bool
    enableServiceLinks: bool
    priorityClassName: str
    securityContext: PodSecurityContext
    containers: list[Container]
    initContainers: list[Container]


def operated_pods(*, account: str, token: bool) -> OperatedPods:
    """Pods that run unprivileged, with the service account ``account``.

    With ``token`` their containers get a token for the API server.
    """
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,
        "priorityClassName": OPERATING,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 2000,
            "fsGroup": 2000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # What the operator adds to each pod; it has options for their CPU and memory alone.
        "containers": [_reloader("config-reloader")],
        "initContainers": [_reloader("init-config-reloader")],
    }


def _reloader(name: str) -> Container:
    return {"name": name, "resources": cast(ResourceRequirements, disk())}


def operated_resources(*, cpu: str, memory: str, limit: str) -> ResourceRequirements:
    """The ``resources`` of a pod's main container, for a custom resource of the operator."""
    return cast(ResourceRequirements, resources(cpu=cpu, memory=memory, limit=limit))


def web_ports(port: int) -> list[ServicePort]:
    """Ports of a Service of the operator's pods: the program's own, and its reloader's."""
    return [service_port("web", port), service_port("reloader-web", 8080)]


@dataclass(frozen=True, kw_only=True)
class PrometheusOperator(Component[Cluster]):
    """The bundle in our namespace, its right to announce kubelets, its monitor and policies."""

    NAME = PROMETHEUS_OPERATOR
    NAMESPACE = MONITORING
    REQUIRED = True
    CLUSTER_KINDS = (kinds.NAMESPACE, kinds.CRD, kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING)
    EXPECTED = True
    BUNDLES = (PROMETHEUS_OPERATOR_BUNDLE,)
    # The bundle's own is `default`.
    BUNDLE_NAMESPACE = MONITORING

    @classmethod
    def of(cls, fleet: Fleet, cluster: Cluster) -> Self:
        return cls()

    def add_to(self, chart: "Construct") -> None:
        name = f"{PROMETHEUS_OPERATOR}-kubelets"

        self.own_namespace(chart)
        ClusterRole(
            chart,
            "kubelets-role",
            metadata={"name": name},
            rules=[
                {
                    "apiGroups": ["discovery.k8s.io"],
                    "resources": ["endpointslices"],
                    "verbs": ["get", "list", "create", "update", "delete"],
                }
            ],
        )
        ClusterRoleBinding(
            chart,
            "kubelets-binding",
            metadata={"name": name},
            roleRef=rbac.cluster_role(name),
            subjects=[rbac.account(PROMETHEUS_OPERATOR, MONITORING)],
        )
        default_deny(chart, namespace=MONITORING)
        allow(
            chart,
            PROMETHEUS_OPERATOR,
            namespace=MONITORING,
            labels=LABELS,
            egress=[TO_DNS, TO_API_SERVER],
        )
        scraped(chart, PROMETHEUS_OPERATOR, namespace=MONITORING, labels=LABELS, port="http")

    @property
    def patches(self) -> Sequence[Patch | JsonPatch]:
        return (_deployment(),)


def _deployment() -> Patch:
    """Its arguments, which a patch can only replace as a whole, and what it leaves open."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": PROMETHEUS_OPERATOR, "namespace": "default"},
        "spec": {
            "template": {
                "spec": {
                    "priorityClassName": OPERATING,
                    "containers": [
                        {
                            "name": PROMETHEUS_OPERATOR,
                            "args": [
                                f"--kubelet-service=kube-system/{KUBELETS}",
                                "--kubelet-endpoints=false",
                                "--kubelet-endpointslice=true",
                                f"--prometheus-config-reloader={PROMETHEUS_CONFIG_RELOADER_IMAGE}",
                                # Else it is throttled for all that it does.
                                "--config-reloader-cpu-limit=0",
                                "--watch-referenced-objects-in-all-namespaces=true",
                                "--disable-unmanaged-prometheus-configuration=true",
                            ],
                            "readinessProbe": {
                                "httpGet": {"path": "/healthz", "port": "http"},
                                "periodSeconds": 10,
                            },
                            "livenessProbe": {
                                "httpGet": {"path": "/healthz", "port": "http"},
                                "periodSeconds": 20,
                            },
                            # Its memory grows with the Secrets and ConfigMaps of the cluster.
                            "resources": resources(cpu="20m", memory="100Mi", limit="400Mi"),
                        }
                    ],
                }
            }
        },
    }
