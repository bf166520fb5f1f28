"""Which components a cluster has, and which facts of the fleet each is given.

A new component is a class, its name in ``fleet.registry.ROLE_COMPONENTS``, a row in
``COMPONENTS`` and a function below that hands it its facts.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from charts.applications import IN_CLUSTER, Applications, Target
from charts.argocd import Argocd
from charts.argocd_access import ArgocdAccess
from charts.baseline import Baseline
from charts.cert_manager import CertManager
from charts.component import Component
from charts.foobar_api import FoobarApi
from charts.metrics_server import MetricsServer
from charts.monitoring import ingest
from charts.monitoring.alertmanager import Alertmanager
from charts.monitoring.collector import COLLECTOR, Collector
from charts.monitoring.grafana import Grafana
from charts.monitoring.ingest import Ingest, Source
from charts.monitoring.kube_state_metrics import KubeStateMetrics
from charts.monitoring.loki import Loki
from charts.monitoring.node_exporter import NodeExporter
from charts.monitoring.operator import PrometheusOperator
from charts.monitoring.prometheus import PrometheusHub
from charts.monitoring.prometheus_agent import PROMETHEUS_AGENT, PrometheusAgentComponent
from charts.monitoring.rules import Rules
from charts.providers import PROVIDERS
from charts.traefik import Traefik, termination_grace
from fleet.registry import ComponentName, Fleet, Hub, Region

Cluster: TypeAlias = Hub | Region
Plan: TypeAlias = partial[Any]
"""A component's class with its facts, which compare by value: it only wants an App."""

COMPONENTS: Final[Mapping[ComponentName, type[Component]]] = {
    component.NAME: component
    for component in (
        Baseline,
        Traefik,
        CertManager,
        MetricsServer,
        PrometheusOperator,
        NodeExporter,
        KubeStateMetrics,
        Collector,
        PrometheusAgentComponent,
        PrometheusHub,
        Alertmanager,
        Loki,
        Ingest,
        Grafana,
        Rules,
        FoobarApi,
        Argocd,
        Applications,
        ArgocdAccess,
    )
}


def compose(fleet: Fleet, cluster: Cluster) -> dict[ComponentName, Plan]:
    """The components of ``cluster``, each with the facts it is made of."""
    if isinstance(cluster, Hub):
        return {name: _HUB[name](fleet, cluster) for name in cluster.components}
    return {name: _REGION[name](fleet, cluster) for name in cluster.components}


def _baseline(fleet: Fleet, cluster: Cluster) -> Plan:
    return partial(Baseline)


def _traefik(fleet: Fleet, cluster: Cluster) -> Plan:
    return partial(
        Traefik,
        provider=PROVIDERS[cluster.provider],
        load_balancer=cluster.load_balancer_label,
        trusted_networks=tuple(map(str, cluster.node_networks)),
        backends=tuple(
            dict.fromkeys(
                component.NAMESPACE
                for component in _components(cluster)
                if component.BEHIND_TRAEFIK
            )
        ),
    )


def _cert_manager(fleet: Fleet, cluster: Cluster) -> Plan:
    return partial(CertManager, account_email=fleet.acme.email)


def _metrics_server(fleet: Fleet, cluster: Cluster) -> Plan:
    return partial(MetricsServer)


def _prometheus_operator(fleet: Fleet, cluster: Cluster) -> Plan:
    return partial(PrometheusOperator)


def _node_exporter(fleet: Fleet, cluster: Cluster) -> Plan:
    return partial(NodeExporter)


def _kube_state_metrics(fleet: Fleet, cluster: Cluster) -> Plan:
    return partial(KubeStateMetrics)


def _collector(fleet: Fleet, cluster: Cluster) -> Plan:
    """On the hub straight to Loki, from a region by way of its path there."""
    region = isinstance(cluster, Region)
    return partial(
        Collector,
        cluster=cluster.name,
        region=cluster.region_label,
        endpoint=(
            f"https://{fleet.hub.loki_host}{ingest.LOGS.path(cluster.name)}"
            if region
            else f"{ingest.LOGS.url}{ingest.LOGS.push_path}"
        ),
        authenticated=region,
    )


def _prometheus_agent(fleet: Fleet, cluster: Region) -> Plan:
    return partial(
        PrometheusAgentComponent,
        cluster=cluster.name,
        region=cluster.region_label,
        url=f"https://{fleet.hub.prometheus_host}{ingest.METRICS.path(cluster.name)}",
        storage_class=_storage_class(cluster),
    )


def _prometheus(fleet: Fleet, cluster: Hub) -> Plan:
    return partial(
        PrometheusHub,
        cluster=cluster.name,
        region=cluster.region_label,
        host=cluster.prometheus_host,
        issuer=cluster.issuer,
        retention=cluster.metrics_retention,
        storage=cluster.metrics_storage,
        storage_class=_storage_class(cluster),
    )


