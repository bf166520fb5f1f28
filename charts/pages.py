"""The namespace of the hub's routes: certificates, middlewares and hashes of sign-ins beside them.

Traefik faces the internet, and reads every Secret of a namespace that it takes routes from. So no
route of the hub is where Argo CD and monitoring have their Secrets: Services here lead there.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from charts import kinds
from charts.cert_manager import SOLVER_LABELS, SOLVER_PORT, CertManager
from charts.component import Component
from charts.ingress import PAGES, IngressController
from charts.network import allow, default_deny, tcp
from charts.traefik import Traefik
from fleet.registry import Fleet, Hub

if TYPE_CHECKING:
    from constructs import Construct


@dataclass(frozen=True, kw_only=True)
class Pages(Component[Hub]):
    """Namespace, Traefik's rights, and policies; the routes come with what they lead to."""

    NAME = "pages"
    NAMESPACE = PAGES
    REQUIRED = True
    NEEDS = (Traefik, CertManager)
    CLUSTER_KINDS = (kinds.NAMESPACE,)
    BEHIND_TRAEFIK = True
    HOLDS_ROUTES = True

    ingress: IngressController

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(ingress=IngressController.of(cluster))

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
