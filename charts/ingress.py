"""Who routes requests to a cluster's pods: the platform's Traefik, or one that was there before.

Components ask an ``IngressController`` for routes, and for the peer that their policies let in. A
Traefik of the cluster's own reads every namespace, by its chart's ClusterRole, so nothing has to be
granted to it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from charts import rbac
from charts.labels import selector
from charts.network import pods
from fleet.registry import Cluster
from imports.k8s import NetworkPolicyPeer, ObjectMeta, PolicyRule, Role, RoleBinding, Service
from imports.traefik import IngressRouteRoute, IngressRouteSpec

if TYPE_CHECKING:
    from constructs import Construct

TRAEFIK: Final = "traefik"
"""Name of the platform's Traefik: of its namespace, its ingress class and its Service.

Also the value of the label ``app.kubernetes.io/name`` of any Traefik's pods, by its Helm chart.
"""

PAGES: Final = "pages"
"""The hub's namespace of routes, certificates and sign-ins, which ``charts.pages`` describes."""

NOBODY: Final = "nobody"
"""A Service in ``PAGES`` without any pods, for which Traefik answers 503."""

SIGN_IN_LIMIT: Final = "sign-in-limit"
"""The middleware in ``PAGES`` that limits how often one client may try to sign in."""

REQUEST_LIMIT: Final = "request-limit"
"""The middleware in ``PAGES`` that limits requests of one client, where each carries a password."""

EXTERNAL_NAMES: Final = "providers.kubernetesCRD.allowExternalNameServices"
"""The option by which a hub's Traefik leads from ``PAGES`` to Services elsewhere."""

LABELS: Final = selector(TRAEFIK)

METRICS_PORT: Final = "metrics"
"""The port of Traefik's pods that serves metrics, as its Helm chart names it too."""

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


@dataclass(frozen=True, kw_only=True)
class IngressController:
    """The Traefik that routes to a cluster's pods."""

    namespace: str
    service: str
    """Name of the Service that has the address of the load balancer."""
    class_name: str
    """Name of its IngressClass, which routes have to name."""
    of_platform: bool
    """Whether the platform deploys it."""

    @classmethod
    def of(cls, cluster: Cluster) -> "IngressController":
        own = cluster.traefik
        if own is None:
            return PLATFORM_TRAEFIK
        return cls(
            namespace=own.namespace,
            service=own.service,
            class_name=own.ingress_class,
            of_platform=False,
        )

    @property
    def pods(self) -> NetworkPolicyPeer:
        """Its pods, as the source of what a policy lets in."""
        return pods(self.namespace, LABELS)

    def https_route(self, secret: str, *rules: IngressRouteRoute) -> IngressRouteSpec:
        """Routes whose TLS ends in Traefik, with the certificate in ``secret``."""
        return {
            "ingressClassName": self.class_name,
            "entryPoints": ["websecure"],
            "routes": rules,
            "tls": {"secretName": secret},
        }

    def grant_watch(self, scope: "Construct", *, namespace: str) -> None:
        """Lets it serve routes of ``namespace``: read them, and all Services and Secrets there.

        Its providers list the Secrets of each namespace that they watch, and have no routes at all
        until they may; rights to Secrets by their names are not enough.
        """
        if not self.of_platform:
            return
        meta: ObjectMeta = {"name": TRAEFIK, "namespace": namespace}
        Role(scope, "traefik-role", metadata=meta, rules=WATCH_RULES)
        RoleBinding(
            scope,
            "traefik-role-binding",
            metadata=meta,
            roleRef=rbac.role(TRAEFIK),
            subjects=[rbac.account(TRAEFIK, TRAEFIK)],
        )


PLATFORM_TRAEFIK: Final = IngressController(
    namespace=TRAEFIK, service=TRAEFIK, class_name=TRAEFIK, of_platform=True
)
"""The one that ``charts.traefik`` deploys."""


def lead_to(scope: "Construct", service: str, *, namespace: str, port: str, number: int) -> None:
    """Adds a Service to ``PAGES`` by which routes lead to the Service of ``namespace``.

    It is called ``leading_to(service)``, and routes ask for its port ``number`` as ``port``.
    """
    Service(
        scope,
        leading_to(service),
        metadata={"name": leading_to(service), "namespace": PAGES},
        spec={
            "type": "ExternalName",
            "externalName": f"{service}.{namespace}.svc",
            "ports": [{"name": port, "port": number, "protocol": "TCP"}],
        },
    )


def leading_to(service: str) -> str:
    """The name in ``PAGES`` of the Service that leads to ``service``."""
    return f"to-{service}"


def beginning_with(*paths: str) -> str:
    """Matches requests for what begins with one of ``paths``.

    Programs take an encoded slash for a slash, which Traefik's PathPrefix does not.
    """
    inner = "|".join(re.escape(path[1:]).replace("/", "(/|%2[fF])") for path in paths)
    return f"PathRegexp(`^/({inner})`)"


def try_again(host: str, suffix: str) -> IngressRouteRoute:
    """Answers 503 where no route, or none whose credential exists, takes what a region sends.

    The regions' paths end in ``suffix``. Agents and collectors give up what is answered 401 or 404,
    and repeat what is answered 503.
    """
    path = f"^/[^/]+{re.escape(suffix)}$"
    return {
        "kind": "Rule",
        "match": f"Host(`{host}`) && PathRegexp(`{path}`) && Method(`POST`)",
        "priority": 50,
        "services": [{"name": NOBODY, "port": 80}],
    }


def routers(namespace: str, routes: str = ".+") -> str:
    """Regular expression of the label ``router`` for ``routes`` of a namespace's IngressRoutes.

    With safeNaming, Traefik calls a route ``<namespace>_<IngressRoute>_<index>@<provider>``.
    """
    return f"{namespace}_{routes}@kubernetescrd"
