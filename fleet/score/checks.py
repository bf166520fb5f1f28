"""What is wrong between the values of a description, each of which is sound."""

from collections.abc import Iterator

from fleet.diagnostics import Location, Problem, shown
from fleet.score.description import Description
from fleet.score.levels import TRAEFIK_BUCKETS
from fleet.score.placeholders import Part, Reference
from fleet.score.platform import Platform
from fleet.score.resources import CertificateResource, VolumeResource


def problems(description: Description) -> Iterator[Problem]:
    """What is wrong between the values of a description, each of which is sound."""
    for key, mapping, what in (
        (("containers",), description.containers, "container"),
        (("service", "ports"), description.service.ports, "port"),
    ):
        if len(mapping) != 1:
            yield Problem(
                key,
                f"has {len(mapping)} {what}s; the platform runs apps with exactly one {what}",
            )
            return
    yield from _of_tls(description)
    yield from _of_amounts(description)
    yield from _of_levels(description.platform)
    yield from _of_texts(description)
    yield from _of_volumes(description)


def _of_tls(description: Description) -> Iterator[Problem]:
    platform = description.platform
    at: Location = ("metadata", "platform")
    if platform.tls == "edge" and platform.proxy_protocol:
        yield Problem(
            (*at, "proxyProtocol"),
            "is for tls: passthrough; behind edge, read X-Forwarded-For instead",
        )
    if platform.tls == "edge" and platform.certificate_path:
        yield Problem(
            (*at, "certificatePath"), "is for tls: passthrough; Traefik ends TLS here; remove it"
        )
    if platform.tls == "edge" and platform.metrics and platform.metrics.certificate_expiry:
        yield Problem(
            (*at, "metrics", "certificateExpiry"),
            "is for tls: passthrough; Traefik serves the certificate here; remove it",
        )
    if platform.tls == "passthrough" and platform.protocol != "http":
        yield Problem(
            (*at, "protocol"), "is for tls: edge; an app with its own TLS chooses it; remove it"
        )
    certificates = [
        key
        for key, resource in description.resources.items()
        if isinstance(resource, CertificateResource)
    ]
    if platform.tls == "edge":
        for key in certificates:
            yield Problem(
                ("resources", key),
                "is a certificate, and TLS ends at Traefik; remove it, or set "
                "metadata.platform.tls to passthrough",
            )
    else:
        for key in certificates[1:]:
            yield Problem(("resources", key), "is a second certificate; an app has one")
        if not certificates:
            yield Problem(
                (*at, "tls"),
                "is passthrough, and no resource is of type certificate; add one and mount it",
            )


def _of_amounts(description: Description) -> Iterator[Problem]:
    container, scaling = description.container, description.platform.scaling
    at: Location = ("containers", description.container_name, "resources", "limits")
    usage = container.resources
    if usage.memory_limit < usage.memory_request:
        yield Problem((*at, "memory"), "is less than requests.memory; raise one or lower the other")
    if usage.cpu_limit is not None and usage.cpu_limit < usage.cpu_request:
        yield Problem((*at, "cpu"), "is less than requests.cpu; raise one or lower the other")
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


def _of_levels(platform: Platform) -> Iterator[Problem]:
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


def _of_texts(description: Description) -> Iterator[Problem]:
    container = description.container
    at: Location = ("containers", description.container_name)
    texts: list[tuple[Location, str]] = [
        *(((*at, "command", index), text) for index, text in enumerate(container.command)),
        *(((*at, "args", index), text) for index, text in enumerate(container.args)),
        *(((*at, "variables", key), text) for key, text in container.variables.items()),
    ]
    for location, text in texts:
        try:
            parts = description.parts(text)
        except ValueError as error:
            yield Problem(location, str(error))
            continue
        for part in parts:
            if isinstance(part, Reference):
                yield from _of_reference(description, location, parts, part)


def _of_reference(
    description: Description, location: Location, parts: tuple[Part, ...], part: Reference
) -> Iterator[Problem]:
    kind = description.resources[part.resource].type
    written = f"${{resources.{part.resource}.{part.output}}}"
    if kind in ("volume", "certificate"):
        yield Problem(location, f"a {kind} is no text; mount it under volumes")
    elif kind in ("secret", "pod") and (location[2] != "variables" or parts != (part,)):
        yield Problem(
            location,
            f"{shown(written)} has to be the whole value of a variable; give it one, and use it "
            "here as $(NAME)",
        )


def _of_volumes(description: Description) -> Iterator[Problem]:
    mounted: set[str] = set()
    at: Location = ("containers", description.container_name, "volumes")
    for target, mount in description.container.volumes.items():
        try:
            mounted.add(description.source(mount))
        except ValueError as error:
            yield Problem((*at, target, "source"), str(error))
            continue
        resource = description.resources[description.source(mount)]
        if isinstance(resource, CertificateResource) and not mount.read_only:
            yield Problem(
                (*at, target), "is a certificate, which nobody writes; add readOnly: true"
            )
    for key, resource in description.resources.items():
        if isinstance(resource, VolumeResource | CertificateResource) and key not in mounted:
            yield Problem(("resources", key), "is mounted nowhere; mount it, or remove it")
