"""Every public hostname of the fleet, and which clusters probe it: never the one that serves it.

The hub probes every region, and the next region of the registry does so too, as long as both can
report. The hub itself is probed by the first two regions. So each hostname is probed from two
places, and the number of probes grows with the number of hostnames.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, Literal, TypeAlias

from charts.argocd import SERVER
from charts.monitoring import ingest
from charts.monitoring.names import BLACKBOX_EXPORTER, PROMETHEUS_AGENT
from charts.tenant import apps
from fleet.registry import Cluster, Fleet, Hub, Region
from fleet.score import Description

PLACES: Final = 2
"""From how many clusters each hostname is probed, if the fleet has as many others."""

Request: TypeAlias = Literal["https", "tls"]
"""A GET request over TLS, or no more than the TLS handshake."""


@dataclass(frozen=True, kw_only=True)
class Hostname:
    """A public hostname, and how it is asked whether it is served."""

    cluster: str
    """The cluster that serves it."""
    app: str
    """The app behind it: one of a region, or a page of the hub."""
    host: str
    request: Request
    path: str
    """For ``https``: what is requested."""
    certificate: str
    """Name of the Certificate for it."""
    trusted: bool
    """Whether clients trust its certificate, which is not so for those of staging."""

    @property
    def target(self) -> str:
        """As the exporter takes it."""
        return f"https://{self.host}{self.path}" if self.request == "https" else f"{self.host}:443"


def hostnames(fleet: Fleet, cluster: Cluster) -> tuple[Hostname, ...]:
    """The hostnames that ``cluster`` serves."""
    if isinstance(cluster, Hub):
        return tuple(_of_hub(fleet, cluster))
    if isinstance(cluster, Region):
        return tuple(_of_app(cluster, app) for app in apps(cluster))
    return ()


def _of_hub(fleet: Fleet, hub: Hub) -> Iterator[Hostname]:
    pages = {
        "argocd": (hub.argocd_host, SERVER),
        "grafana": (hub.grafana_host, "grafana"),
        "prometheus": (hub.prometheus_host, "prometheus"),
    }
    # Without a region that sends log lines, nothing answers to Loki's name.
    if any(ingest.LOGS in ingest.Sender.of(region).signals for region in fleet.regions):
        pages["loki"] = (hub.loki_host, "loki")
    for app, (host, certificate) in pages.items():
        yield Hostname(
            cluster=hub.name,
            app=app,
            host=host,
            request="https",
            path="/",
            certificate=certificate,
            trusted=hub.is_trusted,
        )


def _of_app(region: Region, app: Description) -> Hostname:
    # A gRPC server need not answer a GET request. The exporter's own gRPC prober asks without a
    # deadline (prober/grpc.go of v0.28.0), so that a dead load balancer would go unnoticed.
    request: Request = "tls" if app.platform.protocol == "h2c" else "https"
    return Hostname(
        cluster=region.name,
        app=app.name,
        host=region.host(app.name),
        request=request,
        path=app.seen_at,
        certificate=app.name,
        trusted=region.is_trusted,
    )


def places(fleet: Fleet) -> Mapping[str, tuple[str, ...]]:
    """Names of the clusters that probe the hostnames of each cluster, by its name."""
    regions = [(region.name, _reports(region)) for region in fleet.regions]
    reporting = (name for name, reports in regions if reports)
    found = {fleet.hub.name: tuple(islice(reporting, PLACES))}
    hub = [fleet.hub.name] if BLACKBOX_EXPORTER in fleet.hub.components else []
    for at, (name, _) in enumerate(regions):
        # In a circle: after the last region comes the first.
        others = chain(islice(regions, at + 1, None), islice(regions, at))
        after = (other for other, reports in others if reports)
        found[name] = (*hub, *islice(after, PLACES - len(hub)))
    return found


def probed_by(fleet: Fleet, cluster: Cluster) -> tuple[Hostname, ...]:
    """The hostnames of other clusters that ``cluster`` probes."""
    probers = places(fleet)
    return tuple(
        hostname
        for other in fleet.clusters
        if cluster.name in probers[other.name]
        for hostname in hostnames(fleet, other)
    )


def _reports(region: Region) -> bool:
    """Whether the region can probe, and send what it finds to the hub."""
    return {BLACKBOX_EXPORTER, PROMETHEUS_AGENT} <= set(region.components)
