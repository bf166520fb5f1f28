"""Argo CD on the hub: the upstream bundle, configured by patches, behind Traefik's TLS.

Dex is left out: sign-in is the local admin until an identity provider is configured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Self

from charts import kinds
from charts.applications import ARGOCD
from charts.cert_manager import CertManager, issuer_of, serving_certificate
from charts.component import Component, Patch
from charts.ingress import (
    PAGES,
    SIGN_IN_LIMIT,
    IngressController,
    beginning_with,
    lead_to,
    leading_to,
)
from charts.labels import selector
from charts.network import EVERYWHERE, TO_API_SERVER, TO_DNS, allow, default_deny, tcp
from charts.scheduling import OPERATING, PLATFORM
from charts.scrape import monitor
from charts.tenant import apps
from charts.traefik import Traefik
from charts.upstream import ARGOCD_BUNDLE
from charts.workload import disk, empty_dir, resources
from fleet.git import Git
from fleet.package import Package
from fleet.registry import Fleet, Hub
from imports.traefik import (
    IngressRoute,
    IngressRouteRouteService,
    IngressRouteSpec,
    Middleware,
)

if TYPE_CHECKING:
    from constructs import Construct

TLS_SECRET: Final = "argocd-tls"
SERVER: Final = "argocd-server"

BUILDS: Final = 8
"""How many folders of Git the repo-server builds concurrently; further builds wait.

A release of the platform may change every folder. For thirty regions that is 100 seconds of CPU:
the folders of a region take 3 seconds, and Prometheus Operator's 1.6 of them (kustomize 5.8.1). The
controller asks for 20 builds concurrently.
"""
BUILD_TIMEOUT: Final = 180
"""Seconds after which the controller gives up a build, including the time that the build waits for
others. Argo CD's default of 60 is too short while a hub is busy, such as during bootstrap."""
BUILD_MIB: Final = 160
"""Memory of the largest build: 157 MiB for Argo CD's own folder (kustomize 5.8.1)."""
REPO_SERVER_MIB: Final = 256
"""Memory of the repo-server itself."""
CLONES_MIB: Final = 4096
"""Disk for clones of repositories, with their history."""

SIGN_IN_PATHS: Final = ("/api/v1/session", "/session.SessionService/Create")
"""Where Argo CD takes passwords: over HTTP, and over gRPC and gRPC-Web."""

ATTEMPTS: Final = 1_000_000
"""Failed sign-ins within five minutes after which Argo CD refuses a name, even with its password.

Its default of five lets anybody lock out whoever is on call. Traefik limits each client instead.
"""

METRICS: Final[Mapping[str, int | str]] = {
    "argocd-application-controller": 8082,
    "argocd-applicationset-controller": "metrics",
    "argocd-notifications-controller": "metrics",
    "argocd-repo-server": 8084,
    SERVER: 8083,
}
"""The metrics port of each part: the name that the bundle gives it, or else its number."""

# Argo CD v3.5.7, resource_customizations/, has Lua for Prometheus and for neither of the two below
# it; what it has for CronJob, ours replaces.
HEALTH: Final[Mapping[str, str]] = {
    "batch_CronJob": "cron_job.lua",
    "monitoring.coreos.com_Alertmanager": "operator.lua",
    "monitoring.coreos.com_PrometheusAgent": "operator.lua",
}


