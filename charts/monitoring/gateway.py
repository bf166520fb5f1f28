"""The log gateway on the hub: takes the lines that regions send, and says itself whose they are.

Traefik names the sender in a header, by the route and the password that it used. Whatever the lines
say of their own cluster is replaced by that, so a stolen password writes under its own region's
name alone. What Loki has not taken yet waits on disk; once that is full, regions are answered 503
and keep their lines.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from charts.component import Component
from charts.ingress import IngressController
from charts.labels import selector
from charts.monitoring import loki
from charts.monitoring.log_limits import LONGEST_BODY, LONGEST_FIELD, MOST_METADATA
from charts.monitoring.names import LOG_GATEWAY
from charts.monitoring.opentelemetry import (
    CONFIGURATION_FILE,
    HEALTH,
    UNUSED_METRICS,
    USER,
    container,
    file_storage,
    memory_limiter,
    otlp_exporter,
    telemetry,
    within_limits,
)
from charts.network import TO_DNS, allow, pods, tcp
from charts.scheduling import OPERATING, one_at_a_time, over_nodes
from charts.scrape import MONITORING, scraped
from charts.storage import claim
from charts.text import as_yaml, checksum
from charts.workload import REVISION_HISTORY_LIMIT, pod, resources, service_port
from fleet.registry import Fleet, Hub
from imports.k8s import (
    ConfigMap,
    Container,
    ObjectMeta,
    PodDisruptionBudget,
    Service,
    ServiceAccount,
    StatefulSet,
    StatefulSetSpec,
)

if TYPE_CHECKING:
    from constructs import Construct

PORT: Final = 4318
PUSH_PATH: Final = "/v1/logs"
"""Of OTLP over HTTP."""

CLUSTER_HEADER: Final = "X-Cluster"
"""The request header in which Traefik names the region that a password is of."""
REGION_HEADER: Final = "X-Region"
"""The request header with the label ``region`` of that region."""

QUEUE: Final = "/var/lib/log-gateway"
QUEUE_BYTES: Final = 4 * 1024 * 1024 * 1024
"""Of each pod, for all regions together. Regions keep what does not fit."""
VOLUME: Final = "10Gi"
"""The queue twice, which compaction needs, and the files' own overhead."""

LONGEST_LABEL: Final = 256
"""Bytes of a label's value. The names of namespaces, pods and containers have up to 253."""
LABELS_KEPT: Final = (*loki.INDEX_LABELS, "region")
FIELDS_KEPT: Final = MOST_METADATA // LONGEST_FIELD - 1
"""Fields of metadata of a line: more than collectors add, and few enough for their names to fit."""

META: Final[ObjectMeta] = {"name": LOG_GATEWAY, "namespace": MONITORING}
LABELS: Final = selector(LOG_GATEWAY)


def configuration() -> dict[str, Any]:
    """The gateway's configuration file, in the language of the OpenTelemetry Collector."""
    return {
        "extensions": {
            "health_check": {"endpoint": f"0.0.0.0:{HEALTH}"},
            "file_storage": file_storage(QUEUE),
        },
        "receivers": {
            "otlp": {
                "protocols": {
                    "http": {
                        "endpoint": f"0.0.0.0:{PORT}",
                        # The headers, for the processors.
                        "include_metadata": True,
                        # Uncompressed, where Traefik has counted what was sent.
                        "max_request_body_size": LONGEST_BODY,
                        "compression_algorithms": ["", "gzip"],
                    }
                }
            }
        },
        "processors": {
            "memory_limiter": memory_limiter(),
            "resource": {
                "attributes": [
                    action
                    for key, header in (("cluster", CLUSTER_HEADER), ("region", REGION_HEADER))
                    for action in (
                        # Without the header nothing would be set, and the claim would stay.
                        {"key": key, "action": "delete"},
                        {
                            "key": key,
                            "action": "insert",
                            "from_context": f"metadata.{header.lower()}",
                        },
                    )
                ]
            },
            "filter": {
                "error_mode": "propagate",
                "log_conditions": ['resource.attributes["cluster"] == nil'],
            },
            "transform": {
                "error_mode": "propagate",
                "log_statements": [
                    f"keep_keys(resource.attributes, [{_quoted(LABELS_KEPT)}])",
                    f"truncate_all(resource.attributes, {LONGEST_LABEL})",
                    # What is neither a text nor a list of fields could be of any size.
                    "set(log.body, String(log.body)) where not IsString(log.body)",
                    "flatten(log.attributes)",
                    f"limit(log.attributes, {FIELDS_KEPT}, [])",
                    *within_limits(),
                ],
            },
        },
        "exporters": {
            "otlp_http": otlp_exporter(
                f"{loki.URL}{loki.PUSH_PATH}",
                queue_bytes=QUEUE_BYTES,
                # The sender is told at once, and repeats it.
                block_on_overflow=False,
                # Loki refuses whole requests: what one region sends spoils no other's lines.
                batched_by=(CLUSTER_HEADER.lower(),),
            )
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "pipelines": {
                "logs": {
                    "receivers": ["otlp"],
                    "processors": ["memory_limiter", "resource", "filter", "transform"],
                    "exporters": ["otlp_http"],
                }
            },
            "telemetry": telemetry(),
        },
    }


