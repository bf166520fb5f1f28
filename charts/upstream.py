"""Everything of other projects that the fleet runs: versions, images and bundles, each pinned once.

Versions were chosen from the upstream release pages; a bundle is referenced by URL from the
kustomization.yaml of its component, so that rendering needs no network.
"""

from typing import Final

TRAEFIK_VERSION: Final = "v3.7.13"
CERT_MANAGER_VERSION: Final = "v1.21.2"
ARGOCD_VERSION: Final = "v3.5.7"
METRICS_SERVER_VERSION: Final = "v0.8.1"
PROMETHEUS_OPERATOR_VERSION: Final = "v0.93.1"
PROMETHEUS_VERSION: Final = "v3.13.2"
ALERTMANAGER_VERSION: Final = "v0.33.1"
NODE_EXPORTER_VERSION: Final = "v1.12.1"
BLACKBOX_EXPORTER_VERSION: Final = "v0.28.0"
# Newer ones leave out reasons of a pod's status that kube-prometheus's rules count on.
KUBE_STATE_METRICS_VERSION: Final = "v2.19.1"
GRAFANA_VERSION: Final = "13.1.3"
LOKI_VERSION: Final = "3.7.8"
OPENTELEMETRY_COLLECTOR_VERSION: Final = "0.158.0"
BUSYBOX_VERSION: Final = "1.36"
# The commit whose rules are tested with the versions above; it is no release.
KUBE_PROMETHEUS_REVISION: Final = "4d719f1dea8853540b3823ab1fbe6be74a9953b3"

TRAEFIK_IMAGE: Final = f"docker.io/traefik:{TRAEFIK_VERSION}"
METRICS_SERVER_IMAGE: Final = (
    f"registry.k8s.io/metrics-server/metrics-server:{METRICS_SERVER_VERSION}"
)
PROMETHEUS_CONFIG_RELOADER_IMAGE: Final = (
    f"quay.io/prometheus-operator/prometheus-config-reloader:{PROMETHEUS_OPERATOR_VERSION}"
)
PROMETHEUS_IMAGE: Final = f"quay.io/prometheus/prometheus:{PROMETHEUS_VERSION}"
ALERTMANAGER_IMAGE: Final = f"quay.io/prometheus/alertmanager:{ALERTMANAGER_VERSION}"
NODE_EXPORTER_IMAGE: Final = f"quay.io/prometheus/node-exporter:{NODE_EXPORTER_VERSION}"
BLACKBOX_EXPORTER_IMAGE: Final = f"quay.io/prometheus/blackbox-exporter:{BLACKBOX_EXPORTER_VERSION}"
KUBE_STATE_METRICS_IMAGE: Final = (
    f"registry.k8s.io/kube-state-metrics/kube-state-metrics:{KUBE_STATE_METRICS_VERSION}"
)
GRAFANA_IMAGE: Final = f"docker.io/grafana/grafana:{GRAFANA_VERSION}"
LOKI_IMAGE: Final = f"docker.io/grafana/loki:{LOKI_VERSION}"
OPENTELEMETRY_COLLECTOR_IMAGE: Final = (
    "ghcr.io/open-telemetry/opentelemetry-collector-releases/opentelemetry-collector-k8s"
    f":{OPENTELEMETRY_COLLECTOR_VERSION}"
)
BUSYBOX_IMAGE: Final = f"docker.io/library/busybox:{BUSYBOX_VERSION}"

TRAEFIK_CRDS: Final = (
    f"https://raw.githubusercontent.com/traefik/traefik/{TRAEFIK_VERSION}"
    "/docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"
)
CERT_MANAGER_BUNDLE: Final = (
    "https://github.com/cert-manager/cert-manager/releases/download"
    f"/{CERT_MANAGER_VERSION}/cert-manager.yaml"
)
PROMETHEUS_OPERATOR_BUNDLE: Final = (
    "https://raw.githubusercontent.com/prometheus-operator/prometheus-operator"
    f"/{PROMETHEUS_OPERATOR_VERSION}/bundle.yaml"
)

ARGOCD_BUNDLE: Final = (
    f"https://raw.githubusercontent.com/argoproj/argo-cd/{ARGOCD_VERSION}/manifests/install.yaml"
)


def kube_prometheus(file: str) -> str:
    """URL of a manifest of kube-prometheus."""
    return (
        "https://raw.githubusercontent.com/prometheus-operator/kube-prometheus"
        f"/{KUBE_PROMETHEUS_REVISION}/manifests/{file}"
    )
