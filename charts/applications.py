"""What Argo CD deploys: for each cluster an AppProject, and an ApplicationSet over its folders.

One pair per cluster, so that a cluster's rights, and the revision it follows, are its own, and a
new region adds files instead of changing any.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts.component import KEEP, Component
from charts.kinds import GroupKind
from fleet.registry import Cluster, Fleet, Hub
from imports.argocd import ApplicationSet, ApplicationSetSpec, AppProject, AppProjectSpec

if TYPE_CHECKING:
    from constructs import Construct

ARGOCD: Final = "argocd"

IN_CLUSTER: Final = "in-cluster"
"""The name that Argo CD gives the cluster it runs in."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A cluster to deploy to: its folder of dist, and all that may be written there."""

    cluster: str
    destination: str
    """Name under which Argo CD knows the cluster."""
    namespaces: tuple[str, ...]
    cluster_kinds: tuple[GroupKind, ...]

    @classmethod
    def of(cls, cluster: Cluster, *, destination: str) -> Self:
        """All that the components of ``cluster`` may write, as their classes say."""
        return cls(
            cluster=cluster.name,
            destination=destination,
            namespaces=tuple(
                sorted(
                    {
                        namespace
                        for component in cluster.classes
                        for namespace in (component.NAMESPACE, *component.OTHER_NAMESPACES)
                    }
                )
            ),
            cluster_kinds=tuple(
                sorted(
                    {
                        GroupKind(*kind)
                        for component in cluster.classes
                        for kind in component.CLUSTER_KINDS
                    }
                )
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Applications(Component[Hub]):
    """AppProjects and ApplicationSets, in the namespace that Argo CD watches."""

    NAME = "applications"
    NAMESPACE = ARGOCD
    REQUIRED = True

    repository: str
    """URL of the Git repository that has dist/."""
    revision: str
    """Branch, tag or commit that Argo CD follows."""
    folder: str
    """Folder of the repository that holds what is rendered."""
    targets: tuple[Target, ...]

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(
            repository=fleet.git.repository,
            revision=fleet.git.revision,
            folder=fleet.git.folder,
            targets=tuple(
                Target.of(target, destination=IN_CLUSTER if target is cluster else target.name)
                for target in fleet.clusters
            ),
        )

    def add_to(self, chart: "Construct") -> None:
        # Argo CD creates it, allowing everything; an Application that names no project of ours
        # shall deploy nothing.
        AppProject(
            chart,
            "default-project",
            metadata={"name": "default", "namespace": ARGOCD},
            spec={"description": "Closed: every Application names the project of its cluster."},
        )
        for target in self.targets:
            AppProject(
                chart,
                f"{target.cluster}-project",
                metadata={"name": target.cluster, "namespace": ARGOCD, "annotations": KEEP},
                spec=self._project(target),
            )
            ApplicationSet(
                chart,
                f"{target.cluster}-set",
                metadata={"name": target.cluster, "namespace": ARGOCD, "annotations": KEEP},
                spec=self._application_set(target),
            )

    def _project(self, target: Target) -> AppProjectSpec:
        return {
            "description": f"What {self.folder}/{target.cluster} may bring to {target.cluster}.",
            "sourceRepos": [self.repository],
            "destinations": [
                {"name": target.destination, "namespace": namespace}
                for namespace in target.namespaces
            ],
            "clusterResourceWhitelist": [
                {"group": group, "kind": kind} for group, kind in target.cluster_kinds
            ],
            "orphanedResources": {"warn": False},
        }

    def _application_set(self, target: Target) -> ApplicationSetSpec:
        return {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [
                {
                    "git": {
                        "repoURL": self.repository,
                        "revision": self.revision,
                        "directories": [{"path": f"{self.folder}/{target.cluster}/*"}],
                    }
                }
            ],
            # A folder that goes away takes no Application with it, and an Application
            # no workload: removing a component is a person's decision.
            "syncPolicy": {
                "applicationsSync": "create-update",
                "preserveResourcesOnDeletion": True,
            },
            "template": {
                "metadata": {
                    "name": f"{target.cluster}-{{{{.path.basename}}}}",
                    "labels": {
                        "cluster": target.cluster,
                        "component": "{{.path.basename}}",
                    },
                    "annotations": {
                        # The webhooks' own defaults take part in the comparison, as the
                        # API server sees it.
                        "argocd.argoproj.io/compare-options": "ServerSideDiff=true",
                        # A commit elsewhere renders nothing anew.
                        "argocd.argoproj.io/manifest-generate-paths": (
                            f".;/overlays/{target.cluster}/{{{{.path.basename}}}};/vendor"
                        ),
                    },
                },
                "spec": {
                    "project": target.cluster,
                    "source": {
                        "repoURL": self.repository,
                        "targetRevision": self.revision,
                        "path": "{{.path.path}}",
                    },
                    # Every object in dist names its namespace; this one only has to be
                    # allowed.
                    "destination": {"name": target.destination, "namespace": ARGOCD},
                    "syncPolicy": {
                        "automated": {"prune": True, "selfHeal": True},
                        # A bare cluster converges by itself: what comes before its CRD,
                        # webhook or namespace is tried again.
                        "retry": {
                            "limit": -1,
                            "backoff": {
                                "duration": "10s",
                                "factor": 2,
                                "maxDuration": "5m",
                            },
                            "refresh": True,
                        },
                        "syncOptions": [
                            "ServerSideApply=true",
                            "SkipDryRunOnMissingResource=true",
                            "FailOnSharedResource=true",
                            "PruneLast=true",
                        ],
                    },
                },
            },
        }
