"""What a component is: one Chart, one folder of dist, one Argo CD Application.

A component's class says, before anything is rendered, where it writes: Argo CD's AppProjects and
its rights in the regions are derived from these facts, and a test holds them against dist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from cdk8s import App, Chart

from charts.kinds import GroupKind
from charts.labels import NAME, PART_OF, PROJECT
from charts.security import Level, pod_security
from fleet.registry import ComponentName
from imports.k8s import Namespace

KEEP: Final[Mapping[str, str]] = {"argocd.argoproj.io/sync-options": "Prune=false,Delete=false"}
"""Argo CD neither prunes nor deletes an object so annotated (sync-options of its user guide)."""

LATER: Final[Mapping[str, str]] = {"argocd.argoproj.io/sync-wave": "1"}
"""Argo CD applies an object so annotated when all others of its folder are there and healthy."""


Patch = Mapping[str, Any]
"""A strategic merge patch: the identity of an object of a bundle, and the fields to change."""


@dataclass(frozen=True)
class JsonPatch:
    """RFC 6902 operations on an object of a bundle, for lists that cannot be merged."""

    group: str
    version: str
    kind: str
    name: str
    operations: tuple[Mapping[str, Any], ...]


class Component(Chart):
    """A Chart whose id is the component's name; subclasses add the objects.

    ``BUNDLES`` are manifests of other projects by pinned URL, and ``patches`` what we change in
    them: both go into the subfolder bundle/, so that an overlay sees the result of both and has the
    last word. ``bundle_namespace`` is where a bundle's objects go when it leaves that open.
    """

    NAME: ClassVar[ComponentName]
    NAMESPACE: ClassVar[str]
    """The namespace that the component owns, or lives in."""
    OTHER_NAMESPACES: ClassVar[tuple[str, ...]] = ()
    """Namespaces besides its own that the component writes to."""
    CLUSTER_KINDS: ClassVar[tuple[GroupKind, ...]] = ()
    """Cluster-scoped kinds that the component, its bundles included, brings along."""
    BEHIND_TRAEFIK: ClassVar[bool] = False
    """Whether Traefik routes to pods of the component's namespace."""
    BUNDLES: ClassVar[tuple[str, ...]] = ()
    """URLs of other projects' manifests that the component deploys."""

    def __init__(
        self,
        app: App,
        *,
        patches: Sequence[Patch | JsonPatch] = (),
        bundle_namespace: str | None = None,
    ) -> None:
        super().__init__(app, self.NAME, labels={PART_OF: PROJECT, NAME: self.NAME})
        self.patches = patches
        self.bundle_namespace = bundle_namespace

    def own_namespace(self, level: Level = "restricted") -> Namespace:
        """The component's Namespace, closed to pods that are weaker than ``level``.

        Argo CD never deletes it: everything inside, Secrets that are in no file included, would
        go with it.
        """
        return Namespace(
            self,
            "namespace",
            metadata={
                "name": self.NAMESPACE,
                "labels": pod_security(level),
                "annotations": KEEP,
            },
        )
