"""Routes by which the regions send to the hub: a path, a credential and limits for each region.

A region writes to paths of its own, so that its credential opens nothing else, can be taken back
alone, and so that Traefik counts its requests, and refusals, apart from everybody's. The path is
replaced by the one push path of the program behind, whatever was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from cdk8s import App

from charts.cert_manager import serving_certificate
from charts.component import Component
from charts.monitoring import loki, prometheus
from charts.monitoring.secrets import ingest_user
from charts.scrape import MONITORING
from charts.traefik import TRAEFIK
from fleet.registry import ComponentName, Issuer
from imports.traefik import IngressRoute, Middleware

MEBIBYTE: Final = 1024 * 1024

REQUESTS_A_SECOND: Final = 50
"""Of each region and kind: a hundred times what it sends when nothing waits."""
LONGEST_BODY: Final = 4 * MEBIBYTE
"""Bytes of one request; the agents and collectors send a tenth of it."""


@dataclass(frozen=True)
class Signal:
    """A kind of what regions send, and where it goes."""

    name: str
    push_path: str
    url: str
    """Of the program behind, in the hub."""
    service: str
    port: str
    tls_secret: str

    def path(self, cluster: str) -> str:
        """The path that ``cluster`` writes to."""
        return f"/{cluster}{self.push_path}"

    def route(self, cluster: str) -> str:
        """Name of the route of ``cluster``, by which Traefik counts."""
        return f"{self.name}-{cluster}"


METRICS: Final = Signal(
    "metrics", "/api/v1/write", prometheus.URL, prometheus.PROMETHEUS, "web", prometheus.TLS_SECRET
)
LOGS: Final = Signal("logs", "/otlp/v1/logs", loki.URL, loki.LOKI, "http", loki.TLS_SECRET)


@dataclass(frozen=True)
class Source:
    """A region, and what it sends."""

    cluster: str
    signals: tuple[Signal, ...]
    jobs: tuple[str, ...]
    """What is to be found there for its agent to scrape."""
    app: bool
    """Whether it has foobar-api."""


class Ingest(Component):
    """Routes, credentials by reference, limits, and the certificate of Loki's name."""

    NAME: ClassVar[ComponentName] = "ingest"
    NAMESPACE = MONITORING
    BEHIND_TRAEFIK = True

    def __init__(
        self,
        app: App,
        *,
        sources: Sequence[Source],
        prometheus_host: str,
        loki_host: str,
        issuer: Issuer,
    ) -> None:
        """Routes for ``sources`` to Prometheus and Loki, at the hub's names for them."""
        super().__init__(app)
        hosts = {METRICS: prometheus_host, LOGS: loki_host}

        # Prometheus has one for its pages already. Without a route Traefik would not serve it.
        if any(LOGS in source.signals for source in sources):
            serving_certificate(
                self,
                namespace=MONITORING,
                name=loki.LOKI,
                secret=loki.TLS_SECRET,
                host=loki_host,
                issuer=issuer,
            )
        # No name here begins with "ingest-", as those of the regions do. One bucket of requests
        # per route: all that a route takes has the same host.
        Middleware(
            self,
            "rate",
            metadata={"name": "rate-limit", "namespace": MONITORING},
            spec={
                "rateLimit": {
                    "average": REQUESTS_A_SECOND,
                    "burst": 2 * REQUESTS_A_SECOND,
                    "sourceCriterion": {"requestHost": True},
                }
            },
        )
        Middleware(
            self,
            "size",
            metadata={"name": "size-limit", "namespace": MONITORING},
            spec={
                "buffering": {
                    "maxRequestBodyBytes": LONGEST_BODY,
                    # All in memory: Traefik's root is read-only.
                    "memRequestBodyBytes": LONGEST_BODY,
                }
            },
        )
        for signal in hosts:
            Middleware(
                self,
                f"{signal.name}-path",
                metadata={"name": f"{signal.name}-push-path", "namespace": MONITORING},
                spec={"replacePath": {"path": signal.push_path}},
            )
        for source in sources:
            # Without a route, nothing would use its credential.
            if not source.signals:
                continue
            user = ingest_user(source.cluster)
            Middleware(
                self,
                f"{source.cluster}-user",
                metadata={"name": user, "namespace": MONITORING},
                spec={"basicAuth": {"secret": user, "removeHeader": True}},
            )
            for signal in source.signals:
                IngressRoute(
                    self,
                    f"{source.cluster}-{signal.name}",
                    metadata={"name": signal.route(source.cluster), "namespace": MONITORING},
                    spec={
                        "ingressClassName": TRAEFIK,
                        "entryPoints": ["websecure"],
                        "routes": [
                            {
                                "kind": "Rule",
                                "match": f"Host(`{hosts[signal]}`)"
                                f" && Path(`{signal.path(source.cluster)}`) && Method(`POST`)",
                                "priority": 100,
                                # Who it is comes before what is read of it.
                                "middlewares": [
                                    {"name": user},
                                    {"name": "rate-limit"},
                                    {"name": "size-limit"},
                                    {"name": f"{signal.name}-push-path"},
                                ],
                                "services": [{"name": signal.service, "port": signal.port}],
                            }
                        ],
                        "tls": {"secretName": signal.tls_secret},
                    },
                )
