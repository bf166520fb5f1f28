"""What the platform holds of an app in one region, out of reach of whoever changes the app.

Namespace, quota and policies guard it; certificate and route give it its hostname; the monitor
says under which name it is measured. Argo CD deploys these under the region's project. An app's
own folder has what runs, under a project that allows nothing else (``charts.applications``).
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Final, Self

from charts import kinds
from charts.cert_manager import (
    SOLVER_LABELS,
    SOLVER_PORT,
    CertManager,
    issuer_of,
    serving_certificate,
)
from charts.component import Component, made_for
from charts.ingress import IngressController
from charts.labels import JOB, selector
from charts.network import TO_DNS, allow, default_deny, tcp
from charts.scheduling import PLATFORM
from charts.scrape import OF_AN_APP, scraped
from charts.traefik import Traefik
from charts.workload import disk
from fleet.apps import TENANT
from fleet.package import Package
from fleet.registry import Fleet, Region
from fleet.score import Description
from fleet.volumes import mebibytes
from imports.k8s import (
    LimitRange,
    LimitRangeItem,
    NetworkPolicyEgressRule,
    ObjectMeta,
    ResourceQuota,
    ResourceQuotaSpec,
)
from imports.traefik import (
    IngressRoute,
    IngressRouteRouteService,
    IngressRouteTCP,
    ServersTransportTCP,
)

if TYPE_CHECKING:
    from constructs import Construct

PRIORITIES: Final = "priorities"
NO_PLATFORM_PRIORITY: Final[ResourceQuotaSpec] = {
    "hard": {"pods": "0"},
    "scopeSelector": {
        "matchExpressions": [
            {
                "scopeName": "PriorityClass",
                "operator": "In",
                "values": ["system-node-critical", "system-cluster-critical", PLATFORM],
            }
        ]
    },
}
"""No pod of an app pushes out what all apps need in order to be served."""
DISK_DEFAULTS: Final[LimitRangeItem] = {
    "type": "Container",
    "default": {"ephemeral-storage": "1Gi"},
    "defaultRequest": disk()["requests"],
}
"""What a container has of its node's disk if it does not say: no app fills a node's disk."""
SOLVER_POLICY: Final = "acme-solver"
OWN_NAMES: Final = (SOLVER_POLICY, "default-deny")
"""Names that an app cannot have: its policies would have those of these."""


@dataclass(frozen=True, kw_only=True)
class Tenant(Component[Region]):
    """Namespace, quota, policies, certificate, route and monitor of one app."""

    # Those of no app: ``tenant`` makes a class for each.
    NAME = ""
    NAMESPACE = ""
    NEEDS = (Traefik, CertManager)
    CLUSTER_KINDS = (kinds.NAMESPACE,)
    BEHIND_TRAEFIK = True
    HOLDS_ROUTES = True

    DESCRIPTION: ClassVar[Description]
    """What the app's team says of it."""

    host: str
    """The app is at ``https://host/``."""
    issuer: str
    """The ClusterIssuer of the certificate of ``host``."""
    ingress: IngressController
    """What routes requests to the app."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Region) -> Self:
        return cls(
            host=cluster.host(cls.DESCRIPTION.name),
            issuer=issuer_of(cluster),
            ingress=IngressController.of(cluster),
        )

    @property
    def app(self) -> str:
        """Name of the app, of its namespace and of its objects."""
        return self.DESCRIPTION.name

    def add_to(self, chart: "Construct") -> None:
        meta: ObjectMeta = {"name": self.app, "namespace": self.NAMESPACE}
        self.own_namespace(chart)
        ResourceQuota(chart, "quota", metadata=meta, spec={"hard": quota(self.DESCRIPTION)})
        # For containers that set no limit of their own.
        LimitRange(
            chart,
            "disk",
            metadata={"name": "disk", "namespace": self.NAMESPACE},
            spec={"limits": [DISK_DEFAULTS]},
        )
        ResourceQuota(
            chart,
            "priorities",
            metadata={"name": PRIORITIES, "namespace": self.NAMESPACE},
            spec=NO_PLATFORM_PRIORITY,
        )
        self._add_policies(chart)
        serving_certificate(
            chart,
            namespace=self.NAMESPACE,
            name=self.app,
            secret=self.DESCRIPTION.tls_secret,
            host=self.host,
            issuer=self.issuer,
        )
        self.ingress.grant_watch(chart, namespace=self.NAMESPACE)
        if self.DESCRIPTION.platform.tls == "passthrough":
            self._add_passthrough(chart, meta)
        else:
            self._add_edge(chart, meta)

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
                                "name": self.app,
                                "port": description.port_name,
                                "serversTransport": self.app,
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
            "name": self.app,
            "port": description.port_name,
        }
        if description.platform.protocol == "h2c":
            service["scheme"] = "h2c"
        metrics = description.platform.metrics
        # Metrics on the port that users reach are for the scraper.
        exposed = metrics and description.metrics_port == description.port_name
        hidden = f" && !Path(`{metrics.path}`)" if metrics and exposed else ""
        IngressRoute(
            chart,
            "route",
            metadata=meta,
            spec=self.ingress.https_route(
                description.tls_secret,
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
        description, labels = self.DESCRIPTION, selector(self.app)
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
            self.app,
            namespace=self.NAMESPACE,
            labels=labels,
            ingress=[{"from": [self.ingress.pods], "ports": tcp(description.port.target_port)}],
            egress=[TO_DNS, *outside],
        )
        if isinstance(description, Package):
            # Its workloads are its own affair, and so is what they say to each other.
            allow(
                chart,
                f"{self.app}-inside",
                namespace=self.NAMESPACE,
                labels={},
                ingress=[{"from": [{"podSelector": {}}]}],
                egress=[TO_DNS, {"to": [{"podSelector": {}}]}, *outside],
            )
        if description.jobs:
            allow(
                chart,
                f"{self.app}-jobs",
                namespace=self.NAMESPACE,
                labels=JOB,
                egress=[TO_DNS, *outside],
            )
        if metrics := description.platform.metrics:
            scraped(
                chart,
                self.app,
                namespace=self.NAMESPACE,
                labels=labels,
                port=description.metrics_port,
                path=metrics.path,
                limits=OF_AN_APP,
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


def apps(region: Region) -> tuple[Description, ...]:
    """The apps that ``region`` runs, in its order."""
    return tuple(
        each.DESCRIPTION
        for each in region.classes
        if isinstance(each, type) and issubclass(each, Tenant)
    )


@cache
def tenant(description: Description) -> type[Tenant]:
    """The class for the app that ``description`` is of; the same one for equal descriptions."""
    return made_for(
        Tenant,
        name=f"{TENANT}{description.name}",
        namespace=description.name,
        doc=f"What the platform holds of the app {description.name}.",
        DESCRIPTION=description,
        SECRETS=tuple(description.secrets),
    )
