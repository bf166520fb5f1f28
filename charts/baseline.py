"""The priority classes, which every cluster needs before anything else.

Pods without one have priority 0, so anything of ours may push out what it does not know.
"""

from typing import ClassVar

from cdk8s import App

from charts import kinds
from charts.component import Component
from charts.scheduling import PLATFORM, SERVING
from fleet.registry import ComponentName
from imports.k8s import PriorityClass


class Baseline(Component):
    """The two priority classes, below the system's own (2000000000)."""

    NAME: ClassVar[ComponentName] = "baseline"
    # Priority classes are in no namespace; an Application needs to name one all the same.
    NAMESPACE = "kube-system"
    CLUSTER_KINDS = (kinds.PRIORITY_CLASS,)

    def __init__(self, app: App) -> None:
        super().__init__(app)
        for name, value, description in (
            (PLATFORM, 1_000_000, "What workloads need in order to be served."),
            (SERVING, 100_000, "Workloads that answer users."),
        ):
            PriorityClass(
                self,
                name,
                metadata={"name": name},
                value=value,
                globalDefault=False,
                description=description,
            )
