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
from charts.prometheus_operator import PrometheusOperator
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
            component.NAMESPACE for component in _components(cluster) if component.BEHIND_TRAEFIK
        ),
    )


def _cert_manager(fleet: Fleet, cluster: Cluster) -> Plan:
    return partial(CertManager, account_email=fleet.acme.email)


def _metrics_server(fleet: Fleet, cluster: Cluster) -> Plan:
    return partial(MetricsServer)


def _prometheus_operator(fleet: Fleet, cluster: Cluster) -> Plan:
    return partial(PrometheusOperator)


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
}
_HUB: Final[Mapping[ComponentName, Callable[[Fleet, Hub], Plan]]] = {
    **_EVERYWHERE,
    "argocd": _argocd,
    "applications": _applications,
}
_REGION: Final[Mapping[ComponentName, Callable[[Fleet, Region], Plan]]] = {
    **_EVERYWHERE,
    "foobar-api": _foobar_api,
    "argocd-access": _argocd_access,
}
