"""What Argo CD deploys: for each cluster and each app an AppProject, and an ApplicationSet.

One pair per cluster, so that a cluster's rights, and the revision it follows, are its own, and a
new region adds a pair instead of changing others. One pair per app, so that whoever may change what
runs of an app changes nothing else: neither what guards it, nor the platform, nor another app.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts.component import KEEP, Component
from charts.kinds import APP_KINDS, GroupKind
from charts.tenant import apps
from fleet.package import Package, Repository
from fleet.registry import Cluster, Fleet, Hub, Region
from fleet.score import Description
from imports.argocd import (
    ApplicationSet,
    ApplicationSetSpec,
    AppProject,
    AppProjectSpec,
    ObjectMeta,
    Source,
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
    components: tuple[str, ...]
    """The folders that belong to the cluster; those of apps have sets of their own."""

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
            components=tuple(
                name
                for name in cluster.components
                if not isinstance(cluster, Region) or name not in cluster.apps
            ),
        )


@dataclass(frozen=True, kw_only=True)
class AppTarget:
    """An app to deploy, and the regions that run it."""

    name: str
    images: tuple[tuple[str, str], ...]
    """The name of each region that runs it, and the image there."""
    source: Repository | None
    """The repository of the app's own, if its manifests are there."""

    @classmethod
    def of(cls, fleet: Fleet, app: Description) -> Self:
        return cls(
            name=app.name,
            images=tuple(
                (region.name, region.apps[app.name].image)
                for region in fleet.regions
                if app.name in region.apps
            ),
            source=app.git if isinstance(app, Package) else None,
        )

    @property
    def clusters(self) -> tuple[str, ...]:
        return tuple(cluster for cluster, _ in self.images)


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
        described = dict.fromkeys(app for region in fleet.regions for app in apps(region))
        return cls(
            repository=fleet.git.repository,
            revision=fleet.git.revision,
            folder=fleet.git.folder,
            targets=tuple(
                Target.of(target, destination=IN_CLUSTER if target is cluster else target.name)
                for target in fleet.clusters
            ),
            apps=tuple(AppTarget.of(fleet, app) for app in described),
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
            "sourceRepos": [app.source.repository if app.source else self.repository],
            "destinations": [{"name": cluster, "namespace": app.name} for cluster in app.clusters],
            "clusterResourceWhitelist": [],
            "namespaceResourceWhitelist": [
                {"group": group, "kind": kind} for group, kind in APP_KINDS
            ],
            "orphanedResources": {"warn": False},
        }

    def _application_set(self, target: Target) -> ApplicationSetSpec:
        component = "{{.component}}"
        return _set(
            [{"component": name} for name in target.components],
            self._application(
                project=target.cluster,
                cluster=target.cluster,
                component=component,
                source=self._rendered(f"{self.folder}/{target.cluster}/{component}"),
                watched=_watched(target.cluster, component),
                destination=target.destination,
                # Every object in dist names its namespace; this one only has to be allowed.
                namespace=ARGOCD,
            ),
        )

    def _app_set(self, app: AppTarget) -> ApplicationSetSpec:
        cluster = "{{.cluster}}"
        elements = [{"cluster": name} for name in app.clusters]
        source = self._rendered(f"{self.folder}/{cluster}/{app.name}")
        watched = _watched(cluster, app.name)
        if app.source:
            elements = [{"cluster": name, "image": image} for name, image in app.images]
            source = {
                "repoURL": app.source.repository,
                "targetRevision": app.source.revision,
                "path": app.source.path.replace("{cluster}", cluster),
                # Its image called like the app becomes the region's.
                "kustomize": {"images": [f"{app.name}={{{{.image}}}}"]},
            }
            watched = {}
        template = self._application(
            project=app.name,
            cluster=cluster,
            component=app.name,
            source=source,
            watched=watched,
            destination=cluster,
            namespace=app.name,
        )
        return _set(elements, template)

    def _rendered(self, path: str) -> Source:
        """A folder that we render."""
        return {"repoURL": self.repository, "targetRevision": self.revision, "path": path}

    def _application(
        self,
        *,
        project: str,
        cluster: str,
        component: str,
        source: Source,
        watched: Mapping[str, str],
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
                    **watched,
                },
            },
            "spec": {
                "project": project,
                "source": source,
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


def _watched(cluster: str, component: str) -> dict[str, str]:
    """A commit that changes none of these renders nothing anew."""
    paths = f".;/overlays/{cluster}/{component};/vendor"
    return {"argocd.argoproj.io/manifest-generate-paths": paths}


def _add(
    chart: "Construct", name: str, project: AppProjectSpec, application_set: ApplicationSetSpec
) -> None:
    """A project, and the set of the Applications that belong to it."""
    metadata: ObjectMeta = {"name": name, "namespace": ARGOCD, "annotations": KEEP}
    AppProject(chart, f"{name}-project", metadata=metadata, spec=project)
    ApplicationSet(chart, f"{name}-set", metadata=metadata, spec=application_set)


def _set(elements: Sequence[Mapping[str, str]], template: Template) -> ApplicationSetSpec:
    """An Application for each of ``elements``, whose values the template names.

    A list, not a search of Git: that would find the folder of a new app before the set of the
    cluster says that it is not the cluster's, and deploy it with the rights of the platform.
    """
    return {
        "goTemplate": True,
        "goTemplateOptions": ["missingkey=error"],
        "generators": [{"list": {"elements": elements}}],
        # An element that goes away takes no Application with it, and an Application no workload:
        # removing a component is a person's decision.
        "syncPolicy": {
            "applicationsSync": "create-update",
            "preserveResourcesOnDeletion": True,
        },
        "template": template,
    }