@dataclass(frozen=True, kw_only=True)
class Argocd(Component[Hub]):
    """The bundle with our configuration, its certificate, route and policies."""

    NAME = "argocd"
    NAMESPACE = ARGOCD
    REQUIRED = True
    NEEDS = (Traefik, CertManager)
    CLUSTER_KINDS = (
        kinds.NAMESPACE,
        kinds.CRD,
        kinds.CLUSTER_ROLE,
        kinds.CLUSTER_ROLE_BINDING,
    )
    OTHER_NAMESPACES = (PAGES,)
    BEHIND_TRAEFIK = True
    BUNDLES = (ARGOCD_BUNDLE,)
    BUNDLE_NAMESPACE = ARGOCD

    host: str
    """Argo CD is at ``https://host/``."""
    issuer: str
    """The ClusterIssuer of the certificate of ``host``."""
    ingress: IngressController
    git_ports: tuple[int, ...]
    """TCP ports that Argo CD clones from: for the fleet, and for apps with their own repository."""
    known_hosts: tuple[str, ...]
    """Host keys of the Git server; none if those that Argo CD brings along are enough."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        repositories = _repositories(fleet)
        return cls(
            host=cluster.argocd_host,
            issuer=issuer_of(cluster),
            ingress=IngressController.of(cluster),
            git_ports=tuple(sorted({each.port for each in repositories})),
            known_hosts=tuple(
                dict.fromkeys(line for each in repositories for line in each.known_hosts)
            ),
        )

    def add_to(self, chart: "Construct") -> None:
        self.own_namespace(chart)
        serving_certificate(
            chart,
            namespace=PAGES,
            name=SERVER,
            secret=TLS_SECRET,
            host=self.host,
            issuer=self.issuer,
        )
        Middleware(
            chart,
            "headers",
            metadata={"name": SERVER, "namespace": PAGES},
            spec={
                "headers": {
                    "stsSeconds": 31_536_000,
                    "contentTypeNosniff": True,
                    "referrerPolicy": "strict-origin-when-cross-origin",
                }
            },
        )
        lead_to(chart, SERVER, namespace=ARGOCD, port="http", number=80)
        IngressRoute(
            chart, "route", metadata={"name": SERVER, "namespace": PAGES}, spec=self._route()
        )
        default_deny(chart, namespace=ARGOCD)
        # The bundle's own policies say who may reach whom; this one lets everybody ask: each
        # other, the clusters' API servers, bundles over HTTPS, and the Git server.
        allow(
            chart,
            "egress",
            namespace=ARGOCD,
            labels={},
            egress=[
                TO_DNS,
                TO_API_SERVER,
                {"to": EVERYWHERE, "ports": tcp(*self.git_ports)},
                {"to": [{"podSelector": {}}]},
            ],
        )
        # The bundle's policies let everybody in who asks for metrics.
        for name, port in METRICS.items():
            monitor(
                chart,
                name,
                namespace=ARGOCD,
                labels=selector(name),
                endpoint={"portNumber": port} if isinstance(port, int) else {"port": port},
            )

    def _route(self) -> IngressRouteSpec:
        # Anybody could have repositories read anew by its webhook; Argo CD looks at them by itself.
        page = f"Host(`{self.host}`) && !{beginning_with('/api/webhook')}"
        sign_in = beginning_with(*SIGN_IN_PATHS)
        # The command line speaks gRPC: HTTP/2 without TLS on the inner side.
        grpc = "Header(`Content-Type`, `application/grpc`)"
        over_http: IngressRouteRouteService = {"name": leading_to(SERVER), "port": "http"}
        over_grpc: IngressRouteRouteService = {**over_http, "scheme": "h2c"}
        return self.ingress.https_route(
            TLS_SECRET,
            {
                "kind": "Rule",
                "match": page,
                "priority": 10,
                "middlewares": [{"name": SERVER}],
                "services": [over_http],
            },
            {
                "kind": "Rule",
                "match": f"{page} && {grpc}",
                "priority": 11,
                "services": [over_grpc],
            },
            {
                "kind": "Rule",
                "match": f"{page} && Method(`POST`) && {sign_in}",
                "priority": 20,
                "middlewares": [{"name": SIGN_IN_LIMIT}, {"name": SERVER}],
                "services": [over_http],
            },
            {
                "kind": "Rule",
                "match": f"{page} && Method(`POST`) && {sign_in} && {grpc}",
                "priority": 21,
                "middlewares": [{"name": SIGN_IN_LIMIT}],
                "services": [over_grpc],
            },
        )

    @property
    def patches(self) -> tuple[Patch, ...]:
        return (
            _config(
                "argocd-cm",
                {
                    "url": f"https://{self.host}",
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
                    "reposerver.parallelism.limit": str(BUILDS),
                    "controller.repo.server.timeout.seconds": str(BUILD_TIMEOUT),
                },
            ),
            *(
                [
                    _config(
                        "argocd-ssh-known-hosts-cm", {"ssh_known_hosts": _lines(self.known_hosts)}
                    )
                ]
                if self.known_hosts
                else []
            ),
            # Nobody but the admin sees anything until roles are given.
            _config("argocd-rbac-cm", {"policy.default": "", "policy.csv": ""}),
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": f"{SERVER}-network-policy"},
                "spec": {
                    "ingress": [
                        {"from": [self.ingress.pods], "ports": tcp(8080)},
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
            # It applies the priority classes. A StatefulSet deletes its pod before it creates the
            # next one, which no API server admits with a class that does not exist yet: a new class
            # would have to exist before any release that names it here.
            _workload(
                "StatefulSet",
                "argocd-application-controller",
                priority=PLATFORM,
                memory="512Mi",
                limit="2Gi",
                volumes={"argocd-home": 256, "argocd-application-controller-tmp": 256},
            ),
            _workload(
                "Deployment",
                "argocd-applicationset-controller",
                memory="64Mi",
                limit="256Mi",
                volumes={"gpg-keyring": 16, "tmp": 256},
            ),
            _workload(
                "Deployment", "argocd-notifications-controller", memory="64Mi", limit="256Mi"
            ),
            _workload(
                "Deployment",
                "argocd-repo-server",
                memory="256Mi",
                limit=f"{REPO_SERVER_MIB + BUILDS * BUILD_MIB}Mi",
                # kustomize hands git the reference of a remote base even as an option: of a
                # repository that is a folder, --upload-pack runs any command. Git over the network
                # has no use for it.
                variables={"GIT_ALLOW_PROTOCOL": "https:ssh"},
                volumes={
                    "tmp": CLONES_MIB,
                    # The program itself, which its init container copies there.
                    "var-files": 512,
                    "helm-working-dir": 512,
                    "gpg-keyring": 16,
                    "plugins": 16,
                },
                init="copyutil",
            ),
            _workload(
                "Deployment",
                SERVER,
                memory="128Mi",
                limit="512Mi",
                variables={"ARGOCD_SESSION_FAILURE_MAX_FAIL_COUNT": str(ATTEMPTS)},
                volumes={"plugins-home": 64, "tmp": 64},
            ),
            _workload(
                "Deployment",
                "argocd-redis",
                memory="64Mi",
                limit="256Mi",
                container="redis",
                init="secret-init",
            ),
        )


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _repositories(fleet: Fleet) -> tuple[Git, ...]:
    """What Argo CD clones: the fleet's repository, and those of apps."""
    own = (
        app.git
        for region in fleet.regions
        for app in apps(region)
        if isinstance(app, Package) and app.git
    )
    return tuple(dict.fromkeys((fleet.git, *own)))


def _config(name: str, data: Mapping[str, str]) -> Patch:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _workload(
    kind: str,
    name: str,
    *,
    memory: str,
    limit: str,
    priority: str = OPERATING,
    container: str | None = None,
    init: str | None = None,
    variables: Mapping[str, str] | None = None,
    volumes: Mapping[str, int] | None = None,
) -> Patch:
    """Resources of a workload of the bundle, and sizes in MiB of its ``emptyDir`` volumes."""
    env = [{"name": key, "value": value} for key, value in (variables or {}).items()]
    sizes = volumes or {}
    share = resources(cpu="50m", memory=memory, limit=limit, volumes=sum(sizes.values()))
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "template": {
                "spec": {
                    "priorityClassName": priority,
                    **({"initContainers": [{"name": init, "resources": disk()}]} if init else {}),
                    "containers": [
                        {
                            "name": container or name,
                            **({"env": env} if env else {}),
                            "resources": share,
                        }
                    ],
                    **(
                        {"volumes": [empty_dir(name, size) for name, size in sizes.items()]}
                        if sizes
                        else {}
                    ),
                }
            }
        },
    }
