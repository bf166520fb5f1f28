"""An app in one region: what its description asks for, and what every app gets unasked.

The description (``fleet.score``) is the team's, the placement the registry's. Each app is a class
of its own, made from its description, so whoever asks a component's class for its name, namespace
or needs tells no app from the rest of the platform.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, cast

from charts import kinds
from charts.cert_manager import (
    SOLVER_LABELS,
    SOLVER_PORT,
    CertManager,
    issuer_of,
    serving_certificate,
)
from charts.component import Component
from charts.ingress import IngressController
from charts.labels import JOB, selector
from charts.network import TO_DNS, allow, default_deny, tcp
from charts.scheduling import one_at_a_time
from charts.scrape import scraped
from charts.traefik import Traefik, termination_grace
from fleet.registry import Fleet, Region
from fleet.score import Description, Reference
from fleet.volumes import mebibytes
from imports.k8s import NetworkPolicyEgressRule, ObjectMeta, PodDisruptionBudget, ResourceQuota
from imports.traefik import (
    IngressRoute,
    IngressRouteRouteService,
    IngressRouteTCP,
    ServersTransportTCP,
)

if TYPE_CHECKING:
    from constructs import Construct

SOLVER_POLICY: Final = "acme-solver"
OWN_NAMES: Final = (SOLVER_POLICY, "default-deny")
"""Names that an app cannot have: its policies would have those of these."""


@dataclass(frozen=True, kw_only=True)
class App(Component[Region]):
    """Certificate, workload, route, autoscaling, monitor, quota and policies of one app."""

    # Those of no app: ``component`` makes a class for each.
    NAME = ""
    NAMESPACE = ""
    NEEDS = (Traefik, CertManager)
    CLUSTER_KINDS = (kinds.NAMESPACE,)
    BEHIND_TRAEFIK = True

    DESCRIPTION: ClassVar[Description]
    """What the app's team says of it."""

    cluster: str
    """Name of the cluster."""
    region: str
    """The provider's name for the cluster's location."""
    host: str
    """The app is at ``https://host/``."""
    issuer: str
    """The ClusterIssuer of the certificate of ``host``."""
    ingress: IngressController
    """What routes requests to the app."""
    image: str
    pull_secret: str
    """Name of a registry Secret that is made outside Git."""
    storage_class: str | None
    """What provides the volumes that pods keep."""
    proxy_networks: tuple[str, ...]
    """CIDRs that Traefik's pods connect from."""
    ingress_grace_seconds: int
    """How long Traefik and the load balancer in front may still send requests."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Region) -> Self:
        placement = cluster.apps[cls.NAME]
        return cls(
            cluster=cluster.name,
            region=cluster.region_label,
            host=cluster.host(cls.NAME),
            issuer=issuer_of(cluster),
            ingress=IngressController.of(cluster),
            image=placement.image,
            pull_secret=placement.pull_secret,
            storage_class=cluster.volume_class,
            proxy_networks=tuple(map(str, cluster.node_networks)),
            ingress_grace_seconds=termination_grace(cluster.balancer),
        )

    @property
    def tls_secret(self) -> str:
        """The Secret that cert-manager writes the certificate to."""
        return self.DESCRIPTION.tls_secret

    @property
    def termination_grace_seconds(self) -> int:
        """Seconds between SIGTERM and SIGKILL: a pod outlives those that send to it."""
        return self.DESCRIPTION.platform.drain + self.ingress_grace_seconds + 15

    @property
    def facts(self) -> Mapping[str, str]:
        """What a placeholder can ask of a resource of type ``cluster``."""
        return {
            "name": self.cluster,
            "region": self.region,
            "host": self.host,
            "proxy-networks": ",".join(self.proxy_networks),
        }

    def filled(self, text: str) -> str:
        """A text of the description with its placeholders filled in."""
        return "".join(
            self.facts[part.output] if isinstance(part, Reference) else part
            for part in self.DESCRIPTION.parts(text)
        )

    def add_to(self, chart: "Construct") -> None:
        # cdk8s-plus-27 starts Node, which only rendering needs.
        from charts.app.workload import add_workload  # noqa: PLC0415

        meta: ObjectMeta = {"name": self.NAME, "namespace": self.NAMESPACE}
        self.own_namespace(chart)
        serving_certificate(
            chart,
            namespace=self.NAMESPACE,
            name=self.NAME,
            secret=self.tls_secret,
            host=self.host,
            issuer=self.issuer,
        )
        PodDisruptionBudget(chart, "budget", metadata=meta, spec=one_at_a_time(selector(self.NAME)))
        if self.DESCRIPTION.platform.tls == "passthrough":
            self._add_passthrough(chart, meta)
        else:
            self._add_edge(chart, meta)
        self.ingress.grant_watch(chart, namespace=self.NAMESPACE)
        ResourceQuota(chart, "quota", metadata=meta, spec={"hard": quota(self.DESCRIPTION)})
        add_workload(chart, self)
        self._add_policies(chart)

    def _add_passthrough(self, chart: "Construct", meta: ObjectMeta) -> None:
        """The route of an app that terminates TLS itself."""
        description = self.DESCRIPTION
        ServersTransportTCP(
            chart,
            "transport",
            metadata=meta,
            spec={
                # The client's address, in front of the TLS handshake that Traefik passes on.
                **(
                    {"proxyProtocol": {"version": 2}} if description.platform.proxy_protocol else {}
                ),
                "dialTimeout": "5s",
            },
        )
        IngressRouteTCP(
            chart,
            "route",
            metadata=meta,
            spec={
                "ingressClassName": self.ingress.class_name,
                "entryPoints": ["websecure"],
                "routes": [
                    {
                        "match": f"HostSNI(`{self.host}`)",
                        "services": [
                            {
                                "name": self.NAME,
                                "port": description.port_name,
                                "serversTransport": self.NAME,
                            }
                        ],
                    }
                ],
                "tls": {"passthrough": True},
            },
        )

    def _add_edge(self, chart: "Construct", meta: ObjectMeta) -> None:
        """The route of an app whose TLS Traefik terminates."""
        description = self.DESCRIPTION
        service: IngressRouteRouteService = {
            "name": self.NAME,
            "port": description.port_name,
        }
        if description.platform.protocol == "h2c":
            service["scheme"] = "h2c"
        metrics = description.platform.metrics
        # Metrics on the port that users reach are for the scraper.
        shared = metrics is not None and metrics.port == description.port.target_port
        hidden = f" && !Path(`{metrics.path}`)" if metrics and shared else ""
        IngressRoute(
            chart,
            "route",
            metadata=meta,
            spec=self.ingress.https_route(
                self.tls_secret,
                {
                    "kind": "Rule",
                    "match": f"Host(`{self.host}`){hidden}",
                    "priority": 10,
                    "services": [service],
                },
            ),
        )

    def _add_policies(self, chart: "Construct") -> None:
        """Traefik in, to the app and to its certificate's solvers; DNS out, and what is asked."""
        description, labels = self.DESCRIPTION, selector(self.NAME)
        outside: list[NetworkPolicyEgressRule] = [
            {
                "to": [{"ipBlock": {"cidr": str(network)}} for network in egress.networks],
                "ports": tcp(*egress.ports),
            }
            for egress in description.platform.egress
        ]
        default_deny(chart, namespace=self.NAMESPACE)
        allow(
            chart,
            self.NAME,
            namespace=self.NAMESPACE,
            labels=labels,
            ingress=[{"from": [self.ingress.pods], "ports": tcp(description.port.target_port)}],
            egress=[TO_DNS, *outside],
        )
        if description.jobs:
            allow(
                chart,
                f"{self.NAME}-jobs",
                namespace=self.NAMESPACE,
                labels=JOB,
                egress=[TO_DNS, *outside],
            )
        if metrics := description.platform.metrics:
            shared = metrics.port == description.port.target_port
            scraped(
                chart,
                self.NAME,
                namespace=self.NAMESPACE,
                labels=labels,
                port=description.port_name if shared else "metrics",
                path=metrics.path,
            )
        allow(
            chart,
            SOLVER_POLICY,
            namespace=self.NAMESPACE,
            labels=SOLVER_LABELS,
            ingress=[{"from": [self.ingress.pods], "ports": tcp(SOLVER_PORT)}],
        )


