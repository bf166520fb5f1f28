"""What cdk8s-plus-27 models of an app: Deployment, Service, autoscaler and service account.

Importing this module starts Node.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import cdk8s_plus_27 as k
from cdk8s import ApiObject, ApiObjectMetadata, Duration, JsonPatch, Size

from charts.app import App
from charts.labels import selector
from charts.scheduling import SERVING, over_nodes
from charts.security import NON_ROOT
from charts.workload import REVISION_HISTORY_LIMIT
from fleet.score import (
    CertificateResource,
    Description,
    PodResource,
    Probe,
    Reference,
    SecretResource,
    VolumeResource,
)

if TYPE_CHECKING:
    from constructs import Construct

ROLLOUT: Final = k.DeploymentStrategy.rolling_update(
    max_surge=k.PercentOrAbsolute.absolute(1), max_unavailable=k.PercentOrAbsolute.absolute(0)
)
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
SETTLED: Final = Duration.seconds(5)
POD_FACTS: Final = {
    # Copied from the node, by Kubernetes 1.35 and newer; empty before.
    "region": k.EnvValue.from_field_ref(
        k.EnvFieldPaths.POD_LABEL, key="topology.kubernetes.io/region"
    ),
    "name": k.EnvValue.from_field_ref(k.EnvFieldPaths.POD_NAME),
    "namespace": k.EnvValue.from_field_ref(k.EnvFieldPaths.POD_NAMESPACE),
    "node": k.EnvValue.from_field_ref(k.EnvFieldPaths.NODE_NAME),
}

POD: Final = "/spec/template/spec"
NO_EXTERNAL_ADDRESSES: Final = JsonPatch.remove("/spec/externalIPs")


@dataclass(frozen=True)
class Shape:
    """What no fact of a region changes: jsii checks and carries it once for all regions."""

    meta: ApiObjectMetadata
    pod_metadata: ApiObjectMetadata
    selector: k.LabelSelector
    startup: k.Probe
    liveness: k.Probe
    readiness: k.Probe
    ports: tuple[k.ContainerPort, ...]
    service_port: k.ServicePort
    resources: k.ContainerResources
    cpu: k.Metric
    gaps: tuple[JsonPatch, ...]


@cache
def shape(description: Description) -> Shape:
    """The shape of an app's workload."""
    labels = selector(description.name)
    usage = description.container.resources
    return Shape(
        meta=ApiObjectMetadata(name=description.name, namespace=description.name),
        pod_metadata=ApiObjectMetadata(labels=labels),
        selector=k.LabelSelector.of(labels=labels),
        startup=_probe(description, description.container.liveness_probe, period=1, failures=60),
        liveness=_probe(description, description.container.liveness_probe, period=10, failures=3),
        readiness=_probe(description, description.container.readiness_probe, period=5, failures=2),
        ports=tuple(_ports(description)),
        service_port=k.ServicePort(
            name=description.port_name,
            port=description.port.port or description.port.target_port,
            target_port=description.port.target_port,
            protocol=k.Protocol.TCP,
        ),
        resources=k.ContainerResources(
            cpu=k.CpuResources(
                request=k.Cpu.millis(usage.cpu_request),
                limit=None if usage.cpu_limit is None else k.Cpu.millis(usage.cpu_limit),
            ),
            memory=k.MemoryResources(
                request=Size.mebibytes(usage.memory_request),
                limit=Size.mebibytes(usage.memory_limit),
            ),
        ),
        cpu=k.Metric.resource_cpu(
            k.MetricTarget.average_utilization(description.platform.scaling.cpu)
        ),
        gaps=_gaps(labels),
    )


def _gaps(labels: dict[str, str]) -> tuple[JsonPatch, ...]:
    """What a Deployment has and cdk8s-plus-27 cannot say, and what it adds unasked.

    A field younger than Kubernetes 1.27 would be lost even so: the library's objects drop what they
    do not know after the patches have run.
    """
    return (
        JsonPatch.add(f"{POD}/securityContext/seccompProfile", {"type": "RuntimeDefault"}),
        JsonPatch.add(f"{POD}/containers/0/securityContext/capabilities", {"drop": ["ALL"]}),
        JsonPatch.add(f"{POD}/priorityClassName", SERVING),
        JsonPatch.add(f"{POD}/enableServiceLinks", False),  # noqa: FBT003 - the value
        JsonPatch.add(f"{POD}/topologySpreadConstraints", over_nodes(labels)),
        JsonPatch.add("/spec/revisionHistoryLimit", REVISION_HISTORY_LIMIT),
        # A hash of the construct's path: selectors go by the name instead.
        JsonPatch.remove("/spec/template/metadata/labels/cdk8s.io~1metadata.addr"),
    )


