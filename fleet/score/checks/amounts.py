"""Amounts, numbers of pods and service levels, against each other."""

from collections.abc import Iterator

from fleet.diagnostics import Location, Problem
from fleet.score.description import Description
from fleet.score.levels import TRAEFIK_BUCKETS
from fleet.score.platform import Platform
from fleet.score.workload import Resources


def of_usage(usage: Resources, at: Location) -> Iterator[Problem]:
    if usage.memory_limit < usage.memory_request:
        yield Problem(
            (*at, "limits", "memory"), "is less than requests.memory; raise one or lower the other"
        )
    if usage.cpu_limit is not None and usage.cpu_limit < usage.cpu_request:
        yield Problem(
            (*at, "limits", "cpu"), "is less than requests.cpu; raise one or lower the other"
        )


def of_amounts(description: Description) -> Iterator[Problem]:
    container, scaling = description.container, description.platform.scaling
    yield from of_usage(
        container.resources, ("containers", description.container_name, "resources")
    )
    if scaling.max < scaling.min:
        yield Problem(
            ("metadata", "platform", "scaling", "max"),
            f"{scaling.max} is less than min {scaling.min}; raise it",
        )
    metrics, port = description.platform.metrics, description.port
    if metrics and metrics.port != port.target_port and description.port_name == "metrics":
        yield Problem(
            ("service", "ports", "metrics"),
            "has the name of the metrics' own port; call it by what it serves, such as http",
        )


def of_levels(platform: Platform) -> Iterator[Problem]:
    at: Location = ("metadata", "platform", "serviceLevels")
    levels = platform.levels
    if platform.measured_by == "app" and not platform.metrics:
        yield Problem(at, "are measured by the app's metrics, and it has none; add metrics")
    if platform.measured_by != "traefik":
        return
    if platform.tls == "passthrough":
        yield Problem(
            (*at, "measuredBy"),
            "is for tls: edge; Traefik sees no request in a connection that it passes through; "
            "write app or nobody",
        )
    if levels.ignored_routes:
        yield Problem(
            (*at, "ignoredRoutes"),
            "is for measuredBy: app; Traefik knows no routes of the app; remove one of the two",
        )
    if levels.seconds not in TRAEFIK_BUCKETS:
        yield Problem(
            (*at, "seconds"),
            f"{levels.seconds:g} is no bucket of Traefik's histogram; choose one of "
            f"{', '.join(f'{bound:g}' for bound in TRAEFIK_BUCKETS)}",
        )
