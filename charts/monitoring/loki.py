"""Loki on the hub as a single process: the logs of every cluster.

It has no sign-in of its own and needs none: regions send to the log gateway, people ask through
Grafana, and the policy lets in these two and the hub's own collectors.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from charts.component import Component
from charts.labels import selector
from charts.monitoring.log_limits import (
    LARGEST_MESSAGE,
    LONGEST_LINE,
    MOST_FIELDS,
    MOST_METADATA,
)
from charts.monitoring.names import COLLECTOR, LOG_GATEWAY
from charts.monitoring.secrets import LOKI_BUCKET
from charts.network import EVERYWHERE, TO_DNS, allow, pods, tcp
from charts.scheduling import OPERATING
from charts.scrape import MONITORING, scraped
from charts.security import RESTRICTED_CONTAINER
from charts.storage import claim
from charts.text import as_yaml, checksum
from charts.upstream import LOKI_IMAGE
from charts.workload import REVISION_HISTORY_LIMIT, empty_dir, pod, resources, service_port
from fleet.registry import Fleet, Hub
from imports.k8s import (
    ConfigMap,
    Container,
    EnvVar,
    NetworkPolicyEgressRule,
    ObjectMeta,
    Service,
    ServiceAccount,
    StatefulSet,
    StatefulSetSpec,
    Volume,
    VolumeMount,
)

if TYPE_CHECKING:
    from constructs import Construct

LOKI: Final = "loki"
PORT: Final = 3100
TMP_MIB: Final = 256
URL: Final = f"http://{LOKI}.{MONITORING}.svc:{PORT}"
PUSH_PATH: Final = "/otlp/v1/logs"
TLS_SECRET: Final = "loki-tls"

META: Final[ObjectMeta] = {"name": LOKI, "namespace": MONITORING}
LABELS: Final = selector(LOKI)

CREDENTIALS_FOLDER: Final = "/etc/loki-bucket"

USER: Final = 10001
DATA: Final = "/var/loki"

INDEX_LABELS: Final = ("cluster", "namespace", "pod", "container", "app")
"""What a stream of log lines is: the same names that metrics have. All else is metadata."""


@dataclass(frozen=True)
class Bucket:
    """Where Loki keeps lines: a URL with the bucket as its path, and the region it is in."""

    url: str
    region: str


def configuration(*, retention: str, bucket: Bucket | None) -> dict[str, Any]:
    """Loki's configuration file.

    Chunks and index go to ``bucket``, or without one to the volume.
    """
    store = "s3" if bucket else "filesystem"
    storage: dict[str, Any] = {
        "filesystem": {
            "chunks_directory": f"{DATA}/chunks",
            # It has no rules, and does not start without a folder for them.
            "rules_directory": f"{DATA}/rules",
        }
    }
    if bucket:
        url = urlsplit(bucket.url)
        storage = {
            "s3": {
                "endpoint": url.netloc,
                "region": bucket.region,
                "bucketnames": url.path.strip("/"),
                "s3forcepathstyle": True,
            }
        }
    return {
        "auth_enabled": False,
        "analytics": {"reporting_enabled": False},
        "server": {
            "http_listen_port": PORT,
            # Its parts talk to each other over this one; nobody else has to.
            "grpc_listen_address": "127.0.0.1",
            "grpc_listen_port": 9095,
            "grpc_server_max_recv_msg_size": LARGEST_MESSAGE,
            "grpc_server_max_send_msg_size": LARGEST_MESSAGE,
            "log_format": "json",
            "log_level": "warn",
        },
        "common": {
            "path_prefix": DATA,
            "replication_factor": 1,
            "instance_addr": "127.0.0.1",
            "ring": {"kvstore": {"store": "inmemory"}},
            "storage": storage,
        },
        "schema_config": {
            "configs": [
                {
                    "from": "2026-01-01",
                    "store": "tsdb",
                    "object_store": store,
                    "schema": "v13",
                    # Retention works by whole days alone.
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "ingester": {
            # Lines that are not in a chunk yet outlive a restart.
            "wal": {"enabled": True, "dir": f"{DATA}/wal", "replay_memory_ceiling": "500MB"},
            "chunk_idle_period": "30m",
            "max_chunk_age": "2h",
        },
        "compactor": {
            "working_directory": f"{DATA}/compactor",
            "retention_enabled": True,
            "delete_request_store": store,
        },
        "limits_config": {
            "retention_period": retention,
            # What a collector kept on disk for days is still taken.
            "reject_old_samples_max_age": "168h",
            "ingestion_rate_mb": 16,
            "ingestion_burst_size_mb": 32,
            "per_stream_rate_limit": "8MB",
            "per_stream_rate_limit_burst": "16MB",
            "max_global_streams_per_user": 20_000,
            "max_line_size": LONGEST_LINE,
            "max_line_size_truncate": True,
            "max_structured_metadata_size": MOST_METADATA,
            "max_structured_metadata_entries_count": MOST_FIELDS,
            "max_query_lookback": retention,
            "volume_enabled": True,
            "discover_service_name": [],
            "otlp_config": {
                "resource_attributes": {
                    "ignore_defaults": True,
                    "attributes_config": [
                        {"action": "index_label", "attributes": list(INDEX_LABELS)}
                    ],
                }
            },
        },
    }


@dataclass(frozen=True, kw_only=True)
class Loki(Component[Hub]):
    """StatefulSet of one, its volume, configuration, Service and policy."""

    NAME = LOKI
    NAMESPACE = MONITORING
    REQUIRED = True

    retention: str
    """How long it keeps lines."""
    storage: str
    """The size of its volume, which with a bucket holds what is not uploaded yet."""
    storage_class: str | None
    """Of its volume; None is the default of the cluster."""
    bucket: Bucket | None
    """Where it keeps lines, instead of on its volume."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        url = cluster.logs_bucket
        return cls(
            retention=cluster.logs_retention,
            storage=cluster.logs_storage,
            storage_class=cluster.volume_class,
            bucket=Bucket(url, cluster.logs_region) if url else None,
        )

    def add_to(self, chart: "Construct") -> None:
        text = as_yaml(configuration(retention=self.retention, bucket=self.bucket))
        ServiceAccount(chart, "account", metadata=META, automountServiceAccountToken=False)
        ConfigMap(chart, "config", metadata=META, data={"loki.yaml": text})
        Service(
            chart,
            "service",
            metadata=META,
            spec={
                "selector": LABELS,
                "ports": [service_port("http", PORT)],
            },
        )
        StatefulSet(chart, "stateful-set", metadata=META, spec=self._stateful_set(checksum(text)))
        scraped(chart, LOKI, namespace=MONITORING, labels=LABELS, port="http")
        allow(
            chart,
            LOKI,
            namespace=MONITORING,
            labels=LABELS,
            ingress=[
                {
                    "from": [
                        pods(MONITORING, selector(LOG_GATEWAY)),
                        pods(COLLECTOR, selector(COLLECTOR)),
                        pods(MONITORING, selector("grafana")),
                    ],
                    "ports": tcp("http"),
                }
            ],
            egress=self._egress(),
        )

    def _egress(self) -> list[NetworkPolicyEgressRule]:
        if self.bucket is None:
            return [TO_DNS]
        return [TO_DNS, {"to": EVERYWHERE, "ports": tcp(urlsplit(self.bucket.url).port or 443)}]

    def _stateful_set(self, annotations: dict[str, str]) -> StatefulSetSpec:
        return {
            "replicas": 1,
            "serviceName": LOKI,
            # Of one, so in no order; and only so is a pod that cannot start replaced by a better
            # one.
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS, "annotations": annotations},
                "spec": {
                    **pod(
                        account=LOKI,
                        priority=OPERATING,
                        user=USER,
                        containers=[self._container()],
                    ),
                    # Time to write what is in memory.
                    "terminationGracePeriodSeconds": 300,
                    "volumes": self._volumes(),
                },
            },
            "volumeClaimTemplates": [
                {"metadata": {"name": "data"}, "spec": claim(self.storage, self.storage_class)}
            ],
        }

    def _container(self) -> Container:
        env: list[EnvVar] = []
        mounts: list[VolumeMount] = [
            {"name": "config", "mountPath": "/etc/loki"},
            {"name": "data", "mountPath": DATA},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the container
        ]
        if self.bucket:
            # By file, as no process then has it in its environment.
            env.append(
                {
                    "name": "AWS_SHARED_CREDENTIALS_FILE",
                    "value": f"{CREDENTIALS_FOLDER}/credentials",
                }
            )
            mounts.append({"name": "bucket", "mountPath": CREDENTIALS_FOLDER, "readOnly": True})
        return {
            "name": LOKI,
            "image": LOKI_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": ["-config.file=/etc/loki/loki.yaml", "-target=all"],
            "env": env,
            "ports": [{"name": "http", "containerPort": PORT}],
            # It is ready some 15 seconds after its ring is.
            "readinessProbe": {
                "httpGet": {"path": "/ready", "port": "http"},
                "periodSeconds": 5,
                "failureThreshold": 3,
            },
            "livenessProbe": {
                "httpGet": {"path": "/metrics", "port": "http"},
                "periodSeconds": 30,
                "timeoutSeconds": 10,
                "failureThreshold": 5,
            },
            "startupProbe": {
                "httpGet": {"path": "/metrics", "port": "http"},
                "periodSeconds": 5,
                "timeoutSeconds": 5,
                "failureThreshold": 120,
            },
            "resources": resources(cpu="200m", memory="512Mi", limit="2Gi", volumes=TMP_MIB),
            "securityContext": RESTRICTED_CONTAINER,
            "volumeMounts": mounts,
        }

    def _volumes(self) -> list[Volume]:
        volumes: list[Volume] = [
            {"name": "config", "configMap": {"name": LOKI}},
            empty_dir("tmp", TMP_MIB),
        ]
        if self.bucket:
            volumes.append(
                {
                    "name": "bucket",
                    "secret": {"secretName": LOKI_BUCKET, "defaultMode": 0o440},
                }
            )
        return volumes
