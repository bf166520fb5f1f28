"""What all our OpenTelemetry Collectors have: parts of their configuration, and their container.

They keep on disk what they cannot send yet, they repeat for ever, and they say how they are.
"""

from collections.abc import Sequence
from typing import Any, Final

from charts.monitoring.log_limits import (
    BATCH_BYTES,
    LONGEST_FIELD,
    LONGEST_LEVEL,
    LONGEST_LINE,
)
from charts.security import RESTRICTED_CONTAINER
from charts.upstream import OPENTELEMETRY_COLLECTOR_IMAGE
from imports.k8s import Container, ContainerPort, EnvVar, VolumeMount

HEALTH: Final = 13133
METRICS: Final = 8888

USER: Final = 10001
"""The user of the image."""
CONFIGURATION_FOLDER: Final = "/etc/opentelemetry-collector"
CONFIGURATION_FILE: Final = "collector.yaml"
UNUSED_METRICS: Final = "(http_client|otelcol)_.*_bucket"
"""Regular expression of what nobody asks of their metrics: three quarters of them."""


def file_storage(directory: str) -> dict[str, Any]:
    """The extension that keeps queues, and how far files are read, in ``directory``."""
    return {
        "directory": directory,
        # Otherwise a node that loses power may leave a file that no collector can open again.
        "fsync": True,
        "recreate": True,
        "compaction": {
            # After an outage the file shrinks again.
            "on_start": True,
            "on_rebound": True,
            "directory": directory,
            # A collector that is killed while it compacts leaves a copy behind.
            "cleanup_on_start": True,
        },
    }


def client_auth(folder: str) -> dict[str, Any]:
    """The extension that signs in by the files ``username`` and ``password`` in ``folder``."""
    return {
        "client_auth": {
            "username_file": f"{folder}/username",
            "password_file": f"{folder}/password",
        }
    }


def memory_limiter() -> dict[str, Any]:
    """The processor that takes nothing more when memory runs out."""
    return {
        "check_interval": "1s",
        "limit_percentage": 80,
        "spike_limit_percentage": 20,
    }


def within_limits() -> Sequence[str]:
    """Statements that cut a record down to what Loki takes with one line.

    Loki would refuse the whole line otherwise, so that whoever asks for a long enough path could
    hide the request.
    """
    return (
        (
            f"set(log.body, Substring(log.body, 0, {LONGEST_LINE}, true))"
            f" where IsString(log.body) and Len(log.body) > {LONGEST_LINE}"
        ),
        (
            f"set(log.severity_text, Substring(log.severity_text, 0, {LONGEST_LEVEL}, true))"
            f" where Len(log.severity_text) > {LONGEST_LEVEL}"
        ),
        f'truncate_all(log.attributes, {LONGEST_FIELD}, truncation_marker="…")',
    )


def otlp_exporter(
    endpoint: str,
    *,
    queue_bytes: int,
    authenticator: str | None = None,
    block_on_overflow: bool = True,
    batched_by: Sequence[str] = (),
) -> dict[str, Any]:
    """The exporter to ``endpoint``, an OTLP path for logs.

    Up to ``queue_bytes`` wait in the extension ``file_storage``; ``authenticator`` is the name of
    the extension that signs in. When the queue is full, the receiver waits for room, or with
    ``block_on_overflow`` off answers its sender so. No batch has lines of requests that differ in
    one of the headers ``batched_by``.
    """
    return {
        "logs_endpoint": endpoint,
        **({"auth": {"authenticator": authenticator}} if authenticator else {}),
        "compression": "gzip",
        "timeout": "30s",
        "retry_on_failure": {
            "enabled": True,
            "initial_interval": "1s",
            "max_interval": "30s",
            # For ever: the queue's size is the limit.
            "max_elapsed_time": 0,
        },
        "sending_queue": {
            "enabled": True,
            "storage": "file_storage",
            "sizer": "bytes",
            "queue_size": queue_bytes,
            "block_on_overflow": block_on_overflow,
            "num_consumers": 4,
            "batch": {
                "flush_timeout": "1s",
                "min_size": BATCH_BYTES // 4,
                "max_size": BATCH_BYTES,
                **({"partition": {"metadata_keys": list(batched_by)}} if batched_by else {}),
            },
        },
    }


def telemetry() -> dict[str, Any]:
    """A collector's own log and metrics."""
    return {
        "logs": {"level": "warn", "encoding": "json"},
        "metrics": {
            # Which has the number of requests sent, by their answers.
            "level": "detailed",
            "readers": [
                {
                    "pull": {
                        "exporter": {
                            "prometheus": {
                                "host": "0.0.0.0",  # noqa: S104 - in the pod
                                "port": METRICS,
                                # Names as its documentation has them.
                                "without_type_suffix": True,
                                "without_units": True,
                                "without_scope_info": True,
                            }
                        }
                    }
                }
            ],
        },
    }


def container(
    name: str,
    *,
    queue: str,
    heap: str,
    arguments: Sequence[str] = (),
    variables: Sequence[EnvVar] = (),
    ports: Sequence[ContainerPort] = (),
    mounts: Sequence[VolumeMount] = (),
) -> Container:
    """A collector's container, which mounts the volumes ``config`` and, at ``queue``, ``queue``.

    Go collects garbage before it has ``heap``. Resources are for the caller to add.
    """
    return {
        "name": name,
        "image": OPENTELEMETRY_COLLECTOR_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": [f"--config={CONFIGURATION_FOLDER}/{CONFIGURATION_FILE}", *arguments],
        "env": [*variables, {"name": "GOMEMLIMIT", "value": heap}],
        "ports": [
            *ports,
            {"name": "metrics", "containerPort": METRICS},
            {"name": "health", "containerPort": HEALTH},
        ],
        "readinessProbe": {"httpGet": {"path": "/", "port": "health"}, "periodSeconds": 10},
        "livenessProbe": {
            "httpGet": {"path": "/", "port": "health"},
            "periodSeconds": 30,
            "failureThreshold": 5,
        },
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIGURATION_FOLDER},
            {"name": "queue", "mountPath": queue},
            *mounts,
        ],
    }
