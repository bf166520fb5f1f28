"""What Argo CD deploys: for each cluster an AppProject, and an ApplicationSet over its folders.

One pair a cluster, so that a cluster's rights, and the revision it follows, are its own, and a
new region adds files instead of changing any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from cdk8s import App

from charts.component import KEEP, Component
from charts.kinds import GroupKind
from fleet.registry import ComponentName
from imports.argocd import ApplicationSet, AppProject

ARGOCD: Final = "argocd"

IN_CLUSTER: Final = "in-cluster"
"""The name that Argo CD gives the cluster it runs in."""


@dataclass(frozen=True)
class Target:
    """A cluster to deploy to: its folder of dist, and all that may be written there."""

    cluster: str
    destination: str
    """Name under which Argo CD knows the cluster."""
    namespaces: Sequence[str]
    cluster_kinds: Sequence[GroupKind]


class Applications(Component):
    """AppProjects and ApplicationSets, in the namespace that Argo CD watches."""

    NAME: ClassVar[ComponentName] = "applications"
    NAMESPACE = ARGOCD

    def __init__(
        self, app: App, *, repository: str, revision: str, targets: Sequence[Target]
    ) -> None:
        """Follows ``revision`` of the Git ``repository`` for every target."""
        super().__init__(app)
        # Argo CD creates it, allowing everything; an Application that names no project of ours
        # shall deploy nothing.
        AppProject(
            self,
            "default-project",
            metadata={"name": "default", "namespace": ARGOCD},
            spec={"description": "Closed: every Application names the project of its cluster."},
        )
        for target in targets:
            AppProject(
                self,
                f"{target.cluster}-project",
                metadata={"name": target.cluster, "namespace": ARGOCD, "annotations": KEEP},
                spec={
                    "description": f"What dist/{target.cluster} may bring to {target.cluster}.",
                    "sourceRepos": [repository],
                    "destinations": [
                        {"name": target.destination, "namespace": namespace}
                        for namespace in target.namespaces
                    ],
                    "clusterResourceWhitelist": [
                        {"group": group, "kind": kind} for group, kind in target.cluster_kinds
                    ],
                    "orphanedResources": {"warn": False},
                },
            )
            ApplicationSet(
                self,
                f"{target.cluster}-set",
                metadata={"name": target.cluster, "namespace": ARGOCD, "annotations": KEEP},
                spec={
                    "goTemplate": True,
                    "goTemplateOptions": ["missingkey=error"],
                    "generators": [
                        {
                            "git": {
                                "repoURL": repository,
                                "revision": revision,
                                "directories": [{"path": f"dist/{target.cluster}/*"}],
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
                                "repoURL": repository,
                                "targetRevision": revision,
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
                },
            )
