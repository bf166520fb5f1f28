"""node_exporter on every node: metrics of the machine itself.

It sees the host's network, processes and files, so its namespace is one of the two that Pod
Security leaves open. It listens on the node's internal address alone: a node of Vultr's has a
public one as well, and no NetworkPolicy holds for the host's network.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts import kinds
from charts.component import Component
from charts.labels import selector
from charts.network import default_deny
from charts.scheduling import EVERY_NODE, SYSTEM
from charts.scrape import drop, monitor
from charts.security import NOBODY, RESTRICTED_CONTAINER
from charts.upstream import NODE_EXPORTER_IMAGE
from charts.workload import DAEMON_SET_STRATEGY, REVISION_HISTORY_LIMIT, pod, resources
from fleet.registry import Cluster, Fleet
from imports.k8s import Container, DaemonSet, DaemonSetSpec, ObjectMeta, ServiceAccount

if TYPE_CHECKING:
    from constructs import Construct

NODE_EXPORTER: Final = "node-exporter"
PORT: Final = 9100

# Interfaces of pods, by the names that container networks give them: each pod would be a series.
POD_INTERFACES: Final = "^(veth.*|cali.*|[a-f0-9]{15})$"

META: Final[ObjectMeta] = {"name": NODE_EXPORTER, "namespace": NODE_EXPORTER}
LABELS: Final = selector(NODE_EXPORTER)


@dataclass(frozen=True, kw_only=True)
class NodeExporter(Component[Cluster]):
    """The DaemonSet and its monitor."""

    NAME = NODE_EXPORTER
    NAMESPACE = NODE_EXPORTER
    CLUSTER_KINDS = (kinds.NAMESPACE,)
    EXPECTED = True

    @classmethod
    def of(cls, fleet: Fleet, cluster: Cluster) -> Self:
        return cls()

    def add_to(self, chart: "Construct") -> None:
        self.own_namespace(chart, "privileged")
        ServiceAccount(chart, "account", metadata=META, automountServiceAccountToken=False)
        DaemonSet(chart, "daemon-set", metadata=META, spec=_daemon_set())
        # Dashboards and rules know a node by its name, not by an address and a port.
        monitor(
            chart,
            NODE_EXPORTER,
            namespace=NODE_EXPORTER,
            labels=LABELS,
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
        default_deny(chart, namespace=NODE_EXPORTER)


def _daemon_set() -> DaemonSetSpec:
    return {
        "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
        "updateStrategy": DAEMON_SET_STRATEGY,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                **pod(
                    account=NODE_EXPORTER,
                    priority=SYSTEM,
                    user=NOBODY,
                    containers=[_container()],
                ),
                "tolerations": EVERY_NODE,
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "hostNetwork": True,
                "hostPID": True,
                "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
            },
        },
    }


def _container() -> Container:
    return {
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
        "resources": resources(cpu="20m", memory="32Mi", limit="180Mi"),
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
