"""What runs of an app in one region: workload, Service, autoscaling and disruption budget.

The description (``fleet.score``) is the team's, the placement the registry's. Each app is a class
of its own, made from its description, so whoever asks a component's class for its name, namespace
or needs tells no app from the rest of the platform. What guards an app, and leads to it, is the
platform's: ``charts.tenant``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from charts.component import Component
from charts.labels import selector
from charts.scheduling import one_at_a_time
from charts.traefik import termination_grace
from fleet.registry import Fleet, Region
from fleet.score import Description, Reference
from imports.k8s import PodDisruptionBudget

if TYPE_CHECKING:
    from constructs import Construct


@dataclass(frozen=True, kw_only=True)
class App(Component[Region]):
    """Deployment, Service, service account, autoscaler and budget of one app."""

    # Those of no app: ``component`` makes a class for each.
    NAME = ""
    NAMESPACE = ""

    DESCRIPTION: ClassVar[Description]
    """What the app's team says of it."""

    cluster: str
    """Name of the cluster."""
    region: str
    """The provider's name for the cluster's location."""
    host: str
    """The app is at ``https://host/``."""
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

        PodDisruptionBudget(
            chart,
            "budget",
            metadata={"name": self.NAME, "namespace": self.NAMESPACE},
            spec=one_at_a_time(selector(self.NAME)),
        )
        add_workload(chart, self)


@cache
def component(description: Description) -> type[App]:
    """The class of the app that ``description`` is of; the same one for equal descriptions."""
    constants: dict[str, Any] = {
        "__doc__": f"What runs of the app {description.name}.",
        "__module__": __name__,
        "NAME": description.name,
        "NAMESPACE": description.name,
        "DESCRIPTION": description,
        "VOLUMES": tuple(description.persistent.values()),
    }
    return cast(type[App], type(description.name, (App,), constants))
