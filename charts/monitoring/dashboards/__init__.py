"""Dashboards as code: ours, and which of kube-prometheus's are shown."""

import json
from typing import Final

from charts.monitoring.dashboards.apps import APPS
from charts.monitoring.dashboards.collection import COLLECTION
from charts.monitoring.dashboards.fleet import FLEET
from charts.monitoring.dashboards.hostnames import HOSTNAMES
from charts.monitoring.dashboards.logs import LOGS
from charts.monitoring.dashboards.model import Json
from charts.monitoring.dashboards.platform import ARGOCD, CERT_MANAGER, TRAEFIK
from charts.monitoring.dashboards.region import REGION

DASHBOARDS: Final[tuple[Json, ...]] = (
    FLEET,
    APPS,
    HOSTNAMES,
    REGION,
    TRAEFIK,
    CERT_MANAGER,
    ARGOCD,
    LOGS,
    COLLECTION,
)

UPSTREAM: Final = (
    "alertmanager-overview",
    "apiserver",
    "cluster-total",
    "grafana-overview",
    "k8s-resources-cluster",
    "k8s-resources-multicluster",
    "k8s-resources-namespace",
    "k8s-resources-node",
    "k8s-resources-nodes-overview",
    "k8s-resources-pod",
    "k8s-resources-workload",
    "k8s-resources-workloads-namespace",
    "kubelet",
    "namespace-by-pod",
    "namespace-by-workload",
    "node-cluster-rsrc-use",
    "node-rsrc-use",
    "nodes",
    "persistentvolumesusage",
    "pod-total",
    "prometheus",
    "prometheus-remote-write",
    "workload-total",
)
"""Of kube-prometheus's 33: not those of Windows, AIX and macOS, nor of a scheduler, a controller
manager and a kube-proxy, which VKE does not show."""


def as_json(dashboard: Json) -> str:
    """A dashboard as the file that Grafana reads."""
    return json.dumps(dashboard, indent=1, ensure_ascii=False)
