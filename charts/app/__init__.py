"""What runs of an app in one region: workload, Service, autoscaling and disruption budget.

The description (``fleet.score``) is the team's, the placement the registry's. Each app is a class
of its own, made from its description, so whoever asks a component's class for its name, namespace
or needs tells no app from the rest of the platform. What guards an app, and leads to it, is the
platform's: ``charts.tenant``.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Self

from charts.app.place import Place
from charts.component import Component, made_for
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

    place: Place
    storage_class: str | None
    """What provides the volumes that pods keep."""
    ingress_grace_seconds: int
    """How long Traefik and the load balancer in front may still send requests."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Region) -> Self:
        return cls(
            place=Place.of(cluster, cls.NAME),
            storage_class=cluster.volume_class,
            ingress_grace_seconds=termination_grace(cluster.balancer),
        )

    @property
    def termination_grace_seconds(self) -> int:
        """Seconds between SIGTERM and SIGKILL: a pod outlives those that send to it."""
        return self.DESCRIPTION.platform.drain + self.ingress_grace_seconds + 15

    def filled(self, text: str) -> str:
        """A text of the description with its placeholders filled in."""
        facts = self.place.facts
        return "".join(
            facts[part.output] if isinstance(part, Reference) else part
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
    return made_for(
        App,
        name=description.name,
        namespace=description.name,
        doc=f"What runs of the app {description.name}.",
        DESCRIPTION=description,
        VOLUMES=tuple(description.persistent.values()),
    )