def _probe(description: Description, probe: Probe | None, *, period: int, failures: int) -> k.Probe:
    port, period_seconds = description.port.target_port, Duration.seconds(period)
    timeout_seconds = Duration.seconds(2)
    if probe is None:
        return k.Probe.from_tcp_socket(
            port=port,
            period_seconds=period_seconds,
            timeout_seconds=timeout_seconds,
            failure_threshold=failures,
        )
    return k.Probe.from_http_get(
        probe.http_get.path,
        port=probe.http_get.port or port,
        scheme=k.ConnectionScheme[probe.http_get.scheme],
        period_seconds=period_seconds,
        timeout_seconds=timeout_seconds,
        failure_threshold=failures,
    )


def _ports(description: Description) -> list[k.ContainerPort]:
    port, metrics = description.port.target_port, description.platform.metrics
    ports = [k.ContainerPort(name=description.port_name, number=port)]
    if metrics and metrics.port != port:
        ports.append(k.ContainerPort(name="metrics", number=metrics.port))
    return ports


def _volumes(chart: "Construct", app: App) -> dict[str, k.Volume]:
    """The volumes of the pod, by the ids of their resources."""
    found: dict[str, k.Volume] = {}
    for key, resource in app.DESCRIPTION.resources.items():
        if isinstance(resource, VolumeResource):
            found[key] = k.Volume.from_empty_dir(
                chart, f"{key}-volume", key, size_limit=Size.mebibytes(resource.params.mebibytes)
            )
        elif isinstance(resource, CertificateResource):
            # The whole volume, never subPath, so that kubelet swaps in the renewed pair at once.
            found[key] = k.Volume.from_secret(
                chart,
                f"{key}-volume",
                k.Secret.from_secret_name(chart, f"{key}-secret", app.tls_secret),
                name=key,
                default_mode=0o440,
                items={
                    "tls.crt": k.PathMapping(path=resource.params.certificate),
                    "tls.key": k.PathMapping(path=resource.params.key),
                },
            )
    return found


def _variable(app: App, secrets: dict[str, k.ISecret], text: str) -> k.EnvValue:
    parts = app.DESCRIPTION.parts(text)
    if len(parts) == 1 and isinstance(part := parts[0], Reference):
        resource = app.DESCRIPTION.resources[part.resource]
        if isinstance(resource, PodResource):
            return POD_FACTS[part.output]
        if isinstance(resource, SecretResource):
            secret = k.SecretValue(key=part.output, secret=secrets[part.resource])
            return k.EnvValue.from_secret_value(secret)
    return k.EnvValue.from_value(app.filled(text))


def add_workload(chart: "Construct", app: App) -> None:
    """Adds what runs ``app``, and what leads to it inside the cluster."""
    description, fixed = app.DESCRIPTION, shape(app.DESCRIPTION)
    described = description.container
    volumes = _volumes(chart, app)
    secrets = {
        key: k.Secret.from_secret_name(chart, f"{key}-secret", resource.params.name or key)
        for key, resource in description.resources.items()
        if isinstance(resource, SecretResource)
    }
    container = k.ContainerProps(
        name=description.container_name,
        image=app.image,
        image_pull_policy=k.ImagePullPolicy.IF_NOT_PRESENT,
        command=[app.filled(each) for each in described.command] or None,
        args=[app.filled(each) for each in described.args] or None,
        env_variables={
            name: _variable(app, secrets, text) for name, text in described.variables.items()
        },
        ports=list(fixed.ports),
        startup=fixed.startup,
        liveness=fixed.liveness,
        readiness=fixed.readiness,
        resources=fixed.resources,
        security_context=CONTAINER_SECURITY,
        volume_mounts=[
            k.VolumeMount(
                path=target,
                volume=volumes[description.source(mount)],
                read_only=mount.read_only or None,
            )
            for target, mount in described.volumes.items()
        ],
    )
    account = k.ServiceAccount(chart, "account", metadata=fixed.meta, automount_token=False)
    deployment = k.Deployment(
        chart,
        "deployment",
        metadata=fixed.meta,
        # Selected by the name alone: the default selector is a hash of the construct's path,
        # and a Deployment's selector can never change.
        select=False,
        pod_metadata=fixed.pod_metadata,
        service_account=account,
        automount_service_account_token=False,
        docker_registry_auth=k.Secret.from_secret_name(chart, "pull-secret", app.pull_secret),
        security_context=POD_SECURITY,
        containers=[container],
        volumes=list(volumes.values()),
        strategy=ROLLOUT,
        min_ready=SETTLED,
        termination_grace_period=Duration.seconds(app.termination_grace_seconds),
    )
    deployment.select(fixed.selector)
    ApiObject.of(deployment).add_json_patch(*fixed.gaps)
    pods = k.Pods.select(chart, "pods", labels=selector(app.NAME))
    service = k.Service(
        chart,
        "service",
        metadata=fixed.meta,
        selector=pods,
        ports=[fixed.service_port],
    )
    ApiObject.of(service).add_json_patch(NO_EXTERNAL_ADDRESSES)
    k.HorizontalPodAutoscaler(
        chart,
        "autoscaler",
        metadata=fixed.meta,
        target=deployment,
        min_replicas=description.platform.scaling.min,
        max_replicas=description.platform.scaling.max,
        metrics=[fixed.cpu],
    )
