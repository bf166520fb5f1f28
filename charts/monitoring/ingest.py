"""Routes by which the regions send to the hub: a path, a credential and limits for each region.

A region writes to paths of its own, so that its credential opens nothing else, can be taken back
alone, and so that Traefik counts its requests, and refusals, apart from everybody's. The path is
replaced by the one push path of the program behind, whatever was asked for, and a header says which
region it was. Only the log gateway heeds the header yet: samples may claim to be of any cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts.cert_manager import issuer_of, serving_certificate
from charts.component import Component
from charts.ingress import PAGES, IngressController, lead_to, leading_to, try_again
from charts.monitoring import gateway, loki, prometheus
from charts.monitoring.log_limits import LONGEST_BODY
from charts.monitoring.names import COLLECTOR, LOG_GATEWAY, PROMETHEUS_AGENT
from charts.monitoring.secrets import ingest_user
from charts.scrape import MONITORING
from fleet.registry import Fleet, Hub, Region
from imports.traefik import (
    IngressRoute,
    IngressRouteSpec,
    Middleware,
    MiddlewareSpec,
    RouteMiddleware,
    SourceCriterion,
)

if TYPE_CHECKING:
    from constructs import Construct

REQUESTS_A_SECOND: Final = 50
"""Of each region and kind: a hundred times what it sends when nothing waits."""
CONCURRENT_REQUESTS: Final = 32
"""Of each region and kind: Traefik holds as many bodies in memory, of LONGEST_BODY at most."""

# All that a route takes has the same host, so each route counts by itself.
EACH_ROUTE: Final[SourceCriterion] = {"requestHost": True}

# No name begins with "ingest-", as those of the regions' middlewares do.
LIMITS: Final[Mapping[str, MiddlewareSpec]] = {
    "rate-limit": {
        "rateLimit": {
            "average": REQUESTS_A_SECOND,
            "burst": 2 * REQUESTS_A_SECOND,
            "sourceCriterion": EACH_ROUTE,
        }
    },
    "concurrency-limit": {
        "inFlightReq": {"amount": CONCURRENT_REQUESTS, "sourceCriterion": EACH_ROUTE}
    },
    "size-limit": {
        "buffering": {
            "maxRequestBodyBytes": LONGEST_BODY,
            # All in memory: Traefik's root is read-only.
            "memRequestBodyBytes": LONGEST_BODY,
        }
    },
}
"""Middlewares that limit what each region may send, by their names."""


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A kind of what regions send, and where it goes."""

    name: str
    suffix: str
    """What the paths of the regions have after their names."""
    push_path: str
    """Of the program behind, in the hub."""
    service: str
    port: str
    tls_secret: str

    def path(self, cluster: str) -> str:
        """The path that ``cluster`` writes to."""
        return f"/{cluster}{self.suffix}"

    def route(self, cluster: str) -> str:
        """Name of the route of ``cluster``, by which Traefik counts."""
        return f"{self.name}-{cluster}"


METRICS: Final = Signal(
    name="metrics",
    suffix=prometheus.WRITE_PATH,
    push_path=prometheus.WRITE_PATH,
    service=prometheus.PROMETHEUS,
    port="web",
    tls_secret=prometheus.TLS_SECRET,
)
LOGS: Final = Signal(
    name="logs",
    suffix="/otlp/v1/logs",
    push_path=gateway.PUSH_PATH,
    service=LOG_GATEWAY,
    port="otlp",
    tls_secret=loki.TLS_SECRET,
)


SENT_BY: Final[Mapping[str, Signal]] = {PROMETHEUS_AGENT: METRICS, COLLECTOR: LOGS}
"""What a region sends, by the component that sends it."""


@dataclass(frozen=True)
class Sender:
    """A region, and what it sends."""

    cluster: str
    region: str
    """The label ``region`` of all that it sends."""
    signals: tuple[Signal, ...]

    @classmethod
    def of(cls, region: Region) -> Self:
        """The signals of the components that ``region`` has."""
        components = region.components
        return cls(
            region.name,
            region.region_label,
            tuple(SENT_BY[name] for name in SENT_BY if name in components),
        )


