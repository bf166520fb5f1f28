"""Argo CD on the hub: the upstream bundle, configured by patches, behind Traefik's TLS.

Dex is left out: sign-in is the local admin until an identity provider is configured.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import ClassVar, Final

from cdk8s import App

from charts import kinds
from charts.applications import ARGOCD
from charts.cert_manager import SOLVER_LABELS, SOLVER_PORT, serving_certificate
from charts.component import Component, Patch
from charts.labels import selector
from charts.network import EVERYWHERE, TO_API_SERVER, TO_DNS, allow, default_deny, tcp
from charts.scheduling import PLATFORM
from charts.scrape import monitor
from charts.traefik import TRAEFIK, TRAEFIK_PODS, grant_watch
from charts.upstream import ARGOCD_BUNDLE
from fleet.registry import ComponentName, Issuer
from imports.traefik import IngressRoute, Middleware

TLS_SECRET: Final = "argocd-tls"
SERVER: Final = "argocd-server"

METRICS: Final[Mapping[str, int | str]] = {
    "argocd-application-controller": 8082,
    "argocd-applicationset-controller": "metrics",
    "argocd-notifications-controller": "metrics",
    "argocd-repo-server": 8084,
    SERVER: 8083,
}
"""Where each part says its metrics: by the name that its port has, or the number."""

# Argo CD v3.5.7, resource_customizations/, has Lua for Prometheus and for none of these.
HEALTH: Final[Mapping[str, str]] = {
    "monitoring.coreos.com_Alertmanager": "operator.lua",
    "monitoring.coreos.com_PrometheusAgent": "operator.lua",
}


class Argocd(Component):
    """The bundle with our configuration, its certificate, route and policies."""

    NAME: ClassVar[ComponentName] = "argocd"
    NAMESPACE = ARGOCD
    CLUSTER_KINDS = (
        kinds.NAMESPACE,
        kinds.CRD,
        kinds.CLUSTER_ROLE,
        kinds.CLUSTER_ROLE_BINDING,
    )
    BEHIND_TRAEFIK = True
    BUNDLES = (ARGOCD_BUNDLE,)

    def __init__(self, app: App, *, host: str, issuer: Issuer) -> None:
        """Argo CD at ``https://host/``, with a certificate of ``issuer``."""
        super().__init__(
            app,
            patches=_patches(host),
            bundle_namespace=ARGOCD,
        )
        self.own_namespace()
        serving_certificate(
            self, namespace=ARGOCD, name=SERVER, secret=TLS_SECRET, host=host, issuer=issuer
        )
        Middleware(
            self,
            "headers",
            metadata={"name": SERVER, "namespace": ARGOCD},
            spec={
                "headers": {
                    "stsSeconds": 31_536_000,
                    "contentTypeNosniff": True,
                    "referrerPolicy": "strict-origin-when-cross-origin",
                }
            },
        )
        IngressRoute(
            self,
            "route",
            metadata={"name": SERVER, "namespace": ARGOCD},
            spec={
                "ingressClassName": TRAEFIK,
                "entryPoints": ["websecure"],
                "routes": [
                    {
                        "kind": "Rule",
                        "match": f"Host(`{host}`)",
                        "priority": 10,
                        "middlewares": [{"name": SERVER}],
                        "services": [{"name": SERVER, "port": "http"}],
                    },
                    # The command line speaks gRPC: HTTP/2 without TLS on the inner side.
                    {
                        "kind": "Rule",
                        "match": f"Host(`{host}`) && Header(`Content-Type`, `application/grpc`)",
                        "priority": 11,
                        "services": [{"name": SERVER, "port": "http", "scheme": "h2c"}],
                    },
                ],
                "tls": {"secretName": TLS_SECRET},
            },
        )
        grant_watch(self, namespace=ARGOCD)
        default_deny(self, namespace=ARGOCD)
        # The bundle's own policies say who may reach whom; this one lets everybody ask: each
        # other, the clusters' API servers, and Git over HTTPS or SSH.
        allow(
            self,
            "egress",
            namespace=ARGOCD,
            labels={},
            egress=[
                TO_DNS,
                TO_API_SERVER,
                {"to": EVERYWHERE, "ports": tcp(22)},
                {"to": [{"podSelector": {}}]},
            ],
        )
        allow(
            self,
            "acme-solver",
            namespace=ARGOCD,
            labels=SOLVER_LABELS,
            ingress=[{"from": [TRAEFIK_PODS], "ports": tcp(SOLVER_PORT)}],
        )
        # The bundle's policies let everybody in who asks for metrics.
        for name, port in METRICS.items():
            monitor(
                self,
                name,
                namespace=ARGOCD,
                labels=selector(name),
                endpoint={"portNumber": port} if isinstance(port, int) else {"port": port},
            )


