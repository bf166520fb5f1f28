"""Loki on the hub as a single process: the logs of every cluster.

It has no sign-in of its own and needs none: the regions reach one push path through ``ingest``,
people ask through Grafana, and the policy lets nobody else in.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from cdk8s import App

from charts.component import Component
from charts.labels import selector
from charts.monitoring.collector import COLLECTOR_PODS
from charts.monitoring.secrets import LOKI_BUCKET
from charts.network import EVERYWHERE, TO_DNS, allow, pods, tcp
from charts.scheduling import PLATFORM
from charts.scrape import MONITORING, scraped
from charts.security import RESTRICTED_CONTAINER, restricted_pod
from charts.text import as_yaml, checksum
from charts.traefik import TRAEFIK_PODS
from charts.upstream import LOKI_IMAGE
from fleet.registry import ComponentName
from imports.k8s import (
    ConfigMap,
    EnvVar,
    NetworkPolicyEgressRule,
    ObjectMeta,
    Service,
    ServiceAccount,
    StatefulSet,
    Volume,
    VolumeMount,
)

LOKI: Final = "loki"
PORT: Final = 3100
URL: Final = f"http://{LOKI}.{MONITORING}.svc:{PORT}"
TLS_SECRET: Final = "loki-tls"

CREDENTIALS_FOLDER: Final = "/etc/loki-bucket"

USER: Final = 10001
DATA: Final = "/var/loki"

INDEX_LABELS: Final = ("cluster", "namespace", "pod", "container", "app")
"""What a stream of log lines is: the same names that metrics have. All else is metadata."""

LONGEST_LINE: Final = 256 * 1024


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
            "grpc_server_max_recv_msg_size": 16 * 1024 * 1024,
            "grpc_server_max_send_msg_size": 16 * 1024 * 1024,
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


class Loki(Component):
    """StatefulSet of one, its volume, configuration, Service and policy."""

    NAME: ClassVar[ComponentName] = LOKI
    NAMESPACE = MONITORING
    BEHIND_TRAEFIK = True

    def __init__(
        self,
        app: App,
        *,
        retention: str,
        storage: str,
        storage_class: str | None,
        bucket: Bucket | None,
    ) -> None:
        """Lines are kept for ``retention``, in ``bucket`` or on a volume of size ``storage``.

        With a bucket the volume still holds what is not uploaded yet.
        """
        super().__init__(app)
        meta: ObjectMeta = {"name": LOKI, "namespace": MONITORING}
        labels = selector(LOKI)
        egress: list[NetworkPolicyEgressRule] = [TO_DNS]
        text = as_yaml(configuration(retention=retention, bucket=bucket))
        env: list[EnvVar] = []
        mounts: list[VolumeMount] = [
            {"name": "config", "mountPath": "/etc/loki"},
            {"name": "data", "mountPath": DATA},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the container
        ]
        volumes: list[Volume] = [
            {"name": "config", "configMap": {"name": LOKI}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        ]
        if bucket:
            egress.append({"to": EVERYWHERE, "ports": tcp(urlsplit(bucket.url).port or 443)})
            # By file, as no process then has it in its environment.
            env.append(
                {
                    "name": "AWS_SHARED_CREDENTIALS_FILE",
                    "value": f"{CREDENTIALS_FOLDER}/credentials",
                }
            )
            mounts.append({"name": "bucket", "mountPath": CREDENTIALS_FOLDER, "readOnly": True})
            volumes.append(
                {
                    "name": "bucket",
                    "secret": {"secretName": LOKI_BUCKET, "defaultMode": 0o440},
                }
            )

        ServiceAccount(self, "account", metadata=meta, automountServiceAccountToken=False)
        ConfigMap(self, "config", metadata=meta, data={"loki.yaml": text})
        Service(
            self,
            "service",
            metadata=meta,
            spec={
                "selector": labels,
                "ports": [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}],
            },
        )
        StatefulSet(
            self,
            "stateful-set",
            metadata=meta,
            spec={
                "replicas": 1,
                "serviceName": LOKI,
                # Of one, so in no order; and only so is a pod that cannot start replaced by
                # a better one.
                "podManagementPolicy": "Parallel",
                "revisionHistoryLimit": 3,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": checksum(text)},
                    "spec": {
                        "serviceAccountName": LOKI,
                        "automountServiceAccountToken": False,
                        "enableServiceLinks": False,
                        "priorityClassName": PLATFORM,
                        # Time to write what is in memory.
                        "terminationGracePeriodSeconds": 300,
                        "securityContext": restricted_pod(USER),
                        "containers": [
                            {
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
                                "resources": {
                                    "requests": {"cpu": "200m", "memory": "512Mi"},
                                    "limits": {"memory": "2Gi"},
                                },
                                "securityContext": RESTRICTED_CONTAINER,
                                "volumeMounts": mounts,
                            }
                        ],
                        "volumes": volumes,
                    },
                },
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "data"},
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": storage}},
                            **({"storageClassName": storage_class} if storage_class else {}),
                        },
                    }
                ],
            },
        )
        scraped(self, LOKI, namespace=MONITORING, labels=labels, port="http")
        allow(
            self,
            LOKI,
            namespace=MONITORING,
            labels=labels,
            ingress=[
                {
                    "from": [TRAEFIK_PODS, COLLECTOR_PODS, pods(MONITORING, selector("grafana"))],
                    "ports": tcp("http"),
                }
            ],
            egress=egress,
        )
