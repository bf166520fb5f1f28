"""What cdk8s-plus-27 models of an app: its workload, Service, autoscaler and jobs.

Importing this module starts Node.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import cdk8s_plus_27 as k
from cdk8s import ApiObject, ApiObjectMetadata, Duration, JsonPatch

from charts.app import App
from charts.app.jobs import add_jobs
from charts.app.pod import PodProps, Pods, amounts, gaps
from charts.app.probes import probes_of
from charts.labels import selector
from charts.scheduling import over_nodes
from charts.storage import claim
from charts.workload import REVISION_HISTORY_LIMIT
from fleet.score import Description

if TYPE_CHECKING:
    from constructs import Construct

ROLLOUT: Final = k.DeploymentStrategy.rolling_update(
    max_surge=k.PercentOrAbsolute.absolute(1), max_unavailable=k.PercentOrAbsolute.absolute(0)
)
SETTLED: Final = Duration.seconds(5)
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
    labels, probes = selector(description.name), probes_of(description, POD)
    return Shape(
        meta=ApiObjectMetadata(name=description.name, namespace=description.name),
        pod_metadata=ApiObjectMetadata(labels=labels),
        selector=k.LabelSelector.of(labels=labels),
        startup=probes["startupProbe"].construct,
        liveness=probes["livenessProbe"].construct,
        readiness=probes["readinessProbe"].construct,
        ports=tuple(_ports(description)),
        service_port=k.ServicePort(
            name=description.port_name,
            port=description.port.port,
            target_port=description.port.target_port,
            protocol=k.Protocol.TCP,
        ),
        resources=amounts(description.container.resources),
        cpu=k.Metric.resource_cpu(
            k.MetricTarget.average_utilization(description.platform.scaling.cpu)
        ),
        gaps=(*_gaps(description), *(patch for each in probes.values() for patch in each.gaps)),
    )


def _gaps(description: Description) -> tuple[JsonPatch, ...]:
    """What a workload has and cdk8s-plus-27 cannot say."""
    label = "controller-revision-hash" if description.persistent else "pod-template-hash"
    spread = over_nodes(selector(description.name), revision=label)
    return (
        *gaps(POD, description),
        JsonPatch.add(f"{POD}/topologySpreadConstraints", spread),
        JsonPatch.add("/spec/revisionHistoryLimit", REVISION_HISTORY_LIMIT),
    )


def _ports(description: Description) -> list[k.ContainerPort]:
    port, metrics = description.port.target_port, description.platform.metrics
    ports = [k.ContainerPort(name=description.port_name, number=port)]
    if metrics and metrics.port != port:
        ports.append(k.ContainerPort(name=description.metrics_port, number=metrics.port))
    return ports


class Serving(PodProps):
    """What the workload that serves has, whichever of the two kinds it is."""

    metadata: ApiObjectMetadata
    select: bool
    pod_metadata: ApiObjectMetadata
    containers: list[k.ContainerProps]
    min_ready: Duration
    termination_grace_period: Duration


def _serving(pods: Pods, container: k.ContainerProps) -> Serving:
    fixed = shape(pods.app.DESCRIPTION)
    return {
        **pods.props,
        "metadata": fixed.meta,
        # Selected by the name alone: the default selector is a hash of the construct's path,
        # and a workload's selector can never change.
        "select": False,
        "pod_metadata": fixed.pod_metadata,
        "containers": [container],
        "min_ready": SETTLED,
        "termination_grace_period": Duration.seconds(pods.app.termination_grace_seconds),
    }


def _stateful_set(
    chart: "Construct", pods: Pods, serving: Serving, service: k.Service
) -> k.StatefulSet:
    """What runs an app whose pods keep volumes: each has its own, and gets it back when it moves.

    A rollout replaces one pod at a time, from the last on, and starts none beforehand.
    """
    stateful_set = k.StatefulSet(
        chart,
        "stateful-set",
        service=service,
        # In order, a pod that does not start would keep all after it from starting.
        pod_management_policy=k.PodManagementPolicy.PARALLEL,
        **serving,
    )
    ApiObject.of(service).add_json_patch(JsonPatch.remove("/spec/selector/cdk8s.io~1metadata.addr"))
    ApiObject.of(stateful_set).add_json_patch(*_claims(pods))
    return stateful_set


def _claims(pods: Pods) -> Iterator[JsonPatch]:
    """The volumes of a StatefulSet's pods, for which cdk8s-plus-27 has no word."""
    app = pods.app
    kept = app.DESCRIPTION.persistent
    templates = []
    for key, size in kept.items():
        spec = claim(size, app.storage_class)
        # The library's own form of a quantity; it would drop a text.
        storage = {"value": spec["resources"]["requests"]["storage"]}
        resources = {"requests": {"storage": storage}}
        templates.append({"metadata": {"name": key}, "spec": {**spec, "resources": resources}})
    yield JsonPatch.add("/spec/volumeClaimTemplates", templates)
    mounts = [
        {
            "mountPath": target,
            "name": key,
            **({"readOnly": True} if mount.read_only else {}),
        }
        for target, mount in app.DESCRIPTION.container.volumes.items()
        if (key := app.DESCRIPTION.source(mount)) in kept
    ]
    path = f"{POD}/containers/0/volumeMounts"
    if pods.mounts:
        yield from (JsonPatch.add(f"{path}/-", mount) for mount in mounts)
    else:
        yield JsonPatch.add(path, mounts)


def add_workload(chart: "Construct", app: App) -> None:
    """Adds what runs ``app``, and what leads to it inside the cluster."""
    description, fixed = app.DESCRIPTION, shape(app.DESCRIPTION)
    described = description.container
    pods = Pods.of(chart, app)
    container = k.ContainerProps(
        command=list(described.command) or None,
        args=list(described.args) or None,
        ports=list(fixed.ports),
        startup=fixed.startup,
        liveness=fixed.liveness,
        readiness=fixed.readiness,
        resources=fixed.resources,
        **pods.container,
    )
    service = k.Service(
        chart,
        "service",
        metadata=fixed.meta,
        selector=k.Pods.select(chart, "pods", labels=selector(app.NAME)),
        ports=[fixed.service_port],
    )
    ApiObject.of(service).add_json_patch(NO_EXTERNAL_ADDRESSES)
    serving = _serving(pods, container)
    workload = (
        _stateful_set(chart, pods, serving, service)
        if description.persistent
        else k.Deployment(chart, "deployment", strategy=ROLLOUT, **serving)
    )
    workload.select(fixed.selector)
    ApiObject.of(workload).add_json_patch(*fixed.gaps)
    k.HorizontalPodAutoscaler(
        chart,
        "autoscaler",
        metadata=fixed.meta,
        target=workload,
        min_replicas=description.platform.scaling.min,
        max_replicas=description.platform.scaling.max,
        metrics=[fixed.cpu],
    )
    add_jobs(chart, pods)
