"""The configuration of a collector in the language of the OpenTelemetry Collector.

Receivers, processors and exporters, joined in one pipeline; the statements are in OTTL, its
language for transformations.
"""

from typing import Any, Final, Literal, TypeAlias

from charts.labels import NAME
from charts.monitoring.log_limits import CUT_ABOVE, LONGEST_LINE
from charts.monitoring.opentelemetry import (
    HEALTH,
    client_auth,
    file_storage,
    memory_limiter,
    otlp_exporter,
    telemetry,
    within_limits,
)

Part: TypeAlias = Literal["logs", "events"]
"""What a collector reads: container logs, on every node; Kubernetes events, once a cluster."""

FEATURE_GATES: Final = ("stanza.synchronousLogEmitter",)
"""Of the collector of logs. Without this one it notes lines as read that are in memory alone, and
loses up to two hundred of each file when it is killed."""

CREDENTIALS_FOLDER: Final = "/etc/ingest"

QUEUE: Final = "/var/lib/opentelemetry-collector"
QUEUE_BYTES: Final = 1024 * 1024 * 1024
"""Of each node: uncompressed, as Loki would be sent it. Then reading stops until there is room,
and lines wait in the kubelet's files."""
EVENTS_QUEUE_BYTES: Final = 64 * 1024 * 1024


def configuration(
    *, cluster: str, region: str, endpoint: str, authenticated: bool, part: Part
) -> dict[str, Any]:
    """The configuration file of one part, ``logs`` or ``events``.

    Lines go to ``endpoint``, Loki's OTLP path; ``authenticated`` says whether by password.
    """
    logs = part == "logs"
    where = [
        f'set(resource.attributes["cluster"], "{cluster}")',
        f'set(resource.attributes["region"], "{region}")',
    ]
    return {
        "extensions": {
            "health_check": {"endpoint": f"0.0.0.0:{HEALTH}"},
            "file_storage": file_storage(QUEUE),
            **({"basicauth": client_auth(CREDENTIALS_FOLDER)} if authenticated else {}),
        },
        "receivers": {"file_log": FILES} if logs else {"k8s_events": {}},
        "processors": {
            "memory_limiter": memory_limiter(),
            **({"k8s_attributes": POD_LABELS} if logs else {}),
            "transform": {
                # A line that is not what it looks like goes on as it is.
                "error_mode": "silent",
                "log_statements": [
                    *where,
                    *(LOG_STATEMENTS if logs else EVENT_STATEMENTS),
                    *within_limits(),
                ],
            },
        },
        "exporters": {
            "otlp_http": otlp_exporter(
                endpoint,
                queue_bytes=QUEUE_BYTES if logs else EVENTS_QUEUE_BYTES,
                authenticator="basicauth" if authenticated else None,
            )
        },
        "service": {
            "extensions": [
                "health_check",
                "file_storage",
                *(["basicauth"] if authenticated else []),
            ],
            "pipelines": {
                "logs": {
                    "receivers": ["file_log" if logs else "k8s_events"],
                    "processors": [
                        "memory_limiter",
                        *(["k8s_attributes"] if logs else []),
                        "transform",
                    ],
                    "exporters": ["otlp_http"],
                }
            },
            "telemetry": telemetry(),
        },
    }


_PATH: Final = 'attributes["log.file.path"]'

FOLDERS: Final = "/var/log/pods/*/*"
"""A folder for each container; the path says namespace, pod and container."""

FILES: Final[dict[str, Any]] = {
    # A kubelet renames a full file by date and compresses those before it.
    "include": [f"{FOLDERS}/*.log", f"{FOLDERS}/*.log.20*"],
    # What it is still compressing.
    "exclude": [f"{FOLDERS}/*.tmp"],
    "compression": "auto",
    # What a round finds in a file goes to the disk by itself: with 40 containers that log each
    # second, rounds of one second are 230 writes a second to the disk.
    "poll_interval": "5s",
    "include_file_name": False,
    "include_file_path": True,
    # Without a mark of how far it came, from the start: the lines before it was there.
    "start_at": "beginning",
    "storage": "file_storage",
    "max_log_size": LONGEST_LINE,
    "operators": [
        # The next operator knows no path of a compressed file.
        {
            "type": "add",
            "id": "path",
            "field": _PATH,
            "value": f'EXPR(trimSuffix({_PATH}, ".gz"))',
        },
        {"type": "container", "id": "container", "max_log_size": CUT_ABOVE},
    ],
    "retry_on_failure": {"enabled": True, "max_elapsed_time": 0},
}
"""The receiver of container logs: joins the runtime's partial lines, takes time and stream.

It reads the collectors' own lines as well. A request that the hub refuses makes one more of them,
and a collector logs at most a hundredth of what repeats itself, so they never feed on themselves.
"""

