"""Traefik: the only way in. Terminates TLS, or passes it through to apps that do so.

It faces the internet, and can read every Secret of a namespace that it takes routes from. So these
are few, by Roles that their components grant (``grant_watch``): those of apps in a region, and on
the hub ``charts.pages``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from charts import kinds, rbac
from charts.component import KEEP, Component
from charts.ingress import EXTERNAL_NAMES, LABELS, METRICS_PORT, PAGES, PLATFORM_TRAEFIK, TRAEFIK
from charts.labels import namespace_selector
from charts.network import ANYBODY, TO_API_SERVER, TO_DNS, allow, default_deny, tcp
from charts.scheduling import PLATFORM, one_at_a_time, over_nodes
from charts.scrape import scraped
from charts.security import RESTRICTED_CONTAINER
from charts.upstream import TRAEFIK_CRDS, TRAEFIK_IMAGE
from charts.workload import (
    DEPLOYMENT_STRATEGY,
    REVISION_HISTORY_LIMIT,
    pod,
    resources,
    service_port,
)
from fleet.providers import Provider
from fleet.registry import Cluster, Fleet
from fleet.score import TRAEFIK_BUCKETS
from imports.k8s import (
    ClusterRole,
    ClusterRoleBinding,
    Container,
    Deployment,
    DeploymentSpec,
    IngressClass,
    NetworkPolicyEgressRule,
    ObjectMeta,
    PodDisruptionBudget,
    Service,
    ServiceAccount,
    ServiceSpec,
)
from imports.traefik import IngressRoute, TLSOption, TLSOptionSpec

if TYPE_CHECKING:
    from constructs import Construct

# Unprivileged, so that the container needs no capability.
WEB: Final = 8000
WEBSECURE: Final = 8443
PING: Final = 8080
METRICS: Final = 9100

READY: Final = "ping"
"""The port and entry point that say whether Traefik is ready."""

SHUTDOWN_SECONDS: Final = 30
"""Seconds that open requests have to end once Traefik has stopped accepting new ones."""

META: Final[ObjectMeta] = {"name": TRAEFIK, "namespace": TRAEFIK}

SERVICE: Final[ServiceSpec] = {
    "type": "LoadBalancer",
    # Any node takes traffic, so that replacing a pod or a node drops none; the client's address
    # comes by the PROXY header, not by the packet.
    "externalTrafficPolicy": "Cluster",
    "selector": LABELS,
    "ports": [
        service_port("web", 80),
        service_port("websecure", 443),
    ],
}

TLS_OPTION: Final[TLSOptionSpec] = {
    "minVersion": "VersionTLS12",
    "sniStrict": True,
    "cipherSuites": [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ],
}
"""TLS 1.2 suites are those of Mozilla's "intermediate" list that Go has."""


def termination_grace(provider: Provider) -> int:
    """Seconds between SIGTERM and SIGKILL: the load balancer looks away, then requests end."""
    return provider.detection_seconds + SHUTDOWN_SECONDS + 5


