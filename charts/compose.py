"""Which components a cluster has, and which facts of the fleet each is given.

A new component is a class, its name in ``fleet.registry.ROLE_COMPONENTS``, a row in
``COMPONENTS`` and a function below that hands it its facts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from cdk8s import App

from charts.applications import IN_CLUSTER, Applications, Target
from charts.argocd import Argocd
from charts.argocd_access import ArgocdAccess
from charts.baseline import Baseline
from charts.cert_manager import CertManager
from charts.component import Component
from charts.foobar_api import FoobarApi
from charts.metrics_server import MetricsServer
from charts.providers import PROVIDERS
from charts.traefik import Traefik, termination_grace
from fleet.registry import ComponentName, Fleet, Hub, Region

Cluster: TypeAlias = Hub | Region

COMPONENTS: Final[Mapping[ComponentName, type[Component]]] = {
    component.NAME: component
    for component in (
        Baseline,
        Traefik,
        CertManager,
        MetricsServer,
        FoobarApi,
        Argocd,
        Applications,
        ArgocdAccess,
    )
}


def compose(app: App, fleet: Fleet, cluster: Cluster) -> list[Component]:
    """Adds the components of ``cluster`` to ``app``, one Chart each."""
    if isinstance(cluster, Hub):
        return [_HUB[name](app, fleet, cluster) for name in cluster.components]
    return [_REGION[name](app, fleet, cluster) for name in cluster.components]


def _baseline(app: App, fleet: Fleet, cluster: Cluster) -> Component:
    return Baseline(app)


def _traefik(app: App, fleet: Fleet, cluster: Cluster) -> Component:
    return Traefik(
        app,
        provider=PROVIDERS[cluster.provider],
        load_balancer=cluster.load_balancer_label,
        trusted_networks=[str(network) for network in cluster.node_networks],
        backends=[
            component.NAMESPACE for component in _components(cluster) if component.BEHIND_TRAEFIK
        ],
    )


def _cert_manager(app: App, fleet: Fleet, cluster: Cluster) -> Component:
    return CertManager(app, account_email=fleet.acme.email)


def _metrics_server(app: App, fleet: Fleet, cluster: Cluster) -> Component:
    return MetricsServer(app)


def _foobar_api(app: App, fleet: Fleet, cluster: Region) -> Component:
    return FoobarApi(
        app,
        cluster=cluster.name,
        host=cluster.host,
        issuer=cluster.issuer,
        image=cluster.image,
        pull_secret=cluster.pull_secret,
        proxy_networks=[str(network) for network in cluster.node_networks],
        ingress_grace_seconds=termination_grace(PROVIDERS[cluster.provider]),
    )


def _argocd(app: App, fleet: Fleet, cluster: Hub) -> Component:
    return Argocd(app, host=cluster.argocd_host, issuer=cluster.issuer)


def _applications(app: App, fleet: Fleet, cluster: Hub) -> Component:
    return Applications(
        app,
        repository=fleet.git.repository,
        revision=fleet.git.revision,
        targets=[
            Target(
                cluster=target.name,
                destination=IN_CLUSTER if target is cluster else target.name,
                namespaces=sorted(
                    {
                        namespace
                        for component in _components(target)
                        for namespace in (component.NAMESPACE, *component.OTHER_NAMESPACES)
                    }
                ),
                cluster_kinds=sorted(
                    {kind for component in _components(target) for kind in component.CLUSTER_KINDS}
                ),
            )
            for target in fleet.clusters
        ],
    )


def _argocd_access(app: App, fleet: Fleet, cluster: Region) -> Component:
    return ArgocdAccess(app)


def _components(cluster: Cluster) -> Sequence[type[Component]]:
    return [COMPONENTS[name] for name in cluster.components]


_EVERYWHERE: Final[Mapping[ComponentName, Callable[[App, Fleet, Cluster], Component]]] = {
    "baseline": _baseline,
    "traefik": _traefik,
    "cert-manager": _cert_manager,
    "metrics-server": _metrics_server,
}
_HUB: Final[Mapping[ComponentName, Callable[[App, Fleet, Hub], Component]]] = {
    **_EVERYWHERE,
    "argocd": _argocd,
    "applications": _applications,
}
_REGION: Final[Mapping[ComponentName, Callable[[App, Fleet, Region], Component]]] = {
    **_EVERYWHERE,
    "foobar-api": _foobar_api,
    "argocd-access": _argocd_access,
}