POD_LABELS: Final[dict[str, Any]] = {
    "auth_type": "serviceAccount",
    # Of its own node alone.
    "filter": {"node_from_env_var": "NODE_NAME"},
    "extract": {
        "metadata": [],
        "labels": [{"tag_name": "app", "key": NAME, "from": "pod"}],
    },
    "pod_association": [{"sources": [{"from": "resource_attribute", "name": "k8s.pod.uid"}]}],
    # Lines that it takes before it knows the pods would be those of another app. If it cannot ask
    # the API server, it starts again until it can; the lines wait in the kubelet's files.
    "wait_for_metadata": True,
    "wait_for_metadata_timeout": "60s",
}
"""The one thing that a path does not say: which app a pod is of."""

_RENAMED: Final = {
    "namespace": "k8s.namespace.name",
    "pod": "k8s.pod.name",
    "container": "k8s.container.name",
}
_JSON: Final = 'IsMatch(log.body, "^\\\\{.*\\\\}\\\\s*$")'
_REQUEST: Final = ("method", "path", "status")
"""The keys by which an app's line, of whatever container, is known to be about a request."""


def _known(*keys: str) -> str:
    """The condition that a line has all ``keys``, with values that metadata can have."""
    values = [f'log.cache["{key}"]' for key in dict.fromkeys(keys)]
    return " and ".join(
        f"{value} != nil and not IsMap({value}) and not IsList({value})" for value in values
    )


LOG_STATEMENTS: Final = (
    *(
        f'set(resource.attributes["{ours}"], resource.attributes["{theirs}"])'
        for ours, theirs in _RENAMED.items()
    ),
    # A pod without the recommended label is known by its container.
    (
        'set(resource.attributes["app"], resource.attributes["container"])'
        ' where resource.attributes["app"] == nil'
    ),
    'keep_keys(resource.attributes, ["cluster", "region", "namespace", "pod", "container", "app"])',
    'delete_key(log.attributes, "log.file.path")',
    f'set(log.attributes["cut"], "true") where Len(log.body) > {CUT_ABOVE}',
    # One line of JSON is a level and, of who logs requests, the request: as metadata of the line,
    # which may have any number of values. The line itself stays what it was.
    f"set(log.cache, ParseJSON(log.body)) where {_JSON}",
    (
        'set(log.severity_text, ConvertCase(log.cache["level"], "lower"))'
        ' where IsString(log.cache["level"])'
    ),
    *(
        f'set(log.attributes["{field}"], log.cache["{field}"]) where {_known(*_REQUEST, field)}'
        for field in (*_REQUEST, "seconds", "client", "request_id")
    ),
    *(
        f'set(log.attributes["{ours}"], log.cache["{theirs}"])'
        f' where resource.attributes["container"] == "traefik" and {_known(theirs)}'
        for ours, theirs in {
            "method": "RequestMethod",
            "path": "RequestPath",
            "status": "DownstreamStatus",
            "client": "ClientHost",
            "host": "RequestHost",
            "router": "RouterName",
        }.items()
    ),
    # Traefik counts nanoseconds.
    (
        'set(log.attributes["seconds"], Double(log.cache["Duration"]) / 1000000000.0)'
        ' where resource.attributes["container"] == "traefik" and log.cache["Duration"] != nil'
    ),
)
"""What becomes of a line of a container's log."""

EVENT_STATEMENTS: Final = (
    'set(resource.attributes["namespace"], log.attributes["k8s.namespace.name"])',
    'set(resource.attributes["app"], "kubernetes-events")',
    'set(log.attributes["kind"], resource.attributes["k8s.object.kind"])',
    'set(log.attributes["name"], resource.attributes["k8s.object.name"])',
    'set(log.attributes["node"], resource.attributes["k8s.node.name"])',
    'set(log.attributes["reason"], log.attributes["k8s.event.reason"])',
    'set(log.attributes["count"], log.attributes["k8s.event.count"])',
    'keep_keys(log.attributes, ["kind", "name", "node", "reason", "count"])',
    'keep_keys(resource.attributes, ["cluster", "region", "namespace", "app"])',
)
"""What becomes of an event, whose text is the line."""
