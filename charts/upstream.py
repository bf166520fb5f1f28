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

TRAEFIK_IMAGE: Final = f"docker.io/traefik:{TRAEFIK_VERSION}"
METRICS_SERVER_IMAGE: Final = (
    f"registry.k8s.io/metrics-server/metrics-server:{METRICS_SERVER_VERSION}"
)

TRAEFIK_CRDS: Final = (
    f"https://raw.githubusercontent.com/traefik/traefik/{TRAEFIK_VERSION}"
    "/docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"
)
CERT_MANAGER_BUNDLE: Final = (
    "https://github.com/cert-manager/cert-manager/releases/download"
    f"/{CERT_MANAGER_VERSION}/cert-manager.yaml"
)
PROMETHEUS_CONFIG_RELOADER_IMAGE: Final = (
    f"quay.io/prometheus-operator/prometheus-config-reloader:{PROMETHEUS_OPERATOR_VERSION}"
)
PROMETHEUS_OPERATOR_BUNDLE: Final = (
    "https://raw.githubusercontent.com/prometheus-operator/prometheus-operator"
    f"/{PROMETHEUS_OPERATOR_VERSION}/bundle.yaml"
)

ARGOCD_BUNDLE: Final = (
    f"https://raw.githubusercontent.com/argoproj/argo-cd/{ARGOCD_VERSION}/manifests/install.yaml"
)
