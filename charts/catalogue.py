"""The components of each role: the only list of them, in the order in which people read it.

A new component is a class in a module of its own, and a line here. Apps come from files: see
``charts.app`` and ``charts.tenant``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

from charts import app, tenant
from charts.app.package import packaged
from charts.applications import Applications
from charts.argocd import Argocd
from charts.argocd_access import ArgocdAccess
from charts.baseline import Baseline
from charts.cert_manager import CertManager
from charts.component import C_contra, Component
from charts.metrics_server import MetricsServer
from charts.monitoring.alertmanager import Alertmanager
from charts.monitoring.blackbox import BlackboxExporter
from charts.monitoring.collector import Collector
from charts.monitoring.gateway import LogGateway
from charts.monitoring.grafana import Grafana
from charts.monitoring.ingest import Ingest
from charts.monitoring.kube_state_metrics import KubeStateMetrics
from charts.monitoring.loki import Loki
from charts.monitoring.node_exporter import NodeExporter
from charts.monitoring.operator import PrometheusOperator
from charts.monitoring.prometheus import PrometheusHub
from charts.monitoring.prometheus_agent import PrometheusAgentComponent
from charts.monitoring.rules import Rules
from charts.pages import Pages
from charts.traefik import Traefik
from fleet import apps, registry
from fleet.apps import APPS
from fleet.catalogue import Catalogue
from fleet.offers import Offers
from fleet.package import Package
from fleet.registry import Cluster, Fleet, Hub, Region
from fleet.score import Description
from fleet.values import dns_label


def complete(*classes: type[Component[C_contra]]) -> tuple[type[Component[C_contra]], ...]:
    """``classes``; raises TypeError with all that they lack of what every component has."""
    faults = [fault for each in classes for fault in _faults(each)]
    owners: dict[str, type[Component[C_contra]]] = {}
    for each in classes:
        owner = owners.setdefault(each.NAME, each)
        if owner is not each:
            faults.append(f"{_full(owner)} and {_full(each)} both have the NAME {each.NAME}")
    if faults:
        raise TypeError("; ".join(faults))
    return classes


def _faults(component: type[Component[Any]]) -> Iterator[str]:
    if missing := sorted(component.__abstractmethods__):
        yield f"{_full(component)} has no {' and no '.join(missing)}"
    try:
        dns_label(component.NAME)
    except ValueError as error:
        yield f"{_full(component)}: NAME {error}"
    # Without it the class takes the facts of its base, and none of its own.
    if "__dataclass_fields__" not in vars(component):
        yield f"{_full(component)} lacks @dataclass(frozen=True, kw_only=True)"


def _full(component: type[Component[Any]]) -> str:
    return f"{component.__module__}.{component.__name__}"


EVERYWHERE: Final[tuple[type[Component[Cluster]], ...]] = complete(
    Baseline,
    Traefik,
    CertManager,
    MetricsServer,
    PrometheusOperator,
    NodeExporter,
    KubeStateMetrics,
    BlackboxExporter,
    Collector,
)
HUB: Final[tuple[type[Component[Hub]], ...]] = complete(
    *EVERYWHERE,
    Pages,
    PrometheusHub,
    Alertmanager,
    Loki,
    LogGateway,
    Ingest,
    Grafana,
    Rules,
    Argocd,
    Applications,
)
REGION: Final[tuple[type[Component[Region]], ...]] = complete(
    *EVERYWHERE,
    PrometheusAgentComponent,
    ArgocdAccess,
)
CATALOGUE: Final[Catalogue] = {"hub": HUB, "region": REGION}
COMPONENTS: Final[tuple[type[Component[Any]], ...]] = tuple(dict.fromkeys((*HUB, *REGION)))
"""Each component once."""


TAKEN: Final = frozenset(
    (
        "default",
        "in-cluster",
        *tenant.OWN_NAMES,
        *(
            name
            for each in COMPONENTS
            for name in (each.NAME, each.NAMESPACE, *each.OTHER_NAMESPACES)
        ),
    )
)
"""Names that no app can have."""


def offers(folder: Path) -> Offers:
    """What clusters can have; raises InputError with every problem of the apps in ``folder``."""
    described = apps.load(folder, TAKEN)
    return Offers(
        CATALOGUE,
        {name: (tenant.tenant(each), *_what_runs(each)) for name, each in described.items()},
    )


def charts(folder: Path) -> frozenset[str]:
    """URLs of the Helm charts that the apps in ``folder`` name."""
    described = apps.load(folder, TAKEN).values()
    return frozenset(
        each.helm.url
        for each in described
        if isinstance(each, Package) and each.helm and each.helm.url
    )


def _what_runs(described: Description) -> tuple[type[Component[Region]], ...]:
    """What we render of it: nothing where the manifests are in a repository of the app's own."""
    if not isinstance(described, Package):
        return (app.component(described),)
    return () if described.git else (packaged(described),)


def load(path: Path, overlays: Path | None = None) -> Fleet:
    """Reads the fleet from ``path``, and its apps from the folder apps/ beside that file.

    Raises InputError with every problem that they have. Folders of ``overlays`` that no component
    of the fleet would pick up are problems as well.
    """
    return registry.load(path, offers(path.parent / APPS), overlays)


def compose(fleet: Fleet, cluster: Hub | Region) -> list[Component[Any]]:
    """The components of ``cluster``, each with the facts that it takes from the fleet."""
    # The registry, which stands below them, knows the classes of its catalogue as Offers only.
    classes = cast(tuple[type[Component[Any]], ...], cluster.classes)
    return [each.of(fleet, cluster) for each in classes]
