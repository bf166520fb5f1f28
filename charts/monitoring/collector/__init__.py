"""The OpenTelemetry Collector in every cluster: container logs and Kubernetes events, to Loki.

A DaemonSet reads what kubelets keep in /var/log/pods. The files belong to root with mode 0640, so
it is user 0, but with no capability at all, a read-only root, and of the host that one folder to
read and one of its own to write. One more replica takes the events, which must not be taken once
a node. Both put what Loki has not taken yet on disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from charts import kinds, rbac
from charts.component import Component
from charts.labels import selector
from charts.monitoring import ingest, loki
from charts.monitoring.collector.configuration import (
    CREDENTIALS_FOLDER,
    FEATURE_GATES,
    QUEUE,
    Part,
    configuration,
)
from charts.monitoring.names import COLLECTOR
from charts.monitoring.opentelemetry import (
    CONFIGURATION_FILE,
    CONFIGURATION_FOLDER,
    UNUSED_METRICS,
    USER,
    container,
)
from charts.monitoring.secrets import INGEST_CREDENTIALS
from charts.network import (
    EVERYWHERE,
    TO_API_SERVER,
    TO_DNS,
    allow,
    default_deny,
    pods,
    tcp,
)
from charts.scheduling import EVERY_NODE, OPERATING, SYSTEM
from charts.scrape import MONITORING, scraped
from charts.security import RESTRICTED_CONTAINER
from charts.text import as_yaml, checksum
from charts.upstream import BUSYBOX_IMAGE
from charts.workload import DAEMON_SET_STRATEGY, REVISION_HISTORY_LIMIT, empty_dir, pod, resources
from fleet.registry import Cluster, Fleet, Region
from imports.k8s import (
    ClusterRole,
    ClusterRoleBinding,
    ConfigMap,
    Container,
    DaemonSet,
    DaemonSetSpec,
    Deployment,
    DeploymentSpec,
    NetworkPolicyEgressRule,
    PodSecurityContext,
    ServiceAccount,
    Volume,
    VolumeMount,
)

if TYPE_CHECKING:
    from constructs import Construct

EVENTS_QUEUE_MIB: Final = 256
"""The disk of the queue of events, which may hold 64 MiB and compacts now and then."""
ROOT: Final[PodSecurityContext] = {
    "runAsUser": 0,
    "runAsGroup": 0,
    "seccompProfile": {"type": "RuntimeDefault"},
}

RECOVERY: Final = Path(__file__).with_name("recovery.sh").read_text("utf-8")

READS: Final[Mapping[Part, str]] = {"logs": "pods", "events": "events"}
"""What each part may read from the API server."""


@dataclass(frozen=True, kw_only=True)
class Collector(Component[Cluster]):
    """DaemonSet for logs, Deployment for events, their configuration, rights and policies."""

    NAME = COLLECTOR
    NAMESPACE = COLLECTOR
    CLUSTER_KINDS = (kinds.NAMESPACE, kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING)
    EXPECTED = True

    cluster: str
    """The label ``cluster`` of all lines."""
    region: str
    """The label ``region`` of all lines."""
    endpoint: str
    """Loki's OTLP path: on the hub Loki itself, in a region the cluster's own path at the hub."""
    authenticated: bool
    """Whether it writes by a password, as from a region."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Cluster) -> Self:
        from_region = isinstance(cluster, Region)
        return cls(
            cluster=cluster.name,
            region=cluster.region_label,
            endpoint=(
                f"https://{fleet.hub.loki_host}{ingest.LOGS.path(cluster.name)}"
                if from_region
                else f"{loki.URL}{loki.PUSH_PATH}"
            ),
            authenticated=from_region,
        )

    def add_to(self, chart: "Construct") -> None:
        self.own_namespace(chart, "privileged")
        texts = {part: self._text(part) for part in READS}
        for part, text in texts.items():
            self._add_part(chart, part, text)
        DaemonSet(
            chart,
            "logs",
            metadata={"name": "logs", "namespace": COLLECTOR},
            spec=self._logs(checksum(texts["logs"], RECOVERY)),
        )
        Deployment(
            chart,
            "events",
            metadata={"name": "events", "namespace": COLLECTOR},
            spec=self._events(checksum(texts["events"])),
        )
        default_deny(chart, namespace=COLLECTOR)

    def _add_part(self, chart: "Construct", part: Part, text: str) -> None:
        """What both parts have: account, rights, configuration, monitor and policies."""
        name = f"{COLLECTOR}-{part}"
        ServiceAccount(
            chart,
            f"{part}-account",
            metadata={"name": part, "namespace": COLLECTOR},
            automountServiceAccountToken=False,
        )
        ClusterRole(
            chart,
            f"{part}-role",
            metadata={"name": name},
            rules=[
                {"apiGroups": [""], "resources": [READS[part]], "verbs": ["get", "list", "watch"]}
            ],
        )
        ClusterRoleBinding(
            chart,
            f"{part}-binding",
            metadata={"name": name},
            roleRef=rbac.cluster_role(name),
            subjects=[rbac.account(part, COLLECTOR)],
        )
        ConfigMap(
            chart,
            f"{part}-config",
            metadata={"name": part, "namespace": COLLECTOR},
            data={
                CONFIGURATION_FILE: text,
                **({"recovery.sh": RECOVERY} if part == "logs" else {}),
            },
        )
        scraped(
            chart,
            part,
            namespace=COLLECTOR,
            labels=_labels(part),
            port="metrics",
            dropped=(UNUSED_METRICS,),
        )
        allow(
            chart,
            part,
            namespace=COLLECTOR,
            labels=_labels(part),
            egress=[TO_DNS, TO_API_SERVER, self._to_loki()],
        )

    def _text(self, part: Part) -> str:
        return as_yaml(
            configuration(
                cluster=self.cluster,
                region=self.region,
                endpoint=self.endpoint,
                authenticated=self.authenticated,
                part=part,
            )
        )

    def _to_loki(self) -> NetworkPolicyEgressRule:
        if self.authenticated:
            return {"to": EVERYWHERE, "ports": tcp(443)}
        return {"to": [pods(MONITORING, selector(loki.LOKI))], "ports": tcp("http")}

    def _logs(self, annotations: dict[str, str]) -> DaemonSetSpec:
        return {
            "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
            "updateStrategy": DAEMON_SET_STRATEGY,
            "selector": {"matchLabels": _labels("logs")},
            "template": {
                "metadata": {"labels": _labels("logs"), "annotations": annotations},
                "spec": {
                    **pod(
                        account="logs",
                        priority=SYSTEM,
                        token=True,
                        containers=[self._container("logs")],
                    ),
                    "initContainers": [_recovery()],
                    "tolerations": EVERY_NODE,
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "securityContext": ROOT,
                    "volumes": [
                        *self._volumes("logs"),
                        {
                            "name": "queue",
                            "hostPath": {"path": QUEUE, "type": "DirectoryOrCreate"},
                        },
                        {"name": "pods", "hostPath": {"path": "/var/log/pods"}},
                    ],
                },
            },
        }

    def _events(self, annotations: dict[str, str]) -> DeploymentSpec:
        return {
            "replicas": 1,
            "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
            # Two at once would be every event twice.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": _labels("events")},
            "template": {
                "metadata": {"labels": _labels("events"), "annotations": annotations},
                "spec": {
                    **pod(
                        account="events",
                        priority=OPERATING,
                        user=USER,
                        token=True,
                        containers=[self._container("events")],
                    ),
                    "volumes": [
                        *self._volumes("events"),
                        # Outlives a restart of the container, not the pod.
                        empty_dir("queue", EVENTS_QUEUE_MIB),
                    ],
                },
            },
        }

    def _container(self, part: Part) -> Container:
        mounts: list[VolumeMount] = []
        if part == "logs":
            mounts.append({"name": "pods", "mountPath": "/var/log/pods", "readOnly": True})
        if self.authenticated:
            mounts.append(
                {"name": "credentials", "mountPath": CREDENTIALS_FOLDER, "readOnly": True}
            )
        return {
            **container(
                COLLECTOR,
                queue=QUEUE,
                heap="400MiB" if part == "logs" else "100MiB",
                arguments=[f"--feature-gates={gate}" for gate in FEATURE_GATES if part == "logs"],
                variables=[
                    {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
                ],
                mounts=mounts,
            ),
            "resources": (
                resources(cpu="50m", memory="128Mi", limit="512Mi")
                if part == "logs"
                else resources(cpu="50m", memory="128Mi", limit="128Mi", volumes=EVENTS_QUEUE_MIB)
            ),
        }

    def _volumes(self, part: Part) -> list[Volume]:
        volumes: list[Volume] = [{"name": "config", "configMap": {"name": part}}]
        if self.authenticated:
            volumes.append(
                {
                    "name": "credentials",
                    "secret": {"secretName": INGEST_CREDENTIALS, "defaultMode": 0o440},
                }
            )
        return volumes


def _recovery() -> Container:
    """Puts damaged files aside, from outside: the collector's image has no shell."""
    logs = "/var/log/pods/$(POD_NAMESPACE)_$(POD_NAME)_$(POD_UID)"
    return {
        "name": "recovery",
        "image": BUSYBOX_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        # Beside the collector as long as that runs.
        "restartPolicy": "Always",
        "command": ["sh", f"{CONFIGURATION_FOLDER}/recovery.sh", QUEUE, f"{logs}/{COLLECTOR}"],
        "env": [
            {"name": f"POD_{name.upper()}", "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in (
                ("namespace", "metadata.namespace"),
                ("name", "metadata.name"),
                ("uid", "metadata.uid"),
            )
        ],
        "resources": resources(cpu="1m", memory="8Mi", limit="16Mi"),
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIGURATION_FOLDER},
            {"name": "queue", "mountPath": QUEUE},
            {"name": "pods", "mountPath": "/var/log/pods", "readOnly": True},
        ],
    }


def _labels(part: Part) -> dict[str, str]:
    return {**selector(COLLECTOR), "app.kubernetes.io/component": part}
