"""How kubelet sees that an app has started, is alive and is ready.

Importing this module starts Node.
"""

from typing import Any, Final, NamedTuple

import cdk8s_plus_27 as k
from cdk8s import Duration, JsonPatch

from fleet.score import Description, HttpGet, Probe

TIMEOUT: Final = Duration.seconds(2)


class Rendered(NamedTuple):
    """A probe as cdk8s-plus-27 has it, and what it has no word for."""

    construct: k.Probe
    gaps: tuple[JsonPatch, ...]


def probes_of(description: Description, pod: str) -> dict[str, Rendered]:
    """The three probes, by their keys in a container; ``pod`` is the path of the pod's spec.

    What the liveness probe asks also shows that the app has started: each second, until its time
    is up.
    """
    container, startup = description.container, description.platform.startup
    return {
        key: _rendered(description, probe, f"{pod}/containers/0/{key}", period, failures)
        for key, probe, period, failures in (
            ("startupProbe", container.liveness_probe, 1, startup),
            ("livenessProbe", container.liveness_probe, 10, 3),
            ("readinessProbe", container.readiness_probe, 5, 2),
        )
    }


def _rendered(
    description: Description, probe: Probe | None, path: str, period: int, failures: int
) -> Rendered:
    port, seconds = description.port.target_port, Duration.seconds(period)
    # Score prefers exec where a probe has both.
    if probe and probe.exec:
        command = k.Probe.from_command(
            list(probe.exec.command),
            period_seconds=seconds,
            timeout_seconds=TIMEOUT,
            failure_threshold=failures,
        )
        return Rendered(command, ())
    if probe and probe.http_get:
        request = k.Probe.from_http_get(
            probe.http_get.path,
            port=probe.http_get.port,
            scheme=k.ConnectionScheme[probe.http_get.scheme],
            period_seconds=seconds,
            timeout_seconds=TIMEOUT,
            failure_threshold=failures,
        )
        headers = _headers(probe.http_get)
        added = JsonPatch.add(f"{path}/httpGet/httpHeaders", headers)
        return Rendered(request, (added,) if headers else ())
    connection = k.Probe.from_tcp_socket(
        port=port, period_seconds=seconds, timeout_seconds=TIMEOUT, failure_threshold=failures
    )
    if not description.platform.grpc_health:
        return Rendered(connection, ())
    return Rendered(
        connection,
        (
            JsonPatch.remove(f"{path}/tcpSocket"),
            JsonPatch.add(f"{path}/grpc", {"port": port}),
        ),
    )


def _headers(request: HttpGet) -> list[dict[str, Any]]:
    """The headers of a request.

    Its host is one of them: in the probe's own field it would be where kubelet connects to, which
    Pod Security forbids.
    """
    host = [{"name": "Host", "value": request.host}] if request.host else []
    return [*host, *({"name": each.name, "value": each.value} for each in request.http_headers)]
