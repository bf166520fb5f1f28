"""foobar-api in one region, modelled with cdk8s-plus-27: the app that terminates its own TLS.

Its contract: HTTPS on ``--port`` with ``--cert`` and ``--key``, re-read when cert-manager renews
them; ``/livez`` and ``/readyz``; a PROXY header before the TLS handshake believed from
``--proxy-from`` and optional, since kubelet's probes send none; metrics in plain HTTP on
``--metrics-port``; ``--drain`` seconds of accepting after SIGTERM; where it runs by environment
variables.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

import cdk8s_plus_27 as k
from cdk8s import ApiObject, ApiObjectMetadata, App, Duration, JsonPatch, Size

from charts import kinds
from charts.cert_manager import SOLVER_LABELS, SOLVER_PORT, serving_certificate
from charts.component import Component
from charts.labels import selector
from charts.network import TO_DNS, allow, default_deny, tcp
from charts.scheduling import SERVING, one_at_a_time, over_nodes
from charts.scrape import scraped
from charts.security import NON_ROOT
from charts.traefik import TRAEFIK, TRAEFIK_PODS, grant_watch
from fleet.registry import ComponentName, Issuer
from imports.k8s import PodDisruptionBudget, ResourceQuota
from imports.traefik import IngressRouteTCP, ServersTransportTCP

FOOBAR_API: Final = "foobar-api"
"""Name of the namespace and of every object in here."""
TLS_SECRET: Final = f"{FOOBAR_API}-tls"
"""The Secret that cert-manager writes and the pods mount."""

HTTPS: Final = 8443
METRICS: Final = 9464

DRAIN_SECONDS: Final = 10
"""Seconds after SIGTERM in which the app still accepts, not ready, until Traefik looks away."""


LABELS: Final = selector(FOOBAR_API)


def _probe(path: str, *, period: int, failures: int) -> k.Probe:
    return k.Probe.from_http_get(
        path,
        port=HTTPS,
        scheme=k.ConnectionScheme.HTTPS,
        period_seconds=Duration.seconds(period),
        timeout_seconds=Duration.seconds(2),
        failure_threshold=failures,
    )


# What no fact of a region changes. jsii checks and carries these values once for all regions.
STARTUP: Final = _probe("/livez", period=1, failures=60)
LIVENESS: Final = _probe("/livez", period=10, failures=3)
READINESS: Final = _probe("/readyz", period=5, failures=2)
ROLLOUT: Final = k.DeploymentStrategy.rolling_update(
    max_surge=k.PercentOrAbsolute.absolute(1), max_unavailable=k.PercentOrAbsolute.absolute(0)
)
META: Final = ApiObjectMetadata(name=FOOBAR_API, namespace=FOOBAR_API)
POD_METADATA: Final = ApiObjectMetadata(labels=LABELS)
POD_SECURITY: Final = k.PodSecurityContextProps(
    ensure_non_root=True,
    user=NON_ROOT,
    group=NON_ROOT,
    fs_group=NON_ROOT,
    fs_group_change_policy=k.FsGroupChangePolicy.ON_ROOT_MISMATCH,
)
CONTAINER_SECURITY: Final = k.ContainerSecurityContextProps(
    ensure_non_root=True,
    user=NON_ROOT,
    group=NON_ROOT,
    allow_privilege_escalation=False,
    read_only_root_filesystem=True,
)
PORTS: Final = [
    k.ContainerPort(name="https", number=HTTPS),
    k.ContainerPort(name="metrics", number=METRICS),
]
SERVICE_PORT: Final = k.ServicePort(
    name="https", port=443, target_port=HTTPS, protocol=k.Protocol.TCP
)
CERTIFICATE_FILES: Final = {
    "tls.crt": k.PathMapping(path="cert.pem"),
    "tls.key": k.PathMapping(path="key.pem"),
}
SETTLED: Final = Duration.seconds(5)
RESOURCES: Final = k.ContainerResources(
    cpu=k.CpuResources(request=k.Cpu.millis(100)),
    memory=k.MemoryResources(request=Size.mebibytes(128), limit=Size.mebibytes(256)),
)
SCRATCH: Final = Size.mebibytes(64)
WHERE: Final = {
    # Copied from the node, by Kubernetes 1.35 and newer; empty before.
    "REGION": k.EnvValue.from_field_ref(
        k.EnvFieldPaths.POD_LABEL, key="topology.kubernetes.io/region"
    ),
    "POD_NAME": k.EnvValue.from_field_ref(k.EnvFieldPaths.POD_NAME),
    "POD_NAMESPACE": k.EnvValue.from_field_ref(k.EnvFieldPaths.POD_NAMESPACE),
    "NODE_NAME": k.EnvValue.from_field_ref(k.EnvFieldPaths.NODE_NAME),
}
SELECTOR: Final = k.LabelSelector.of(labels=LABELS)
CPU: Final = k.Metric.resource_cpu(k.MetricTarget.average_utilization(70))

POD: Final = "/spec/template/spec"
GAPS: Final = (
    JsonPatch.add(f"{POD}/securityContext/seccompProfile", {"type": "RuntimeDefault"}),
    JsonPatch.add(f"{POD}/containers/0/securityContext/capabilities", {"drop": ["ALL"]}),
    JsonPatch.add(f"{POD}/priorityClassName", SERVING),
    JsonPatch.add(f"{POD}/enableServiceLinks", False),  # noqa: FBT003 - the value
    JsonPatch.add(f"{POD}/topologySpreadConstraints", over_nodes(LABELS)),
    JsonPatch.add("/spec/revisionHistoryLimit", 3),
    # A hash of the construct's path: selectors go by the name instead.
    JsonPatch.remove("/spec/template/metadata/labels/cdk8s.io~1metadata.addr"),
)
"""What a Deployment has and cdk8s-plus-27 cannot say, and what it adds unasked.

