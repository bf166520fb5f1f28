"""What cdk8s-plus-27 models of foobar-api: Deployment, Service, autoscaler and service account.

Importing this module starts Node.
"""

from typing import TYPE_CHECKING, Final

import cdk8s_plus_27 as k
from cdk8s import ApiObject, ApiObjectMetadata, Duration, JsonPatch, Size

from charts.foobar_api import (
    DRAIN_SECONDS,
    FOOBAR_API,
    HTTPS,
    LABELS,
    METRICS,
    TLS_SECRET,
    FoobarApi,
)
from charts.scheduling import SERVING, over_nodes
from charts.security import NON_ROOT
from charts.workload import REVISION_HISTORY_LIMIT

if TYPE_CHECKING:
    from constructs import Construct


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
    JsonPatch.add("/spec/revisionHistoryLimit", REVISION_HISTORY_LIMIT),
    # A hash of the construct's path: selectors go by the name instead.
    JsonPatch.remove("/spec/template/metadata/labels/cdk8s.io~1metadata.addr"),
)
"""What a Deployment has and cdk8s-plus-27 cannot say, and what it adds unasked.

A field younger than Kubernetes 1.27 would be lost even so: the library's objects drop what they do
not know after the patches have run.
"""
NO_EXTERNAL_ADDRESSES: Final = JsonPatch.remove("/spec/externalIPs")


def add_workload(chart: "Construct", app: FoobarApi) -> None:
    """Adds what runs ``app``, and what leads to it inside the cluster."""
    # The whole volume, never subPath, so that kubelet swaps in the renewed pair at once.
    certificate = k.Volume.from_secret(
        chart,
        "tls-volume",
        k.Secret.from_secret_name(chart, "tls-secret", TLS_SECRET),
        name="cert",
        default_mode=0o440,
        items=CERTIFICATE_FILES,
    )
    scratch = k.Volume.from_empty_dir(chart, "scratch-volume", "tmp", size_limit=SCRATCH)
    container = k.ContainerProps(
        name=FOOBAR_API,
        image=app.image,
        image_pull_policy=k.ImagePullPolicy.IF_NOT_PRESENT,
        args=[
            f"--port={HTTPS}",
            "--cert=/cert/cert.pem",
            "--key=/cert/key.pem",
            f"--metrics-port={METRICS}",
            f"--drain={DRAIN_SECONDS}",
            f"--proxy-from={','.join(app.proxy_networks)}",
        ],
        env_variables={"CLUSTER": k.EnvValue.from_value(app.cluster), **WHERE},
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
    account = k.ServiceAccount(chart, "account", metadata=META, automount_token=False)
    deployment = k.Deployment(
        chart,
        "deployment",
        metadata=META,
        # Selected by the name alone: the default selector is a hash of the construct's path,
        # and a Deployment's selector can never change.
        select=False,
        pod_metadata=POD_METADATA,
        service_account=account,
        automount_service_account_token=False,
        docker_registry_auth=k.Secret.from_secret_name(chart, "pull-secret", app.pull_secret),
        security_context=POD_SECURITY,
        containers=[container],
        volumes=[certificate, scratch],
        strategy=ROLLOUT,
        min_ready=SETTLED,
        termination_grace_period=Duration.seconds(app.termination_grace_seconds),
    )
    deployment.select(SELECTOR)
    ApiObject.of(deployment).add_json_patch(*GAPS)
    pods = k.Pods.select(chart, "pods", labels=LABELS)
    service = k.Service(
        chart,
        "service",
        metadata=META,
        selector=pods,
        ports=[SERVICE_PORT],
    )
    ApiObject.of(service).add_json_patch(NO_EXTERNAL_ADDRESSES)
    k.HorizontalPodAutoscaler(
        chart,
        "autoscaler",
        metadata=META,
        target=deployment,
        min_replicas=2,
        max_replicas=6,
        metrics=[CPU],
    )
