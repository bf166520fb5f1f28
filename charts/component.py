"""What a component is: a frozen dataclass of facts that adds its objects to a chart.

A component becomes one Chart, one folder of dist and one Argo CD Application. Its class says,
before anything is rendered, where it writes: Argo CD's AppProjects and its rights in the regions
are derived from these constants, and a test compares them with dist.

Importing a component starts no Node: only the rendered objects need cdk8s.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Self, TypeVar, cast

from charts.kinds import GroupKind
from charts.security import Level, pod_security
from fleet.registry import Cluster, Fleet
from imports.k8s import Namespace

if TYPE_CHECKING:
    from constructs import Construct

KEEP: Final[Mapping[str, str]] = {"argocd.argoproj.io/sync-options": "Prune=false,Delete=false"}
"""Argo CD neither prunes nor deletes an object so annotated (sync-options of its user guide)."""

FIRST: Final[Mapping[str, str]] = {"argocd.argoproj.io/sync-wave": "-1"}
"""Argo CD applies an object so annotated, and waits until it is healthy, before all others of its
folder but the namespace (sync-waves of its user guide)."""

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


C_contra = TypeVar("C_contra", bound=Cluster, contravariant=True)
"""The clusters that a component is for: Hub, Region, or Cluster for both."""


@dataclass(frozen=True, kw_only=True)
class Component(ABC, Generic[C_contra]):
    """The facts of one component in one cluster; equal facts render the same bytes.

    ``BUNDLES`` are manifests of other projects by pinned URL, and ``patches`` what we change in
    them: both go into the subfolder bundle/, so that an overlay sees the result of both and has the
    last word.
    """

    NAME: ClassVar[str]
    """The component's name in clusters.yaml, in dist/ and in overlays/."""
    NAMESPACE: ClassVar[str]
    """The namespace that the component owns, or lives in."""
    REQUIRED: ClassVar[bool] = False
    """Whether no cluster of its role can leave it out."""
    ON_REQUEST: ClassVar[bool] = False
    """Whether only clusters that list the component under `with` have it."""
    NEEDS: ClassVar[tuple[type["Component[Any]"], ...]] = ()
    """Components without which it does not work."""
    REPLACED_BY: ClassVar[str | None] = None
    """The key of clusters.yaml that names what a cluster has in place of the component."""
    OTHER_NAMESPACES: ClassVar[tuple[str, ...]] = ()
    """Namespaces besides its own that the component writes to."""
    CLUSTER_KINDS: ClassVar[tuple[GroupKind, ...]] = ()
    """Cluster-scoped kinds that the component, its bundles included, brings along."""
    BEHIND_TRAEFIK: ClassVar[bool] = False
    """Whether Traefik routes to pods of the component's namespace."""
    HOLDS_ROUTES: ClassVar[bool] = False
    """Whether Traefik takes routes from the component's namespace, and so reads its Secrets."""
    VOLUMES: ClassVar[tuple[str, ...]] = ()
    """Sizes of the volumes that each of its pods keeps, as its team chose them."""
    SECRETS: ClassVar[Sequence[str]] = ()
    """Secrets of its namespace that are made outside Git, but for that of the registry."""
    EXPECTED: ClassVar[bool] = False
    """Whether an alert fires when Prometheus scrapes no pod under the component's name as job."""
    BUNDLES: ClassVar[tuple[str, ...]] = ()
    """URLs of other projects' manifests that the component deploys."""
    BUNDLE_NAMESPACE: ClassVar[str | None] = None
    """Where the objects of a bundle go that leaves their namespace open."""

    def __init_subclass__(cls) -> None:
        """Raises TypeError unless the class has a name and a namespace."""
        super().__init_subclass__()
        for constant in ("NAME", "NAMESPACE"):
            if not isinstance(getattr(cls, constant, None), str):
                raise TypeError(f"{cls.__module__}.{cls.__name__} has no {constant}")

    @classmethod
    @abstractmethod
    def of(cls, fleet: Fleet, cluster: C_contra) -> Self:
        """The component of ``cluster``, with the facts that it takes from the fleet."""

    @abstractmethod
    def add_to(self, chart: "Construct") -> None:
        """Adds the component's objects to ``chart``."""

    @property
    def patches(self) -> Sequence[Patch | JsonPatch]:
        """What changes in the objects of ``BUNDLES``."""
        return ()

    def own_namespace(self, chart: "Construct", level: Level = "restricted") -> None:
        """The component's Namespace, closed to pods that are weaker than ``level``.

        Argo CD never deletes it: everything inside, Secrets that are in no file included, would
        go with it.
        """
        Namespace(
            chart,
            "namespace",
            metadata={
                "name": self.NAMESPACE,
                "labels": pod_security(level),
                "annotations": KEEP,
            },
        )


T = TypeVar("T", bound=Component[Any])


def made_for(base: type[T], *, name: str, namespace: str, doc: str, **constants: object) -> type[T]:
    """A class of components that is ``base`` with constants of its own, for one app."""
    own = {"__doc__": doc, "__module__": base.__module__, "NAME": name, "NAMESPACE": namespace}
    return cast(type[T], type(namespace, (base,), {**own, **constants}))
