"""What Argo CD deploys: for each cluster and each app an AppProject, and an ApplicationSet.

One pair per cluster, so that a cluster's rights, and the revision it follows, are its own, and a
new region adds a pair instead of changing others. One pair per app, so that whoever may change what
runs of an app changes nothing else: neither what guards it, nor the platform, nor another app.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts.component import KEEP, Component
from charts.kinds import APP_KINDS, GroupKind
from fleet.registry import Cluster, Fleet, Hub, Region
from imports.argocd import (
    ApplicationSet,
    ApplicationSetGenerator,
    ApplicationSetSpec,
    AppProject,
    AppProjectSpec,
    GitDirectory,
    ObjectMeta,
    Template,
)

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
    apps: tuple[str, ...]
    """Folders that are not the cluster's but those of apps."""

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
            apps=tuple(cluster.apps) if isinstance(cluster, Region) else (),
        )


@dataclass(frozen=True, kw_only=True)
class AppTarget:
    """An app to deploy, and the regions that run it."""

    name: str
    clusters: tuple[str, ...]

    @classmethod
    def of(cls, fleet: Fleet, name: str) -> Self:
        return cls(
            name=name,
            clusters=tuple(region.name for region in fleet.regions if name in region.apps),
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
    apps: tuple[AppTarget, ...]

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        apps = dict.fromkeys(name for region in fleet.regions for name in region.apps)
        return cls(
            repository=fleet.git.repository,
            revision=fleet.git.revision,
            folder=fleet.git.folder,
            targets=tuple(
                Target.of(target, destination=IN_CLUSTER if target is cluster else target.name)
                for target in fleet.clusters
            ),
            apps=tuple(AppTarget.of(fleet, name) for name in apps),
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
            _add(chart, target.cluster, self._project(target), self._application_set(target))
        for app in self.apps:
            _add(chart, app.name, self._app_project(app), self._app_set(app))

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

    def _app_project(self, app: AppTarget) -> AppProjectSpec:
        return {
            "description": f"What runs of {app.name}, in its own namespace.",
            "sourceRepos": [self.repository],
            "destinations": [{"name": cluster, "namespace": app.name} for cluster in app.clusters],
            "clusterResourceWhitelist": [],
            "namespaceResourceWhitelist": [
                {"group": group, "kind": kind} for group, kind in APP_KINDS
            ],
            "orphanedResources": {"warn": False},
        }

    def _application_set(self, target: Target) -> ApplicationSetSpec:
        folders = f"{self.folder}/{target.cluster}"
        theirs: list[GitDirectory] = [
            {"path": f"{folders}/{app}", "exclude": True} for app in target.apps
        ]
        return _set(
            {
                "git": {
                    "repoURL": self.repository,
                    "revision": self.revision,
                    "directories": [{"path": f"{folders}/*"}, *theirs],
                }
            },
            self._application(
                project=target.cluster,
                cluster=target.cluster,
                component="{{.path.basename}}",
                path="{{.path.path}}",
                destination=target.destination,
                # Every object in dist names its namespace; this one only has to be allowed.
                namespace=ARGOCD,
            ),
        )

    def _app_set(self, app: AppTarget) -> ApplicationSetSpec:
        cluster = "{{.cluster}}"
        return _set(
            {"list": {"elements": [{"cluster": name} for name in app.clusters]}},
            self._application(
                project=app.name,
                cluster=cluster,
                component=app.name,
                path=f"{self.folder}/{cluster}/{app.name}",
                destination=cluster,
                namespace=app.name,
            ),
        )

    def _application(
        self,
        *,
        project: str,
        cluster: str,
        component: str,
        path: str,
        destination: str,
        namespace: str,
    ) -> Template:
        return {
            "metadata": {
                "name": f"{cluster}-{component}",
                "labels": {"cluster": cluster, "component": component},
                "annotations": {
                    # The webhooks' own defaults take part in the comparison, as the API server
                    # sees it.
                    "argocd.argoproj.io/compare-options": "ServerSideDiff=true",
                    # A commit elsewhere renders nothing anew.
                    "argocd.argoproj.io/manifest-generate-paths": (
                        f".;/overlays/{cluster}/{component};/vendor"
                    ),
                },
            },
            "spec": {
                "project": project,
                "source": {
                    "repoURL": self.repository,
                    "targetRevision": self.revision,
                    "path": path,
                },
                "destination": {"name": destination, "namespace": namespace},
                "syncPolicy": {
                    "automated": {"prune": True, "selfHeal": True},
                    # A bare cluster converges by itself: what comes before its CRD, webhook or
                    # namespace is tried again.
                    "retry": {
                        "limit": -1,
                        "backoff": {"duration": "10s", "factor": 2, "maxDuration": "5m"},
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
        }


def _add(
    chart: "Construct", name: str, project: AppProjectSpec, application_set: ApplicationSetSpec
) -> None:
    """A project, and the set of the Applications that belong to it."""
    metadata: ObjectMeta = {"name": name, "namespace": ARGOCD, "annotations": KEEP}
    AppProject(chart, f"{name}-project", metadata=metadata, spec=project)
    ApplicationSet(chart, f"{name}-set", metadata=metadata, spec=application_set)


def _set(generator: ApplicationSetGenerator, template: Template) -> ApplicationSetSpec:
    return {
        "goTemplate": True,
        "goTemplateOptions": ["missingkey=error"],
        "generators": [generator],
        # A folder that goes away takes no Application with it, and an Application no workload:
        # removing a component is a person's decision.
        "syncPolicy": {
            "applicationsSync": "create-update",
            "preserveResourcesOnDeletion": True,
        },
        "template": template,
    }
