"""node_exporter on every node: metrics of the machine itself.

It sees the host's network, processes and files, so its namespace is one of the two that Pod
Security leaves open. It listens on the node's internal address alone: a node of Vultr's has a
public one as well, and no NetworkPolicy holds for the host's network.
"""

from typing import ClassVar, Final

from cdk8s import App

from charts import kinds
from charts.component import Component
from charts.labels import selector
from charts.network import default_deny
from charts.scheduling import EVERY_NODE, SYSTEM
from charts.scrape import drop, monitor
from charts.security import NOBODY, RESTRICTED_CONTAINER, restricted_pod
from charts.upstream import NODE_EXPORTER_IMAGE
from fleet.registry import ComponentName
from imports.k8s import DaemonSet, ObjectMeta, ServiceAccount

NODE_EXPORTER: Final = "node-exporter"
PORT: Final = 9100

# Interfaces of pods, by the names that container networks give them: each pod would be a series.
POD_INTERFACES: Final = "^(veth.*|cali.*|[a-f0-9]{15})$"


class NodeExporter(Component):
    """The DaemonSet and its monitor."""

    NAME: ClassVar[ComponentName] = NODE_EXPORTER
    NAMESPACE = NODE_EXPORTER
    CLUSTER_KINDS = (kinds.NAMESPACE,)

    def __init__(self, app: App) -> None:
        super().__init__(app)
        meta: ObjectMeta = {"name": NODE_EXPORTER, "namespace": NODE_EXPORTER}
        labels = selector(NODE_EXPORTER)

        self.own_namespace("privileged")
        ServiceAccount(self, "account", metadata=meta, automountServiceAccountToken=False)
        DaemonSet(
            self,
            "daemon-set",
            metadata=meta,
            spec={
                "revisionHistoryLimit": 3,
                "updateStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": "10%"},
                },
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": NODE_EXPORTER,
                        "automountServiceAccountToken": False,
                        "enableServiceLinks": False,
                        "priorityClassName": SYSTEM,
                        "tolerations": EVERY_NODE,
                        "nodeSelector": {"kubernetes.io/os": "linux"},
                        "hostNetwork": True,
                        "hostPID": True,
                        "securityContext": restricted_pod(NOBODY),
                        "containers": [
                            {
                                "name": NODE_EXPORTER,
                                "image": NODE_EXPORTER_IMAGE,
                                "imagePullPolicy": "IfNotPresent",
                                "args": [
                                    f"--web.listen-address=[$(NODE_ADDRESS)]:{PORT}",
                                    "--path.rootfs=/host",
                                    "--path.procfs=/host/proc",
                                    "--path.sysfs=/host/sys",
                                    "--path.udev.data=/host/run/udev/data",
                                    # Machines without radio, sensors or that file system.
                                    "--no-collector.wifi",
                                    "--no-collector.hwmon",
                                    "--no-collector.btrfs",
                                    (
                                        "--collector.filesystem.mount-points-exclude="
                                        "^/(dev|proc|sys|run|var/lib/(kubelet|containerd)/.+)($|/)"
                                    ),
                                    f"--collector.netclass.ignored-devices={POD_INTERFACES}",
                                    f"--collector.netdev.device-exclude={POD_INTERFACES}",
                                ],
                                "env": [
                                    {
                                        "name": "NODE_ADDRESS",
                                        "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}},
                                    }
                                ],
                                "ports": [{"name": "metrics", "containerPort": PORT}],
                                "readinessProbe": {
                                    "httpGet": {"path": "/", "port": "metrics"},
                                    "periodSeconds": 10,
                                },
                                "livenessProbe": {
                                    "httpGet": {"path": "/", "port": "metrics"},
                                    "periodSeconds": 30,
                                },
                                "resources": {
                                    "requests": {"cpu": "20m", "memory": "32Mi"},
                                    "limits": {"memory": "180Mi"},
                                },
                                "securityContext": RESTRICTED_CONTAINER,
                                "volumeMounts": [
                                    {
                                        "name": "host",
                                        "mountPath": "/host",
                                        "readOnly": True,
                                        "mountPropagation": "HostToContainer",
                                    }
                                ],
                            }
                        ],
                        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
                    },
                },
            },
        )
        # Dashboards and rules know a node by its name, not by an address and a port.
        monitor(
            self,
            NODE_EXPORTER,
            namespace=NODE_EXPORTER,
            labels=labels,
            endpoint={
                "port": "metrics",
                "relabelings": [
                    {
                        "sourceLabels": ["__meta_kubernetes_pod_node_name"],
                        "targetLabel": "instance",
                    }
                ],
                # A series a system call or a scrape of its own, for no dashboard or rule.
                "metricRelabelings": [drop("node_scrape_collector_.*", "promhttp_.*")],
            },
        )
        default_deny(self, namespace=NODE_EXPORTER)
