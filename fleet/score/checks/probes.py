"""Ports and probes: that the app can listen there, and that each probe asks one thing."""

from collections.abc import Iterator

from fleet.diagnostics import Problem
from fleet.score.description import Description

LEAST_PORT = 1024
"""Below it, a port needs a capability, which no pod of an app has."""


def of_probes(description: Description) -> Iterator[Problem]:
    container, platform = description.container, description.platform
    if description.port.target_port < LEAST_PORT:
        yield Problem(
            ("service", "ports", description.port_name, "port"),
            f"{description.port.port} needs root to listen there, which the app is not; add "
            f"targetPort, {LEAST_PORT} or more",
        )
    probes = {
        "livenessProbe": container.liveness_probe,
        "readinessProbe": container.readiness_probe,
    }
    for key, probe in probes.items():
        at = ("containers", description.container_name, key)
        if probe is None:
            continue
        if not probe.http_get and not probe.exec:
            yield Problem(at, "asks nothing; add httpGet or exec, or remove it")
        if probe.http_get and probe.http_get.host:
            for index, header in enumerate(probe.http_get.http_headers):
                if header.name.lower() == "host":
                    yield Problem(
                        (*at, "httpGet", "httpHeaders", index), "is host as well; keep one"
                    )
    if platform.grpc_health:
        at = ("metadata", "platform", "grpcHealth")
        if platform.protocol != "h2c":
            yield Problem(at, "is for protocol: h2c, in which kubelet asks; add it, or remove this")
        elif None not in probes.values():
            yield Problem(at, "asks nothing, as both probes are described; remove one of the three")
