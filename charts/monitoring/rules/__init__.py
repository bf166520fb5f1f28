"""Rules on the hub, for every cluster: kube-prometheus's, and ours generated from the registry."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from cdk8s import App

from charts.component import Component, JsonPatch
from charts.monitoring.ingest import Source
from charts.monitoring.rules.app import SERVICE_LEVELS
from charts.monitoring.rules.arrival import of_region, of_sending
from charts.monitoring.rules.certificates import CERTIFICATES
from charts.monitoring.rules.platform import platform
from charts.scrape import MONITORING
from charts.upstream import kube_prometheus
from fleet.registry import ComponentName
from imports.monitoring import PrometheusRule

if TYPE_CHECKING:
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


class Rules(Component):
    """PrometheusRules: upstream's less what cannot be seen, and our own."""

    NAME: ClassVar[ComponentName] = "rules"
    NAMESPACE = MONITORING
    BUNDLES = tuple(map(kube_prometheus, UPSTREAM))

    def __init__(
        self,
        app: App,
        *,
        hub: str,
        hub_jobs: Sequence[str],
        hub_logs: bool,
        sources: Sequence[Source],
        runbooks: str,
    ) -> None:
        """Rules of ``hub`` for what ``sources`` send.

        ``hub_jobs`` must exist in the hub's own cluster; ``hub_logs`` says whether its logs are
        collected. ``runbooks`` is the URL of the folder that holds a page for each alert.
        """
        super().__init__(
            app,
            patches=(_without(NOT_TO_BE_SEEN),),
        )
        named: dict[str, list[Group]] = {
            "fleet": [
                of_sending(hub, hub_jobs=hub_jobs, hub_logs=hub_logs),
                CERTIFICATES,
                SERVICE_LEVELS,
                platform(hub),
            ],
            # An object each, so that a region more or less is a file more or less.
            **{f"arrival-{each.cluster}": [of_region(hub, each)] for each in sources},
        }
        for name, groups in named.items():
            PrometheusRule(
                self,
                name,
                metadata={"name": name, "namespace": MONITORING},
                spec={"groups": [group.spec(runbooks) for group in groups if group.rules]},
            )


def _without(groups: dict[int, str]) -> JsonPatch:
    """Takes groups out, from the last on; each only where it is still the one that is meant."""
    return JsonPatch(
        "monitoring.coreos.com",
        "v1",
        "PrometheusRule",
        "kubernetes-monitoring-rules",
        tuple(
            operation
            for at in sorted(groups, reverse=True)
            for operation in (
                {"op": "test", "path": f"/spec/groups/{at}/name", "value": groups[at]},
                {"op": "remove", "path": f"/spec/groups/{at}"},
            )
        ),
    )