@dataclass(frozen=True, kw_only=True)
class Traefik(Component[Cluster]):
    """Deployment, load balancer Service, rights, class, TLS options, monitor and policies."""

    NAME = TRAEFIK
    NAMESPACE = TRAEFIK
    EXPECTED = True
    REPLACED_BY = "traefik"
    CLUSTER_KINDS = (
        kinds.NAMESPACE,
        kinds.CRD,
        kinds.CLUSTER_ROLE,
        kinds.CLUSTER_ROLE_BINDING,
        kinds.INGRESS_CLASS,
    )
    BUNDLES = (TRAEFIK_CRDS,)

    provider: Provider
    load_balancer: str
    """Name of the load balancer at the provider."""
    location: str | None
    """The provider's name for the location of the load balancer."""
    trusted_networks: tuple[str, ...]
    """CIDRs whose PROXY header is believed, where the provider sends one."""
    backends: tuple[str, ...]
    """Namespaces that Traefik routes to."""
    watched: tuple[str, ...]
    """Namespaces that Traefik takes routes from."""
    external_names: bool
    """Whether routes may lead to Services that stand for others by name."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Cluster) -> Self:
        backends = [each.NAMESPACE for each in cluster.classes if each.BEHIND_TRAEFIK]
        watched = [each.NAMESPACE for each in cluster.classes if each.HOLDS_ROUTES]
        return cls(
            provider=cluster.balancer,
            load_balancer=cluster.load_balancer_label,
            location=cluster.region,
            trusted_networks=tuple(map(str, cluster.node_networks)),
            backends=tuple(dict.fromkeys(backends)),
            watched=(TRAEFIK, *dict.fromkeys(watched)),
            # Apps bring Services of their own, which could stand for anything.
            external_names=PAGES in watched,
        )

    def add_to(self, chart: "Construct") -> None:
        self.own_namespace(chart)
        ServiceAccount(chart, "account", metadata=META, automountServiceAccountToken=False)
        ClusterRole(
            chart,
            "cluster-role",
            metadata={"name": TRAEFIK},
            rules=[
                # What both Kubernetes providers look up across namespaces.
                {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
                {
                    "apiGroups": ["networking.k8s.io"],
                    "resources": ["ingressclasses"],
                    "verbs": ["get", "list", "watch"],
                },
            ],
        )
        ClusterRoleBinding(
            chart,
            "cluster-role-binding",
            metadata={"name": TRAEFIK},
            roleRef=rbac.cluster_role(TRAEFIK),
            subjects=[rbac.account(TRAEFIK, TRAEFIK)],
        )
        PLATFORM_TRAEFIK.grant_watch(chart, namespace=TRAEFIK)
        IngressClass(
            chart,
            "class",
            metadata={"name": TRAEFIK},
            spec={"controller": "traefik.io/ingress-controller"},
        )
        Service(
            chart,
            "service",
            metadata={
                **META,
                # Deleting the Service deletes the load balancer, and its address is lost.
                "annotations": {
                    **KEEP,
                    **self.provider.service_annotations(
                        name=self.load_balancer, location=self.location
                    ),
                },
            },
            spec=SERVICE,
        )
        Deployment(chart, "deployment", metadata=META, spec=self._deployment())
        PodDisruptionBudget(chart, "budget", metadata=META, spec=one_at_a_time(LABELS))
        # Named "default", it governs every HTTPS router that names no other.
        TLSOption(chart, "tls", metadata={"name": "default", "namespace": TRAEFIK}, spec=TLS_OPTION)
        # The namespaces' own policies say which pods and ports.
        to_backends: list[NetworkPolicyEgressRule] = [
            {"to": [{"namespaceSelector": {"matchLabels": namespace_selector(backend)}}]}
            for backend in self.backends
        ]
        IngressRoute(
            chart,
            "ready",
            # Without it, no pod of a Traefik that expects it is ready.
            metadata={"name": READY, "namespace": TRAEFIK, "annotations": KEEP},
            spec={
                "ingressClassName": TRAEFIK,
                "entryPoints": [READY],
                "routes": [
                    {
                        "kind": "Rule",
                        "match": "Path(`/ping`)",
                        "services": [{"kind": "TraefikService", "name": "ping@internal"}],
                    }
                ],
            },
        )
        default_deny(chart, namespace=TRAEFIK)
        allow(
            chart,
            TRAEFIK,
            namespace=TRAEFIK,
            labels=LABELS,
            ingress=[{"from": ANYBODY, "ports": tcp("web", "websecure")}],
            egress=[TO_DNS, TO_API_SERVER, *to_backends],
        )
        scraped(chart, TRAEFIK, namespace=TRAEFIK, labels=LABELS, port=METRICS_PORT)

    def _deployment(self) -> DeploymentSpec:
        return {
            "replicas": 2,
            "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
            "minReadySeconds": 5,
            "strategy": DEPLOYMENT_STRATEGY,
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {
                    **pod(
                        account=TRAEFIK,
                        priority=PLATFORM,
                        containers=[self._container()],
                        token=True,
                    ),
                    "terminationGracePeriodSeconds": termination_grace(self.provider),
                    "topologySpreadConstraints": over_nodes(LABELS),
                },
            },
        }

    def _container(self) -> Container:
        return {
            "name": TRAEFIK,
            "image": TRAEFIK_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": arguments(
                self.provider,
                trusted_networks=self.trusted_networks,
                watched=self.watched,
                external_names=self.external_names,
            ),
            "ports": [
                {"name": "web", "containerPort": WEB},
                {"name": "websecure", "containerPort": WEBSECURE},
                {"name": READY, "containerPort": PING},
                {"name": METRICS_PORT, "containerPort": METRICS},
            ],
            # It is a route like all others, so it answers once they do.
            "readinessProbe": {
                "httpGet": {"path": "/ping", "port": READY},
                "periodSeconds": 2,
                "timeoutSeconds": 2,
                "failureThreshold": 2,
            },
            # Metrics answer without any route: while the API server is away, a restart would not
            # bring the routes, and its back-off would delay them.
            "livenessProbe": {
                "httpGet": {"path": "/metrics", "port": METRICS_PORT},
                "periodSeconds": 10,
                "timeoutSeconds": 5,
                "failureThreshold": 6,
            },
            "startupProbe": {
                "httpGet": {"path": "/metrics", "port": METRICS_PORT},
                "periodSeconds": 1,
                "failureThreshold": 60,
            },
            "resources": resources(cpu="100m", memory="128Mi", limit="512Mi"),
            "securityContext": RESTRICTED_CONTAINER,
        }


def arguments(
    provider: Provider,
    *,
    trusted_networks: Sequence[str],
    watched: Sequence[str],
    external_names: bool,
) -> list[str]:
    """Traefik's static configuration.

    What keeps HTTP-01 and TLS passthrough alive side by side: the redirect of ``web`` spares the
    ACME path, ``web`` alone is a default entry point, and ``websecure`` has no TLS of its own,
    so that no router takes over a passed-through host unless it names ``websecure`` and TLS
    itself.
    """
    namespaces = ",".join(watched)
    entry_points = [
        f"--entryPoints.web.address=:{WEB}",
        f"--entryPoints.websecure.address=:{WEBSECURE}",
    ]
    for name in ("web", "websecure"):
        entry_points += [
            f"--entryPoints.{name}.transport.lifeCycle.requestAcceptGraceTimeout={provider.detection_seconds}s",
            f"--entryPoints.{name}.transport.lifeCycle.graceTimeOut={SHUTDOWN_SECONDS}s",
            # WSGI programs cannot tell X_Real_Ip from X-Real-Ip.
            f"--entryPoints.{name}.http.aliasHeadersStrategy=delete",
        ]
        if provider.proxy_protocol:
            entry_points.append(
                f"--entryPoints.{name}.proxyProtocol.trustedIPs={','.join(trusted_networks)}"
            )
    return [
        *entry_points,
        "--entryPoints.web.asDefault=true",
        "--entryPoints.web.allowACMEByPass=true",
        # By port: the Service's 443 leads to the entry point, whose own port nobody can reach.
        "--entryPoints.web.http.redirections.entryPoint.to=:443",
        "--entryPoints.web.http.redirections.entryPoint.scheme=https",
        f"--entryPoints.{READY}.address=:{PING}",
        f"--entryPoints.{READY}.observability.accessLogs=false",
        f"--entryPoints.{READY}.observability.metrics=false",
        f"--entryPoints.metrics.address=:{METRICS}",
        # By its IngressRoute, and so no earlier than any other route.
        "--ping.manualRouting=true",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entryPoint=metrics",
        # By router: a region's refused credential shows under its own route, and what an app's
        # users get, with or without a pod to answer them. Services would tell it once more.
        "--metrics.prometheus.addRoutersLabels=true",
        "--metrics.prometheus.addServicesLabels=false",
        f"--metrics.prometheus.buckets={','.join(f'{bound:g}' for bound in TRAEFIK_BUCKETS)}",
        "--providers.kubernetesCRD=true",
        f"--providers.kubernetesCRD.namespaces={namespaces}",
        "--providers.kubernetesCRD.ingressClass=traefik",
        f"--providers.kubernetesCRD.defaultTLSResourcesNamespace={TRAEFIK}",
        "--providers.kubernetesCRD.safeNaming=true",
        # Without a ready pod the route stays and refuses, instead of leaving its host to others.
        "--providers.kubernetesCRD.allowEmptyServices=true",
        *([f"--{EXTERNAL_NAMES}=true"] if external_names else []),
        "--providers.kubernetesIngress=true",
        f"--providers.kubernetesIngress.namespaces={namespaces}",
        "--providers.kubernetesIngress.ingressClass=traefik",
        "--providers.kubernetesIngress.strictPrefixMatching=true",
        # Argo CD calls an Ingress healthy once its status has an address.
        f"--providers.kubernetesIngress.ingressEndpoint.publishedService={TRAEFIK}/{TRAEFIK}",
        "--core.strictTLSOptions=true",
        "--log.format=json",
        "--accessLog=true",
        "--accessLog.format=json",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
    ]