def _quoted(keys: tuple[str, ...]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


@dataclass(frozen=True, kw_only=True)
class LogGateway(Component[Hub]):
    """StatefulSet of two with a volume each, their configuration, Service, budget and policy."""

    NAME = LOG_GATEWAY
    NAMESPACE = MONITORING
    REQUIRED = True
    BEHIND_TRAEFIK = True
    EXPECTED = True

    ingress: IngressController
    storage_class: str | None
    """Of the volumes; None is the default of the cluster."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(
            ingress=IngressController.of(cluster),
            storage_class=cluster.volume_class,
        )

    def add_to(self, chart: "Construct") -> None:
        text = as_yaml(configuration())
        Service(
            chart,
            "service",
            metadata=META,
            spec={"selector": LABELS, "ports": [service_port("otlp", PORT)]},
        )
        ServiceAccount(chart, "account", metadata=META, automountServiceAccountToken=False)
        ConfigMap(chart, "config", metadata=META, data={CONFIGURATION_FILE: text})
        StatefulSet(chart, "stateful-set", metadata=META, spec=self._stateful_set(checksum(text)))
        PodDisruptionBudget(chart, "budget", metadata=META, spec=one_at_a_time(LABELS))
        scraped(
            chart,
            LOG_GATEWAY,
            namespace=MONITORING,
            labels=LABELS,
            port="metrics",
            dropped=(UNUSED_METRICS,),
        )
        allow(
            chart,
            LOG_GATEWAY,
            namespace=MONITORING,
            labels=LABELS,
            ingress=[{"from": [self.ingress.pods], "ports": tcp("otlp")}],
            egress=[TO_DNS, {"to": [pods(MONITORING, loki.LABELS)], "ports": tcp("http")}],
        )

    def _stateful_set(self, annotations: dict[str, str]) -> StatefulSetSpec:
        return {
            "replicas": 2,
            "serviceName": LOG_GATEWAY,
            # They know nothing of each other.
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS, "annotations": annotations},
                "spec": {
                    **pod(
                        account=LOG_GATEWAY,
                        priority=OPERATING,
                        user=USER,
                        containers=[_container()],
                    ),
                    "topologySpreadConstraints": over_nodes(
                        LABELS, revision="controller-revision-hash"
                    ),
                    "volumes": [{"name": "config", "configMap": {"name": LOG_GATEWAY}}],
                },
            },
            "volumeClaimTemplates": [
                {"metadata": {"name": "queue"}, "spec": claim(VOLUME, self.storage_class)}
            ],
        }


def _container() -> Container:
    return {
        **container(
            LOG_GATEWAY,
            queue=QUEUE,
            heap="400MiB",
            ports=[{"name": "otlp", "containerPort": PORT}],
        ),
        "readinessProbe": {"httpGet": {"path": "/", "port": "health"}, "periodSeconds": 5},
        # After an outage it compacts its queue first.
        "startupProbe": {
            "httpGet": {"path": "/", "port": "health"},
            "periodSeconds": 5,
            "failureThreshold": 60,
        },
        "resources": resources(cpu="50m", memory="128Mi", limit="512Mi"),
    }
