"""Traefik: the only way in. Terminates TLS for the hub's pages, passes foobar-api's through.

It sees only the namespaces of the components behind it, by Roles that those components grant
(``grant_watch``): the program that faces the internet cannot read every Secret of the cluster.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from cdk8s import App
from constructs import Construct

from charts import kinds, rbac
from charts.component import KEEP, Component
from charts.labels import namespace_selector, selector
from charts.network import EVERYWHERE, TO_API_SERVER, TO_DNS, allow, default_deny, pods, tcp
from charts.providers import Provider
from charts.scheduling import PLATFORM, one_at_a_time, over_nodes
from charts.scrape import scraped
from charts.security import RESTRICTED_CONTAINER, restricted_pod
from charts.upstream import TRAEFIK_CRDS, TRAEFIK_IMAGE
from fleet.registry import ComponentName
from imports.k8s import (
    ClusterRole,
    ClusterRoleBinding,
    Deployment,
    IngressClass,
    NetworkPolicyEgressRule,
    NetworkPolicyPeer,
    ObjectMeta,
    PodDisruptionBudget,
    PolicyRule,
    Role,
    RoleBinding,
    Service,
    ServiceAccount,
)
from imports.traefik import TLSOption

TRAEFIK: Final = "traefik"
"""Name of the namespace, of the ingress class and of every object in here."""

# Unprivileged, so that the container needs no capability.
WEB: Final = 8000
WEBSECURE: Final = 8443
PING: Final = 8080
METRICS: Final = 9100

SHUTDOWN_SECONDS: Final = 30
"""Seconds that open requests have to end once Traefik has stopped to accept new ones."""

TRAEFIK_PODS: Final[NetworkPolicyPeer] = pods(TRAEFIK, selector(TRAEFIK))


def termination_grace(provider: Provider) -> int:
    """Seconds between SIGTERM and SIGKILL: the load balancer looks away, then requests end."""
    return provider.detection_seconds + SHUTDOWN_SECONDS + 5


class Traefik(Component):
    """Deployment, load balancer Service, rights, class, TLS options, monitor and policies."""

    NAME: ClassVar[ComponentName] = TRAEFIK
    NAMESPACE = TRAEFIK
    CLUSTER_KINDS = (
        kinds.NAMESPACE,
        kinds.CRD,
        kinds.CLUSTER_ROLE,
        kinds.CLUSTER_ROLE_BINDING,
        kinds.INGRESS_CLASS,
    )
    BUNDLES = (TRAEFIK_CRDS,)

    def __init__(
        self,
        app: App,
        *,
        provider: Provider,
        load_balancer: str,
        trusted_networks: Sequence[str],
        backends: Sequence[str],
    ) -> None:
        """Traefik for the namespaces ``backends``.

        ``load_balancer`` names the provider's load balancer; ``trusted_networks`` are the CIDRs
        whose PROXY header is believed, where the provider sends one.
        """
        super().__init__(app)
        watched = (TRAEFIK, *backends)
        meta: ObjectMeta = {"name": TRAEFIK, "namespace": TRAEFIK}
        labels = selector(TRAEFIK)

        self.own_namespace()
        ServiceAccount(self, "account", metadata=meta, automountServiceAccountToken=False)
        ClusterRole(
            self,
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
            self,
            "cluster-role-binding",
            metadata={"name": TRAEFIK},
            roleRef=rbac.cluster_role(TRAEFIK),
            subjects=[rbac.account(TRAEFIK, TRAEFIK)],
        )
        grant_watch(self, namespace=TRAEFIK)
        IngressClass(
            self,
            "class",
            metadata={"name": TRAEFIK},
            spec={"controller": "traefik.io/ingress-controller"},
        )
        Service(
            self,
            "service",
            metadata={
                **meta,
                # Deleting the Service deletes the load balancer, and its address is lost.
                "annotations": {**KEEP, **provider.service_annotations(load_balancer)},
            },
            spec={
                "type": "LoadBalancer",
                # Any node takes traffic, so that replacing a pod or a node drops none; the
                # client's address comes by the PROXY header, not by the packet.
                "externalTrafficPolicy": "Cluster",
                "selector": labels,
                "ports": [
                    {"name": "web", "port": 80, "targetPort": "web", "protocol": "TCP"},
                    {
                        "name": "websecure",
                        "port": 443,
                        "targetPort": "websecure",
                        "protocol": "TCP",
                    },
                ],
            },
        )
        Deployment(
            self,
            "deployment",
            metadata=meta,
            spec={
                "replicas": 2,
                "revisionHistoryLimit": 3,
                "minReadySeconds": 5,
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
                },
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": TRAEFIK,
                        "automountServiceAccountToken": True,
                        "enableServiceLinks": False,
                        "priorityClassName": PLATFORM,
                        "terminationGracePeriodSeconds": termination_grace(provider),
                        "securityContext": restricted_pod(),
                        "topologySpreadConstraints": over_nodes(labels),
                        "containers": [
                            {
                                "name": TRAEFIK,
                                "image": TRAEFIK_IMAGE,
                                "imagePullPolicy": "IfNotPresent",
                                "args": arguments(provider, trusted_networks, watched),
                                "ports": [
                                    {"name": "web", "containerPort": WEB},
                                    {"name": "websecure", "containerPort": WEBSECURE},
                                    {"name": "ping", "containerPort": PING},
                                    {"name": "metrics", "containerPort": METRICS},
                                ],
                                "readinessProbe": {
                                    "httpGet": {"path": "/ping", "port": "ping"},
                                    "periodSeconds": 5,
                                    "timeoutSeconds": 2,
                                    "failureThreshold": 1,
                                },
                                "livenessProbe": {
                                    "httpGet": {"path": "/ping", "port": "ping"},
                                    "periodSeconds": 10,
                                    "timeoutSeconds": 2,
                                    "failureThreshold": 6,
                                },
                                "startupProbe": {
                                    "httpGet": {"path": "/ping", "port": "ping"},
                                    "periodSeconds": 1,
                                    "failureThreshold": 60,
                                },
                                "resources": {
                                    "requests": {"cpu": "100m", "memory": "128Mi"},
                                    "limits": {"memory": "512Mi"},
                                },
                                "securityContext": RESTRICTED_CONTAINER,
                            }
                        ],
                    },
                },
            },
        )
        PodDisruptionBudget(
            self,
            "budget",
            metadata=meta,
            spec=one_at_a_time(labels),
        )
        # Named "default", it governs every HTTPS router that names no other. TLS 1.2 suites are
        # those of Mozilla's "intermediate" list that Go has.
        TLSOption(
            self,
            "tls",
            metadata={"name": "default", "namespace": TRAEFIK},
            spec={
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
            },
        )
        # The namespaces' own policies say which pods and ports.
        to_backends: list[NetworkPolicyEgressRule] = [
            {"to": [{"namespaceSelector": {"matchLabels": namespace_selector(backend)}}]}
            for backend in backends
        ]
        default_deny(self, namespace=TRAEFIK)
        allow(
            self,
            TRAEFIK,
            namespace=TRAEFIK,
            labels=labels,
            ingress=[{"from": EVERYWHERE, "ports": tcp("web", "websecure")}],
            egress=[TO_DNS, TO_API_SERVER, *to_backends],
        )
        scraped(self, TRAEFIK, namespace=TRAEFIK, labels=labels, port="metrics")


def arguments(
    provider: Provider, trusted_networks: Sequence[str], watched: Sequence[str]
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
        f"--entryPoints.traefik.address=:{PING}",
        f"--entryPoints.metrics.address=:{METRICS}",
        "--ping=true",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entryPoint=metrics",
        # By router: a region's refused credential shows under its own route.
        "--metrics.prometheus.addRoutersLabels=true",
        "--providers.kubernetesCRD=true",
        f"--providers.kubernetesCRD.namespaces={namespaces}",
        "--providers.kubernetesCRD.ingressClass=traefik",
        f"--providers.kubernetesCRD.defaultTLSResourcesNamespace={TRAEFIK}",
        "--providers.kubernetesCRD.safeNaming=true",
        # Without a ready pod the route stays and refuses, instead of leaving its host to others.
        "--providers.kubernetesCRD.allowEmptyServices=true",
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


# docs/content/reference/dynamic-configuration/kubernetes-crd-rbac.yml of Traefik v3.7.13, less
# what its Ingress and CRD providers read only across namespaces.
WATCH_RULES: Final[Sequence[PolicyRule]] = (
    {
        "apiGroups": [""],
        "resources": ["services", "secrets", "configmaps"],
        "verbs": ["get", "list", "watch"],
    },
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],
    },
    {
        "apiGroups": ["networking.k8s.io"],
        "resources": ["ingresses"],
        "verbs": ["get", "list", "watch"],
    },
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["update"]},
    {
        "apiGroups": ["traefik.io"],
        "resources": [
            "ingressroutes",
            "ingressroutetcps",
            "ingressrouteudps",
            "middlewares",
            "middlewaretcps",
            "serverstransports",
            "serverstransporttcps",
            "tlsoptions",
            "tlsstores",
            "traefikservices",
        ],
        "verbs": ["get", "list", "watch"],
    },
)


def grant_watch(scope: Construct, *, namespace: str) -> None:
    """Lets Traefik serve routes of ``namespace``: read them, their Services and their Secrets."""
    meta: ObjectMeta = {"name": TRAEFIK, "namespace": namespace}
    Role(scope, "traefik-role", metadata=meta, rules=WATCH_RULES)
    RoleBinding(
        scope,
        "traefik-role-binding",
        metadata=meta,
        roleRef=rbac.role(TRAEFIK),
        subjects=[rbac.account(TRAEFIK, TRAEFIK)],
    )
