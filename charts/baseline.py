"""The priority classes, which every cluster needs before anything else.

Pods without one have priority 0, so anything of ours may push out what it does not know.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from charts import kinds
from charts.component import Component
from charts.scheduling import OPERATING, PLATFORM, PRIORITIES, SERVING
from fleet.registry import Cluster, Fleet
from imports.k8s import PriorityClass

if TYPE_CHECKING:
    from constructs import Construct


@dataclass(frozen=True, kw_only=True)
class Baseline(Component[Cluster]):
    """The priority classes, below the system's own (2000000000)."""

    NAME = "baseline"
    # Priority classes are in no namespace; an Application needs to name one all the same.
    NAMESPACE = "kube-system"
    REQUIRED = True
    CLUSTER_KINDS = (kinds.PRIORITY_CLASS,)

    @classmethod
    def of(cls, fleet: Fleet, cluster: Cluster) -> Self:
        return cls()

    def add_to(self, chart: "Construct") -> None:
        for name, description in (
            (PLATFORM, "What workloads need in order to be served."),
            (SERVING, "Workloads that answer users."),
            (OPERATING, "What deploys and watches; users are served without it."),
        ):
            PriorityClass(
                chart,
                name,
                metadata={"name": name},
                value=PRIORITIES[name],
                globalDefault=False,
                description=description,
            )
