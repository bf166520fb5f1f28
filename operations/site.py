"""What a bootstrap works with, and the form of each of its steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from charts.applications import ARGOCD
from fleet.registry import Fleet
from operations import manifests
from operations.cluster import Cluster, Manifest
from operations.credentials import Answers

Action: TypeAlias = Callable[[], None]


@dataclass(frozen=True)
class Step:
    """Something that bootstrap makes true in a cluster."""

    cluster: str
    text: str
    look: Callable[[], Action | None]
    """What makes it true; None if it is true already. Looking changes nothing."""


Stage: TypeAlias = Sequence[Step]
"""Steps that do not depend on each other."""


@dataclass(frozen=True)
class Site:
    """The fleet, the ways to its clusters, and what bootstrap brings there."""

    fleet: Fleet
    clusters: Mapping[str, Cluster]
    dist: Path
    answers: Answers
    servers: Mapping[str, str]
    """URLs of API servers as the hub reaches them, where they differ from the kubeconfig's."""

    @property
    def hub(self) -> Cluster:
        return self.clusters[self.fleet.hub.name]

    @cached_property
    def applications(self) -> frozenset[str]:
        """The Applications that existed at the start: Argo CD looks after their objects."""
        return frozenset(
            application["metadata"]["name"]
            for application in self.hub.list_objects("applications.argoproj.io", ARGOCD)
        )

    def as_rendered(
        self, cluster: str, text: str, objects: Callable[[], Sequence[Manifest]]
    ) -> Step:
        """Objects of dist are in the cluster, unless Argo CD looks after them already."""
        connected = self.clusters[cluster]

        def look() -> Action | None:
            lacking = manifests.lacking(connected, objects(), self.applications)
            return (lambda: manifests.apply(connected, lacking)) if lacking else None

        return Step(cluster, text, look)
