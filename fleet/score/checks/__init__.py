"""What is wrong between the values of a description, each of which is sound."""

from collections.abc import Iterator

from fleet.diagnostics import Location, Problem
from fleet.score.checks.amounts import of_amounts, of_levels
from fleet.score.checks.jobs import of_jobs
from fleet.score.checks.probes import of_probes
from fleet.score.checks.resources import of_resources
from fleet.score.checks.texts import of_texts
from fleet.score.description import Description
from fleet.score.resources import CertificateResource


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
    yield from of_probes(description)
    yield from of_amounts(description)
    yield from of_levels(description.platform)
    yield from of_texts(description)
    yield from of_resources(description)
    yield from of_jobs(description)


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