def _patches(host: str) -> tuple[Patch, ...]:
    return (
        _config(
            "argocd-cm",
            {
                "url": f"https://{host}",
                "admin.enabled": "true",
                "users.anonymous.enabled": "false",
                "exec.enabled": "false",
                "application.resourceTrackingMethod": "annotation",
                # The regions' rights end somewhere; what may not be listed is not watched.
                "resource.respectRBAC": "normal",
                **{
                    f"resource.customizations.health.{kind}": (
                        files(__package__).joinpath("health", script).read_text("utf-8")
                    )
                    for kind, script in HEALTH.items()
                },
            },
        ),
        _config(
            "argocd-cmd-params-cm",
            {
                # Traefik ends the browsers' TLS.
                "server.insecure": "true",
                # Adopting or losing a cluster's objects is a person's decision, set for set.
                "applicationsetcontroller.enable.policy.override": "true",
            },
        ),
        # Nobody but the admin sees anything until roles are given.
        _config("argocd-rbac-cm", {"policy.default": "", "policy.csv": ""}),
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"{SERVER}-network-policy"},
            "spec": {
                "ingress": [
                    {"from": [TRAEFIK_PODS], "ports": tcp(8080)},
                    {"from": [{"namespaceSelector": {}}], "ports": tcp(8083)},
                ]
            },
        },
        *(
            {
                "apiVersion": api_version,
                "kind": kind,
                "metadata": {"name": name},
                "$patch": "delete",
            }
            for api_version, kind, name in (
                ("apps/v1", "Deployment", "argocd-dex-server"),
                ("v1", "Service", "argocd-dex-server"),
                ("v1", "ServiceAccount", "argocd-dex-server"),
                ("rbac.authorization.k8s.io/v1", "Role", "argocd-dex-server"),
                ("rbac.authorization.k8s.io/v1", "RoleBinding", "argocd-dex-server"),
                ("networking.k8s.io/v1", "NetworkPolicy", "argocd-dex-server-network-policy"),
            )
        ),
        _workload("StatefulSet", "argocd-application-controller", memory="512Mi", limit="2Gi"),
        _workload("Deployment", "argocd-applicationset-controller", memory="64Mi", limit="256Mi"),
        _workload("Deployment", "argocd-notifications-controller", memory="64Mi", limit="256Mi"),
        _workload("Deployment", "argocd-repo-server", memory="256Mi", limit="1Gi"),
        _workload("Deployment", SERVER, memory="128Mi", limit="512Mi"),
        _workload("Deployment", "argocd-redis", memory="64Mi", limit="256Mi", container="redis"),
    )


def _config(name: str, data: Mapping[str, str]) -> Patch:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _workload(
    kind: str, name: str, *, memory: str, limit: str, container: str | None = None
) -> Patch:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "template": {
                "spec": {
                    "priorityClassName": PLATFORM,
                    "containers": [
                        {
                            "name": container or name,
                            "resources": {
                                "requests": {"cpu": "50m", "memory": memory},
                                "limits": {"memory": limit},
                            },
                        }
                    ],
                }
            }
        },
    }