@dataclass(frozen=True, kw_only=True)
class Ingest(Component[Hub]):
    """Routes, credentials by reference, limits, and the certificate of Loki's name."""

    NAME = "ingest"
    NAMESPACE = MONITORING
    REQUIRED = True
    OTHER_NAMESPACES = (PAGES,)
    BEHIND_TRAEFIK = True

    senders: tuple[Sender, ...]
    prometheus_host: str
    """The hub's name for Prometheus."""
    loki_host: str
    """The hub's name for Loki."""
    issuer: str
    """The ClusterIssuer of the certificate of ``loki_host``."""
    ingress: IngressController

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(
            senders=tuple(map(Sender.of, fleet.regions)),
            prometheus_host=cluster.prometheus_host,
            loki_host=cluster.loki_host,
            issuer=issuer_of(cluster),
            ingress=IngressController.of(cluster),
        )

    def add_to(self, chart: "Construct") -> None:
        # Prometheus has one for its pages already. Without a route Traefik would not serve it.
        if any(LOGS in sender.signals for sender in self.senders):
            serving_certificate(
                chart,
                namespace=PAGES,
                name=loki.LOKI,
                secret=loki.TLS_SECRET,
                host=self.loki_host,
                issuer=self.issuer,
            )
            # That of metrics is among the routes of Prometheus's pages, which would take them over.
            IngressRoute(
                chart,
                "logs-of-nobody",
                metadata={"name": LOGS.name, "namespace": PAGES},
                spec=self.ingress.https_route(
                    LOGS.tls_secret,
                    try_again(
                        self.loki_host,
                        [
                            LOGS.path(sender.cluster)
                            for sender in self.senders
                            if LOGS in sender.signals
                        ],
                    ),
                ),
            )
        # Traefik answers 404 for a route whose Service is missing, and collectors give up what is
        # answered so. In one folder, Argo CD applies the Service first.
        lead_to(chart, LOG_GATEWAY, namespace=MONITORING, port=LOGS.port, number=gateway.PORT)
        for name, limit in LIMITS.items():
            Middleware(chart, name, metadata={"name": name, "namespace": PAGES}, spec=limit)
        for signal in (METRICS, LOGS):
            Middleware(
                chart,
                f"{signal.name}-path",
                metadata={"name": f"{signal.name}-push-path", "namespace": PAGES},
                spec={"replacePath": {"path": signal.push_path}},
            )
        for sender in self.senders:
            # Without a route, nothing would use its credential.
            if not sender.signals:
                continue
            user = ingest_user(sender.cluster)
            Middleware(
                chart,
                f"{sender.cluster}-user",
                metadata={"name": user, "namespace": PAGES},
                spec={"basicAuth": {"secret": user, "removeHeader": True}},
            )
            # It replaces what the request says itself.
            Middleware(
                chart,
                f"{sender.cluster}-sender",
                metadata={"name": f"sender-{sender.cluster}", "namespace": PAGES},
                spec={
                    "headers": {
                        "customRequestHeaders": {
                            gateway.CLUSTER_HEADER: sender.cluster,
                            gateway.REGION_HEADER: sender.region,
                        }
                    }
                },
            )
            for signal in sender.signals:
                IngressRoute(
                    chart,
                    f"{sender.cluster}-{signal.name}",
                    metadata={"name": signal.route(sender.cluster), "namespace": PAGES},
                    spec=self._route(signal, sender.cluster),
                )

    def _route(self, signal: Signal, cluster: str) -> IngressRouteSpec:
        host = {METRICS: self.prometheus_host, LOGS: self.loki_host}[signal]
        limits: list[RouteMiddleware] = [{"name": name} for name in LIMITS]
        return self.ingress.https_route(
            signal.tls_secret,
            {
                "kind": "Rule",
                "match": f"Host(`{host}`) && Path(`{signal.path(cluster)}`) && Method(`POST`)",
                "priority": 100,
                # Who it is comes before what is read of it.
                "middlewares": [
                    {"name": ingest_user(cluster)},
                    *limits,
                    {"name": f"sender-{cluster}"},
                    {"name": f"{signal.name}-push-path"},
                ],
                "services": [{"name": leading_to(signal.service), "port": signal.port}],
            },
        )
