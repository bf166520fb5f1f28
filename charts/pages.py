"""The namespace of the hub's routes: certificates, middlewares and hashes of sign-ins beside them.

Traefik faces the internet, and reads every Secret of a namespace that it takes routes from. So no
route of the hub is where Argo CD and monitoring have their Secrets: Services here lead there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts import kinds
from charts.cert_manager import SOLVER_LABELS, SOLVER_PORT, CertManager
from charts.component import Component
from charts.ingress import NOBODY, PAGES, REQUEST_LIMIT, SIGN_IN_LIMIT, IngressController
from charts.network import allow, default_deny, tcp
from charts.traefik import Traefik
from fleet.registry import Fleet, Hub
from imports.k8s import Service
from imports.traefik import (
    Middleware,
    RateLimit,
    SourceCriterion,
)

if TYPE_CHECKING:
    from constructs import Construct

# Whoever has an IPv6 address has at least the 2**64 of a network.
EACH_CLIENT: Final[SourceCriterion] = {"ipStrategy": {"ipv6Subnet": 64}}

LIMITS: Final[Mapping[str, RateLimit]] = {
    # Argo CD checks the passwords for one name one after the other, a second each: whoever tries
    # many keeps others waiting. At this rate Traefik forgets a client after 11 s.
    SIGN_IN_LIMIT: {
        "average": 6,
        "period": "1m",
        "burst": 5,
        "sourceCriterion": EACH_CLIENT,
    },
    # A page of Prometheus takes some ten requests; each of them carries the password.
    REQUEST_LIMIT: {"average": 20, "burst": 100, "sourceCriterion": EACH_CLIENT},
}
"""What each client may ask of pages that need a sign-in."""

UNLIMITED: Final[RateLimit] = {"average": 0}
"""Where all clients have the address of a node, a limit would let one lock out the others."""


@dataclass(frozen=True, kw_only=True)
class Pages(Component[Hub]):
    """Namespace, Traefik's rights, limits and policies; the routes come with what they lead to."""

    NAME = "pages"
    NAMESPACE = PAGES
    REQUIRED = True
    NEEDS = (Traefik, CertManager)
    CLUSTER_KINDS = (kinds.NAMESPACE,)
    BEHIND_TRAEFIK = True
    HOLDS_ROUTES = True

    ingress: IngressController
    clients_known: bool
    """Whether Traefik knows the addresses of clients."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(
            ingress=IngressController.of(cluster),
            clients_known=cluster.balancer.proxy_protocol,
        )

    def add_to(self, chart: "Construct") -> None:
        self.own_namespace(chart)
        self.ingress.grant_watch(chart, namespace=PAGES)
        default_deny(chart, namespace=PAGES)
        allow(
            chart,
            "acme-solver",
            namespace=PAGES,
            labels=SOLVER_LABELS,
            ingress=[{"from": [self.ingress.pods], "ports": tcp(SOLVER_PORT)}],
        )
        Service(
            chart,
            "nobody",
            metadata={"name": NOBODY, "namespace": PAGES},
            spec={"ports": [{"port": 80, "protocol": "TCP"}]},
        )
        for name, limit in LIMITS.items():
            Middleware(
                chart,
                name,
                metadata={"name": name, "namespace": PAGES},
                spec={"rateLimit": limit if self.clients_known else UNLIMITED},
            )