def quota(description: Description) -> dict[str, str]:
    """Room for the largest rollout and for solvers; and no second way in from outside.

    A small app gets the same as any other. A large one gets twice what all its pods use, so that
    a new limit can be rolled out.
    """
    # One more than the most, for a rollout; and of each job one, as none runs twice at a time.
    pods = [description.container.resources] * (description.platform.scaling.max + 1)
    pods += map(description.usage, description.jobs.values())
    cpu, memory, limit = (
        2 * sum(amounts)
        for amounts in zip(
            *((each.cpu_request, each.memory_request, each.memory_limit) for each in pods),
            strict=True,
        )
    )
    kept = description.persistent.values()
    most = description.platform.scaling.max
    stored = {
        "persistentvolumeclaims": str(most * len(kept)),
        "requests.storage": f"{most * sum(map(mebibytes, kept)) // 1024}Gi",
    }
    return {
        **(stored if kept else {}),
        "pods": str(max(20, 2 * len(pods) + 6)),
        "requests.cpu": str(max(4, -(-cpu // 1000))),
        "requests.memory": f"{max(4, -(-memory // 1024))}Gi",
        "limits.memory": f"{max(8, -(-limit // 1024))}Gi",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }


def apps(region: Region) -> tuple[type[App], ...]:
    """The apps that ``region`` runs, in its order."""
    return tuple(
        each for each in region.classes if isinstance(each, type) and issubclass(each, App)
    )


@cache
def component(description: Description) -> type[App]:
    """The class of the app that ``description`` is of; the same one for equal descriptions."""
    constants: dict[str, Any] = {
        "__doc__": f"The app {description.name}.",
        "__module__": __name__,
        "NAME": description.name,
        "NAMESPACE": description.name,
        "DESCRIPTION": description,
        "VOLUMES": tuple(description.persistent.values()),
    }
    return cast(type[App], type(description.name, (App,), constants))
