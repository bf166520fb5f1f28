"""foobar-api in one region, modelled with cdk8s-plus-27: the app that terminates its own TLS.

Its contract: HTTPS on ``--port`` with ``--cert`` and ``--key``, re-read when cert-manager renews
them; ``/livez`` and ``/readyz``; a PROXY header before the TLS handshake believed from
``--proxy-from`` and optional, since kubelet's probes send none; metrics in plain HTTP on
``--metrics-port``; ``--drain`` seconds of accepting after SIGTERM; where it runs by environment
variables.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts import kinds
from charts.cert_manager import SOLVER_LABELS, SOLVER_PORT, CertManager, serving_certificate
from charts.component import Component
from charts.labels import selector
from charts.network import TO_DNS, allow, default_deny, tcp
from charts.scheduling import one_at_a_time
from charts.scrape import scraped
from charts.traefik import TRAEFIK, TRAEFIK_PODS, Traefik, grant_watch, termination_grace
from fleet.registry import Fleet, Issuer, Region
from imports.k8s import ObjectMeta, PodDisruptionBudget, ResourceQuota
from imports.traefik import IngressRouteTCP, ServersTransportTCP

if TYPE_CHECKING:
    from constructs import Construct

FOOBAR_API: Final = "foobar-api"
"""Name of the namespace and of every object in here."""
TLS_SECRET: Final = f"{FOOBAR_API}-tls"
"""The Secret that cert-manager writes and the pods mount."""

HTTPS: Final = 8443
METRICS: Final = 9464

DRAIN_SECONDS: Final = 10
"""Seconds after SIGTERM in which the app still accepts, not ready, until Traefik looks away."""

META: Final[ObjectMeta] = {"name": FOOBAR_API, "namespace": FOOBAR_API}
LABELS: Final = selector(FOOBAR_API)


@dataclass(frozen=True, kw_only=True)
class FoobarApi(Component[Region]):
    """Certificate, workload, route by TLS passthrough, autoscaling, monitor and policies."""

    NAME = FOOBAR_API
    NAMESPACE = FOOBAR_API
    NEEDS = (Traefik, CertManager)
    CLUSTER_KINDS = (kinds.NAMESPACE,)
    BEHIND_TRAEFIK = True

    cluster: str
    """Name of the cluster, which the app shows."""
    host: str
    """The app is at ``https://host/``."""
    issuer: Issuer
    """Who issues the certificate of ``host``."""
    image: str
    pull_secret: str
    """Name of a registry Secret that is made outside Git."""
    proxy_networks: tuple[str, ...]
    """CIDRs that Traefik's pods connect from."""
    ingress_grace_seconds: int
    """How long Traefik and the load balancer in front may still send requests."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Region) -> Self:
        return cls(
            cluster=cluster.name,
            host=cluster.host,
            issuer=cluster.issuer,
            image=cluster.image,
            pull_secret=cluster.pull_secret,
            proxy_networks=tuple(map(str, cluster.node_networks)),
            ingress_grace_seconds=termination_grace(cluster.balancer),
        )

    @property
    def termination_grace_seconds(self) -> int:
        """Seconds between SIGTERM and SIGKILL: a pod outlives those that send to it."""
        return DRAIN_SECONDS + self.ingress_grace_seconds + 15

    def add_to(self, chart: "Construct") -> None:
        # cdk8s-plus-27 starts Node, which only rendering needs.
        from charts.foobar_api.workload import add_workload  # noqa: PLC0415

        self.own_namespace(chart)
        serving_certificate(
            chart,
            namespace=FOOBAR_API,
            name=FOOBAR_API,
            secret=TLS_SECRET,
            host=self.host,
            issuer=self.issuer,
        )
        PodDisruptionBudget(chart, "budget", metadata=META, spec=one_at_a_time(LABELS))
        ServersTransportTCP(
            chart,
            "transport",
            metadata=META,
            # The client's address, in front of the TLS handshake that Traefik passes on.
            spec={"proxyProtocol": {"version": 2}, "dialTimeout": "5s"},
        )
        IngressRouteTCP(
            chart,
            "route",
            metadata=META,
            spec={
                "ingressClassName": TRAEFIK,
                "entryPoints": ["websecure"],
                "routes": [
                    {
                        "match": f"HostSNI(`{self.host}`)",
                        "services": [
                            {
                                "name": FOOBAR_API,
                                "port": "https",
                                "serversTransport": FOOBAR_API,
                            }
                        ],
                    }
                ],
                "tls": {"passthrough": True},
            },
        )
        grant_watch(chart, namespace=FOOBAR_API)
        # Room for the largest rollout and for solvers; and no second way in from outside.
        ResourceQuota(
            chart,
            "quota",
            metadata=META,
            spec={
                "hard": {
                    "pods": "20",
                    "requests.cpu": "4",
                    "requests.memory": "4Gi",
                    "limits.memory": "8Gi",
                    "services.loadbalancers": "0",
                    "services.nodeports": "0",
                }
            },
        )
        add_workload(chart, self)
        # Traefik in, to the app and to the solvers of its certificate; DNS out; nothing else.
        default_deny(chart, namespace=FOOBAR_API)
        allow(
            chart,
            FOOBAR_API,
            namespace=FOOBAR_API,
            labels=LABELS,
            ingress=[{"from": [TRAEFIK_PODS], "ports": tcp(HTTPS)}],
            egress=[TO_DNS],
        )
        scraped(chart, FOOBAR_API, namespace=FOOBAR_API, labels=LABELS, port="metrics")
        allow(
            chart,
            "acme-solver",
            namespace=FOOBAR_API,
            labels=SOLVER_LABELS,
            ingress=[{"from": [TRAEFIK_PODS], "ports": tcp(SOLVER_PORT)}],
        )