A field younger than Kubernetes 1.27 would be lost even so: the library's objects drop what they do
not know after the patches have run.
"""
NO_EXTERNAL_ADDRESSES: Final = JsonPatch.remove("/spec/externalIPs")


class FoobarApi(Component):
    """Certificate, workload, route by TLS passthrough, autoscaling, monitor and policies."""

    NAME: ClassVar[ComponentName] = FOOBAR_API
    NAMESPACE = FOOBAR_API
    CLUSTER_KINDS = (kinds.NAMESPACE,)
    BEHIND_TRAEFIK = True

    def __init__(
        self,
        app: App,
        *,
        cluster: str,
        host: str,
        issuer: Issuer,
        image: str,
        pull_secret: str,
        proxy_networks: Sequence[str],
        ingress_grace_seconds: int,
    ) -> None:
        """foobar-api as ``cluster`` at ``https://host/``.

        ``pull_secret`` names a registry Secret that is made outside Git. ``proxy_networks`` are
        the CIDRs that Traefik's pods connect from. ``ingress_grace_seconds`` is how long Traefik
        and the load balancer in front may still send requests: a pod outlives them.
        """
        super().__init__(app)

        self.own_namespace()
        serving_certificate(
            self, namespace=FOOBAR_API, name=FOOBAR_API, secret=TLS_SECRET, host=host, issuer=issuer
        )
        PodDisruptionBudget(
            self,
            "budget",
            metadata={"name": FOOBAR_API, "namespace": FOOBAR_API},
            spec=one_at_a_time(LABELS),
        )
        ServersTransportTCP(
            self,
            "transport",
            metadata={"name": FOOBAR_API, "namespace": FOOBAR_API},
            # The client's address, in front of the TLS handshake that Traefik passes on.
            spec={"proxyProtocol": {"version": 2}, "dialTimeout": "5s"},
        )
        IngressRouteTCP(
            self,
            "route",
            metadata={"name": FOOBAR_API, "namespace": FOOBAR_API},
            spec={
                "ingressClassName": TRAEFIK,
                "entryPoints": ["websecure"],
                "routes": [
                    {
                        "match": f"HostSNI(`{host}`)",
                        "services": [
                            {
                                "name": FOOBAR_API,
                                "port": "https",
                                "serversTransport": FOOBAR_API,
                            }
                        ],
                    }
                ],
                "tls": {"passthrough": True},
            },
        )
        grant_watch(self, namespace=FOOBAR_API)
        # Room for the largest rollout and for solvers; and no second way in from outside.
        ResourceQuota(
            self,
            "quota",
            metadata={"name": FOOBAR_API, "namespace": FOOBAR_API},
            spec={
                "hard": {
                    "pods": "20",
                    "requests.cpu": "4",
                    "requests.memory": "4Gi",
                    "limits.memory": "8Gi",
                    "services.loadbalancers": "0",
                    "services.nodeports": "0",
                }
            },
        )
        # The whole volume, never subPath, so that kubelet swaps in the renewed pair at once.
        certificate = k.Volume.from_secret(
            self,
            "tls-volume",
            k.Secret.from_secret_name(self, "tls-secret", TLS_SECRET),
            name="cert",
            default_mode=0o440,
            items=CERTIFICATE_FILES,
        )
        scratch = k.Volume.from_empty_dir(self, "scratch-volume", "tmp", size_limit=SCRATCH)
        container = k.ContainerProps(
            name=FOOBAR_API,
            image=image,
            image_pull_policy=k.ImagePullPolicy.IF_NOT_PRESENT,
            args=[
                f"--port={HTTPS}",
                "--cert=/cert/cert.pem",
                "--key=/cert/key.pem",
                f"--metrics-port={METRICS}",
                f"--drain={DRAIN_SECONDS}",
                f"--proxy-from={','.join(proxy_networks)}",
            ],
            env_variables={"CLUSTER": k.EnvValue.from_value(cluster), **WHERE},
            ports=PORTS,
            startup=STARTUP,
            liveness=LIVENESS,
            readiness=READINESS,
            resources=RESOURCES,
            security_context=CONTAINER_SECURITY,
            volume_mounts=[
                k.VolumeMount(path="/cert", volume=certificate, read_only=True),
                k.VolumeMount(path="/tmp", volume=scratch),  # noqa: S108 - in the container
            ],
        )
        account = k.ServiceAccount(self, "account", metadata=META, automount_token=False)
        deployment = k.Deployment(
            self,
            "deployment",
            metadata=META,
            # Selected by the name alone: the default selector is a hash of the construct's path,
            # and a Deployment's selector can never change.
            select=False,
            pod_metadata=POD_METADATA,
            service_account=account,
            automount_service_account_token=False,
            docker_registry_auth=k.Secret.from_secret_name(self, "pull-secret", pull_secret),
            security_context=POD_SECURITY,
            containers=[container],
            volumes=[certificate, scratch],
            strategy=ROLLOUT,
            min_ready=SETTLED,
            termination_grace_period=Duration.seconds(DRAIN_SECONDS + ingress_grace_seconds + 15),
        )
        deployment.select(SELECTOR)
        ApiObject.of(deployment).add_json_patch(*GAPS)
        pods = k.Pods.select(self, "pods", labels=LABELS)
        service = k.Service(
            self,
            "service",
            metadata=META,
            selector=pods,
            ports=[SERVICE_PORT],
        )
        ApiObject.of(service).add_json_patch(NO_EXTERNAL_ADDRESSES)
        k.HorizontalPodAutoscaler(
            self,
            "autoscaler",
            metadata=META,
            target=deployment,
            min_replicas=2,
            max_replicas=6,
            metrics=[CPU],
        )
        # Traefik in, to the app and to the solvers of its certificate; DNS out; nothing else.
        default_deny(self, namespace=FOOBAR_API)
        allow(
            self,
            FOOBAR_API,
            namespace=FOOBAR_API,
            labels=LABELS,
            ingress=[{"from": [TRAEFIK_PODS], "ports": tcp(HTTPS)}],
            egress=[TO_DNS],
        )
        scraped(self, FOOBAR_API, namespace=FOOBAR_API, labels=LABELS, port="metrics")
        allow(
            self,
            "acme-solver",
            namespace=FOOBAR_API,
            labels=SOLVER_LABELS,
            ingress=[{"from": [TRAEFIK_PODS], "ports": tcp(SOLVER_PORT)}],
        )
