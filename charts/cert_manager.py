"""cert-manager and the two Let's Encrypt issuers, staging and production.

Challenges are HTTP-01 through Traefik's ``web`` entry point alone: a solver Ingress on
``websecure`` would take the app's own host away from TLS passthrough while it exists.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, cast

from charts import kinds
from charts.component import KEEP, LATER, Component, Patch
from charts.ingress import IngressController
from charts.labels import selector
from charts.network import ANYBODY, EVERYWHERE, TO_API_SERVER, TO_DNS, allow, default_deny, tcp
from charts.scheduling import PLATFORM, SERVING, one_at_a_time, over_nodes
from charts.scrape import scraped
from charts.security import pod_security
from charts.traefik import Traefik
from charts.upstream import CERT_MANAGER_BUNDLE
from charts.workload import disk, resources
from fleet.registry import Cluster, Fleet, Issuer
from imports.cert_manager import (
    Certificate,
    ClusterIssuer,
    ClusterIssuerSpec,
    VolumeResourceRequirements,
)
from imports.k8s import PodDisruptionBudget

if TYPE_CHECKING:
    from constructs import Construct

CERT_MANAGER: Final = "cert-manager"
"""The bundle fixes this namespace."""

# cert-manager v1.21.2, pkg/issuer/acme/http/{service,pod}.go.
SOLVER_LABELS: Final = {"acme.cert-manager.io/http01-solver": "true"}
SOLVER_PORT: Final = 8089

ACME_DIRECTORIES: Final[dict[Issuer, str]] = {
    "staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
    "production": "https://acme-v02.api.letsencrypt.org/directory",
}


def issuer_name(issuer: Issuer) -> str:
    """The name of the ClusterIssuer that cert-manager of the platform has for ``issuer``."""
    return f"letsencrypt-{issuer}"


def issuer_of(cluster: Cluster) -> str:
    """The name of the ClusterIssuer that the certificates of ``cluster`` come from."""
    return cluster.issuer_name or issuer_name(cluster.issuer)


def serving_certificate(
    scope: "Construct", *, namespace: str, name: str, secret: str, host: str, issuer: str
) -> None:
    """A certificate for ``host`` from the ClusterIssuer ``issuer`` in ``secret``, kept fresh.

    Lifetime and time of renewal are left to the issuer: Let's Encrypt shortens them.
    """
    Certificate(
        scope,
        "certificate",
        metadata={"name": name, "namespace": namespace},
        spec={
            "secretName": secret,
            "dnsNames": [host],
            "issuerRef": {
                "group": "cert-manager.io",
                "kind": "ClusterIssuer",
                "name": issuer,
            },
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "server auth"],
            "revisionHistoryLimit": 3,
        },
    )


@dataclass(frozen=True, kw_only=True)
class CertManager(Component[Cluster]):
    """The bundle with requests, priorities, monitors and policies, and the ClusterIssuers."""

    NAME = "cert-manager"
    NAMESPACE = CERT_MANAGER
    NEEDS = (Traefik,)
    EXPECTED = True
    REPLACED_BY = "issuerName"
    # Its leader election Leases are guarded by Roles in kube-system.
    OTHER_NAMESPACES = ("kube-system",)
    CLUSTER_KINDS = (
        kinds.NAMESPACE,
        kinds.CRD,
        kinds.CLUSTER_ROLE,
        kinds.CLUSTER_ROLE_BINDING,
        kinds.MUTATING_WEBHOOK,
        kinds.VALIDATING_WEBHOOK,
        kinds.CLUSTER_ISSUER,
    )
    BUNDLES = (CERT_MANAGER_BUNDLE,)

    ingress: IngressController
    account_email: str
    """Where Let's Encrypt writes to about the account."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Cluster) -> Self:
        return cls(ingress=IngressController.of(cluster), account_email=fleet.acme.email)

    def add_to(self, chart: "Construct") -> None:
        for issuer, directory in ACME_DIRECTORIES.items():
            ClusterIssuer(
                chart,
                issuer,
                metadata={
                    "name": issuer_name(issuer),
                    # After the webhook that checks it.
                    "annotations": dict(LATER),
                },
                spec=self._cluster_issuer(issuer, directory),
            )
        PodDisruptionBudget(
            chart,
            "webhook-budget",
            metadata={"name": "cert-manager-webhook", "namespace": CERT_MANAGER},
            spec=one_at_a_time(selector("webhook")),
        )
        default_deny(chart, namespace=CERT_MANAGER)
        allow(
            chart,
            "cert-manager",
            namespace=CERT_MANAGER,
            labels=selector("cert-manager"),
            egress=[
                TO_DNS,
                TO_API_SERVER,
                # The self-check before a challenge is offered: over the load balancer's address,
                # which kube-proxy leads straight to Traefik's pods.
                {"to": EVERYWHERE, "ports": tcp(80)},
                {"to": [self.ingress.pods], "ports": tcp("web")},
            ],
        )
        allow(
            chart,
            "cainjector",
            namespace=CERT_MANAGER,
            labels=selector("cainjector"),
            egress=[TO_DNS, TO_API_SERVER],
        )
        allow(
            chart,
            "webhook",
            namespace=CERT_MANAGER,
            labels=selector("webhook"),
            # The API server calls it, from an address that no selector names.
            ingress=[{"from": ANYBODY, "ports": tcp("https")}],
            egress=[TO_DNS, TO_API_SERVER],
        )
        for name in (CERT_MANAGER, "cainjector", "webhook"):
            scraped(
                chart,
                name,
                namespace=CERT_MANAGER,
                labels=selector(name),
                port="http-metrics",
                honor_labels=True,
            )

    def _cluster_issuer(self, issuer: Issuer, directory: str) -> ClusterIssuerSpec:
        return {
            "acme": {
                "server": directory,
                "email": self.account_email,
                "privateKeySecretRef": {"name": f"{issuer_name(issuer)}-account"},
                "solvers": [
                    {
                        "http01": {
                            "ingress": {
                                "ingressClassName": self.ingress.class_name,
                                "serviceType": "ClusterIP",
                                "ingressTemplate": {
                                    "metadata": {
                                        "annotations": {
                                            "traefik.ingress.kubernetes.io"
                                            "/router.entrypoints": "web"
                                        }
                                    }
                                },
                                "podTemplate": {
                                    "spec": {
                                        # The quota of an app refuses a higher one.
                                        "priorityClassName": SERVING,
                                        # Beside the CPU and memory that cert-manager gives it.
                                        "resources": cast(VolumeResourceRequirements, disk()),
                                    }
                                },
                            }
                        }
                    }
                ],
            }
        }

    @property
    def patches(self) -> tuple[Patch, ...]:
        """What the bundle leaves open: Pod Security, requests, priority, a second webhook."""
        return (
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": CERT_MANAGER,
                    "labels": pod_security("restricted"),
                    "annotations": dict(KEEP),
                },
            },
            _deployment("cert-manager", memory="128Mi", limit="512Mi"),
            _deployment("cert-manager-cainjector", memory="128Mi", limit="512Mi"),
            # While no webhook answers, nothing of cert-manager's can be created or changed.
            _deployment(
                "cert-manager-webhook",
                memory="32Mi",
                limit="128Mi",
                replicas=2,
                topologySpreadConstraints=over_nodes(selector("webhook")),
            ),
        )


def _deployment(name: str, *, memory: str, limit: str, replicas: int = 1, **pod: object) -> Patch:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": CERT_MANAGER},
        "spec": {
            "replicas": replicas,
            "template": {
                "spec": {
                    "priorityClassName": PLATFORM,
                    **pod,
                    "containers": [
                        {
                            # The bundle names each container after its part of cert-manager.
                            "name": f"{name}-controller" if name == CERT_MANAGER else name,
                            "resources": resources(cpu="10m", memory=memory, limit=limit),
                        }
                    ],
                }
            },
        },
    }
