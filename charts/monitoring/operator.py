"""Prometheus Operator: turns Prometheus, PrometheusAgent and monitors into running programs.

The namespace and the names in it are those that kube-prometheus's rules expect. Kubelets are
announced by an EndpointSlice, since Endpoints are on their way out; upstream's bundle has neither
the flag nor the right for it.
"""

from typing import ClassVar, Final

from cdk8s import App

from charts import kinds, rbac
from charts.component import Component, Patch
from charts.network import TO_API_SERVER, TO_DNS, allow, default_deny
from charts.scheduling import PLATFORM
from charts.scrape import MONITORING, scraped
from charts.upstream import PROMETHEUS_CONFIG_RELOADER_IMAGE, PROMETHEUS_OPERATOR_BUNDLE
from fleet.registry import ComponentName
from imports.k8s import ClusterRole, ClusterRoleBinding

PROMETHEUS_OPERATOR: Final = "prometheus-operator"

KUBELETS: Final = "kubelet"
"""Name of the Service in kube-system by which the operator announces the kubelets."""

# The selector of the bundle's Deployment.
LABELS: Final = {
    "app.kubernetes.io/component": "controller",
    "app.kubernetes.io/name": PROMETHEUS_OPERATOR,
}


class PrometheusOperator(Component):
    """The bundle in our namespace, its right to announce kubelets, its monitor and policies."""

    NAME: ClassVar[ComponentName] = PROMETHEUS_OPERATOR
    NAMESPACE = MONITORING
    CLUSTER_KINDS = (kinds.NAMESPACE, kinds.CRD, kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING)
    BUNDLES = (PROMETHEUS_OPERATOR_BUNDLE,)

    def __init__(self, app: App) -> None:
        super().__init__(
            app,
            patches=(_deployment(),),
            # The bundle's own is `default`.
            bundle_namespace=MONITORING,
        )
        name = f"{PROMETHEUS_OPERATOR}-kubelets"

        self.own_namespace()
        ClusterRole(
            self,
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
            self,
            "kubelets-binding",
            metadata={"name": name},
            roleRef=rbac.cluster_role(name),
            subjects=[rbac.account(PROMETHEUS_OPERATOR, MONITORING)],
        )
        default_deny(self, namespace=MONITORING)
        allow(
            self,
            PROMETHEUS_OPERATOR,
            namespace=MONITORING,
            labels=LABELS,
            egress=[TO_DNS, TO_API_SERVER],
        )
        scraped(self, PROMETHEUS_OPERATOR, namespace=MONITORING, labels=LABELS, port="http")


def _deployment() -> Patch:
    """Its arguments, which a patch can only replace as a whole, and what it leaves open."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": PROMETHEUS_OPERATOR, "namespace": "default"},
        "spec": {
            "template": {
                "spec": {
                    "priorityClassName": PLATFORM,
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
                            "resources": {
                                "requests": {"cpu": "20m", "memory": "100Mi"},
                                "limits": {"memory": "400Mi"},
                            },
                        }
                    ],
                }
            }
        },
    }