def _alertmanager(fleet: Fleet, cluster: Hub) -> Plan:
    return partial(
        Alertmanager,
        pages_by=cluster.pages_by,
        notices_by=cluster.notices_by,
        grafana=cluster.grafana_host,
        storage_class=_storage_class(cluster),
    )


def _loki(fleet: Fleet, cluster: Hub) -> Plan:
    return partial(
        Loki,
        retention=cluster.logs_retention,
        storage=cluster.logs_storage,
        storage_class=_storage_class(cluster),
        bucket=cluster.logs_bucket,
    )


def _ingest(fleet: Fleet, cluster: Hub) -> Plan:
    return partial(
        Ingest,
        sources=tuple(map(_source, fleet.regions)),
        prometheus_host=cluster.prometheus_host,
        loki_host=cluster.loki_host,
        issuer=cluster.issuer,
    )


def _grafana(fleet: Fleet, cluster: Hub) -> Plan:
    return partial(Grafana, host=cluster.grafana_host, issuer=cluster.issuer)


def _rules(fleet: Fleet, cluster: Hub) -> Plan:
    return partial(
        Rules,
        hub=cluster.name,
        hub_jobs=_jobs(cluster),
        hub_logs=COLLECTOR in cluster.components,
        sources=tuple(map(_source, fleet.regions)),
        runbooks=f"{fleet.git.web}/blob/{fleet.git.revision}/docs/runbooks",
    )


def _source(region: Region) -> Source:
    """What a region sends to the hub, by the components that it has."""
    signals = {PROMETHEUS_AGENT: ingest.METRICS, COLLECTOR: ingest.LOGS}
    return Source(
        cluster=region.name,
        signals=tuple(signals[name] for name in signals if name in region.components),
        jobs=_jobs(region),
        app=FoobarApi.NAME in region.components,
    )


def _jobs(cluster: Cluster) -> tuple[str, ...]:
    """What is there to be scraped: Kubernetes itself, and components that have a job's name.

    foobar-api has an alert of its own.
    """
    own = (
        Traefik.NAME,
        CertManager.NAME,
        NodeExporter.NAME,
        KubeStateMetrics.NAME,
        PrometheusOperator.NAME,
        COLLECTOR,
    )
    return ("apiserver", "kubelet", *(name for name in cluster.components if name in own))


def _storage_class(cluster: Cluster) -> str | None:
    return cluster.storage_class or PROVIDERS[cluster.provider].storage_class


def _foobar_api(fleet: Fleet, cluster: Region) -> Plan:
    return partial(
        FoobarApi,
        cluster=cluster.name,
        host=cluster.host,
        issuer=cluster.issuer,
        image=cluster.image,
        pull_secret=cluster.pull_secret,
        proxy_networks=tuple(map(str, cluster.node_networks)),
        ingress_grace_seconds=termination_grace(PROVIDERS[cluster.provider]),
    )


def _argocd(fleet: Fleet, cluster: Hub) -> Plan:
    return partial(Argocd, host=cluster.argocd_host, issuer=cluster.issuer)


def _applications(fleet: Fleet, cluster: Hub) -> Plan:
    return partial(
        Applications,
        repository=fleet.git.repository,
        revision=fleet.git.revision,
        targets=tuple(
            _target(target, IN_CLUSTER if target is cluster else target.name)
            for target in fleet.clusters
        ),
    )


def _target(cluster: Cluster, destination: str) -> Target:
    """All that the components of ``cluster`` may write, as their classes say."""
    components = _components(cluster)
    return Target(
        cluster=cluster.name,
        destination=destination,
        namespaces=tuple(
            sorted(
                {
                    namespace
                    for each in components
                    for namespace in (each.NAMESPACE, *each.OTHER_NAMESPACES)
                }
            )
        ),
        cluster_kinds=tuple(sorted({kind for each in components for kind in each.CLUSTER_KINDS})),
    )


def _argocd_access(fleet: Fleet, cluster: Region) -> Plan:
    return partial(ArgocdAccess)


def _components(cluster: Cluster) -> Sequence[type[Component]]:
    return [COMPONENTS[name] for name in cluster.components]


_EVERYWHERE: Final[Mapping[ComponentName, Callable[[Fleet, Cluster], Plan]]] = {
    "baseline": _baseline,
    "traefik": _traefik,
    "cert-manager": _cert_manager,
    "metrics-server": _metrics_server,
    "prometheus-operator": _prometheus_operator,
    "node-exporter": _node_exporter,
    "kube-state-metrics": _kube_state_metrics,
    "opentelemetry-collector": _collector,
}
_HUB: Final[Mapping[ComponentName, Callable[[Fleet, Hub], Plan]]] = {
    **_EVERYWHERE,
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
    "loki": _loki,
    "ingest": _ingest,
    "grafana": _grafana,
    "rules": _rules,
    "argocd": _argocd,
    "applications": _applications,
}
_REGION: Final[Mapping[ComponentName, Callable[[Fleet, Region], Plan]]] = {
    **_EVERYWHERE,
    "prometheus-agent": _prometheus_agent,
    "foobar-api": _foobar_api,
    "argocd-access": _argocd_access,
}
