"""Rules on the hub, for every cluster: kube-prometheus's, and ours generated from the registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from charts.component import Component, JsonPatch, Patch
from charts.monitoring.names import COLLECTOR
from charts.monitoring.rules.app import WatchedApp
from charts.monitoring.rules.arrival import WatchedRegion, expected_jobs, of_region, of_sending
from charts.monitoring.rules.certificates import certificates
from charts.monitoring.rules.jobs import JOBS, UPSTREAM_WITHOUT_JOBS
from charts.monitoring.rules.platform import platform
from charts.monitoring.rules.probes import HOSTNAMES, WatchedHostnames
from charts.monitoring.rules.service_levels import SERVICE_LEVELS
from charts.monitoring.rules.traffic import TRAFFIC, WatchedTraefik
from charts.scrape import MONITORING
from charts.tenant import apps
from charts.upstream import kube_prometheus
from fleet.registry import Fleet, Hub
from imports.monitoring import PrometheusRule

if TYPE_CHECKING:
    from constructs import Construct

    from charts.monitoring.rules.rule import Group

UPSTREAM: Final = tuple(
    f"{name}-prometheusRule.yaml"
    for name in (
        "alertmanager",
        "grafana",
        "kubePrometheus",
        "kubeStateMetrics",
        "kubernetesControlPlane",
        "nodeExporter",
        "prometheus",
        "prometheusOperator",
    )
)

NOT_TO_BE_SEEN: Final = {
    7: "kubernetes-system-scheduler",
    8: "kubernetes-system-controller-manager",
    22: "kube-scheduler.rules",
}
"""Groups of kubernetesControlPlane by position: on a managed control plane their alerts, which
ask whether a scheduler is there at all, would fire for ever."""

QUOTAS: Final = {(1, 3): "KubeMemoryQuotaOvercommit", (1, 2): "KubeCPUQuotaOvercommit"}
"""Alerts of kubernetesControlPlane by group and position that take the quota of an app for
a promise of room, all of which the nodes should have at once. Here it is a ceiling, several times
what an app requests: with two apps on two small nodes they would fire for ever. What pods request
in fact is watched by KubeCPUOvercommit and KubeMemoryOvercommit."""

OF_LOST_NODES: Final = {(6, 0): "KubeNodeNotReady", (6, 2): "KubeNodeUnreachable"}
"""Alerts of kubernetesControlPlane by group and position that our runbook for lost nodes is for."""


@dataclass(frozen=True, kw_only=True)
class Rules(Component[Hub]):
    """PrometheusRules: upstream's less what cannot be seen, and our own."""

    NAME = "rules"
    NAMESPACE = MONITORING
    REQUIRED = True
    BUNDLES = tuple(map(kube_prometheus, UPSTREAM))

    hub: str
    """The hub's name."""
    hub_jobs: tuple[str, ...]
    """Jobs that must exist in the hub's own cluster."""
    hub_logs: bool
    """Whether the hub's own logs are collected."""
    apps: tuple[WatchedApp, ...]
    """The apps that some region runs."""
    regions: tuple[WatchedRegion, ...]
    hostnames: tuple[WatchedHostnames, ...]
    """Those that some cluster probes, by the cluster that serves them."""
    traefiks: tuple[WatchedTraefik, ...]
    runbooks: str
    """URL of the folder that holds a page for each alert."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(
            hub=cluster.name,
            hub_jobs=expected_jobs(cluster),
            hub_logs=COLLECTOR in cluster.components,
            apps=tuple(
                WatchedApp.of(app)
                for app in sorted(
                    {app for region in fleet.regions for app in apps(region)},
                    key=lambda app: app.name,
                )
            ),
            regions=tuple(map(WatchedRegion.of, fleet.regions)),
            hostnames=WatchedHostnames.of(fleet),
            traefiks=tuple(filter(None, map(WatchedTraefik.of, fleet.clusters))),
            runbooks=f"{fleet.git.web}/blob/{quote(fleet.git.revision)}/docs/runbooks",
        )

    def add_to(self, chart: "Construct") -> None:
        groups: dict[str, list[Group]] = {
            "fleet": [
                of_sending(self.hub, hub_jobs=self.hub_jobs, hub_logs=self.hub_logs),
                certificates(served=any(app.certificate_expiry for app in self.apps)),
                JOBS,
                platform(self.hub),
                *((*SERVICE_LEVELS, TRAFFIC) if any(app.measured_by for app in self.apps) else ()),
                *([HOSTNAMES] if self.hostnames else ()),
            ],
            # An object each, so that an app or a region more or less is a file more or less.
            **{f"app-{app.name}": [app.records()] for app in self.apps},
            **{f"arrival-{region.name}": [of_region(self.hub, region)] for region in self.regions},
            **{f"probes-{each.cluster}": [each.missing()] for each in self.hostnames},
            **{f"traefik-{each.cluster}": [each.down()] for each in self.traefiks},
        }
        for name, groups_of_object in groups.items():
            PrometheusRule(
                chart,
                name,
                metadata={"name": name, "namespace": MONITORING},
                spec={
                    "groups": [
                        group.spec(self.runbooks) for group in groups_of_object if group.rules
                    ]
                },
            )

    @property
    def patches(self) -> Sequence[Patch | JsonPatch]:
        return (_control_plane(self.runbooks),)


def _control_plane(runbooks: str) -> JsonPatch:
    """Changes alerts and takes others out, each only where it is still the one that is meant."""
    return JsonPatch(
        group="monitoring.coreos.com",
        version="v1",
        kind="PrometheusRule",
        name="kubernetes-monitoring-rules",
        operations=(
            *UPSTREAM_WITHOUT_JOBS,
            *(
                operation
                for (group, rule), alert in OF_LOST_NODES.items()
                for operation in (
                    _test(f"{group}/rules/{rule}/alert", alert),
                    {
                        "op": "replace",
                        "path": f"/spec/groups/{group}/rules/{rule}/annotations/runbook_url",
                        "value": f"{runbooks}/NodeNotReturning.md",
                    },
                )
            ),
            # From the last on, so that none moves before its turn.
            *(
                operation
                for group, rule in sorted(QUOTAS, reverse=True)
                for operation in (
                    _test(f"{group}/rules/{rule}/alert", QUOTAS[group, rule]),
                    {"op": "remove", "path": f"/spec/groups/{group}/rules/{rule}"},
                )
            ),
            *(
                operation
                for group in sorted(NOT_TO_BE_SEEN, reverse=True)
                for operation in (
                    _test(f"{group}/name", NOT_TO_BE_SEEN[group]),
                    {"op": "remove", "path": f"/spec/groups/{group}"},
                )
            ),
        ),
    )


def _test(path: str, value: str) -> Mapping[str, str]:
    """An operation that fails if something else is at ``path`` below the groups."""
    return {"op": "test", "path": f"/spec/groups/{path}", "value": value}
