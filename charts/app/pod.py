"""What all pods of an app have in common, whether they serve or are a job's.

Importing this module starts Node.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypedDict

import cdk8s_plus_27 as k
from cdk8s import ApiObjectMetadata, JsonPatch, Size

from charts.app import App
from charts.component import FIRST
from charts.scheduling import SERVING
from charts.security import NON_ROOT
from charts.workload import disk
from fleet.score import (
    CertificateResource,
    Description,
    PodResource,
    Reference,
    Resources,
    SecretResource,
    VolumeResource,
)

if TYPE_CHECKING:
    from constructs import Construct

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
POD_FACTS: Final = {
    # Copied from the node, by Kubernetes 1.35 and newer; empty before.
    "region": k.EnvValue.from_field_ref(
        k.EnvFieldPaths.POD_LABEL, key="topology.kubernetes.io/region"
    ),
    "name": k.EnvValue.from_field_ref(k.EnvFieldPaths.POD_NAME),
    "namespace": k.EnvValue.from_field_ref(k.EnvFieldPaths.POD_NAMESPACE),
    "node": k.EnvValue.from_field_ref(k.EnvFieldPaths.NODE_NAME),
}
FOR_THE_GROUP: Final = 0o440
"""Mode of files that only the pod's group may read, and nobody may write."""


class PodProps(TypedDict):
    """What the pods of every workload of an app have."""

    service_account: k.ServiceAccount
    automount_service_account_token: bool
    docker_registry_auth: k.ISecret
    security_context: k.PodSecurityContextProps
    volumes: list[k.Volume]


class ContainerProps(TypedDict):
    """What the container in each of these pods has."""

    name: str
    image: str
    image_pull_policy: k.ImagePullPolicy
    env_variables: Mapping[str, k.EnvValue]
    security_context: k.ContainerSecurityContextProps
    volume_mounts: list[k.VolumeMount]


@dataclass(frozen=True)
class Pods:
    """What is made once in an app's chart, for the pods of every workload."""

    app: App
    account: k.ServiceAccount
    pull_secret: k.ISecret
    variables: Mapping[str, k.EnvValue]
    volumes: Mapping[str, k.Volume]
    """By the ids of their resources; without those that each serving pod keeps for itself."""
    mounts: Sequence[k.VolumeMount]

    @classmethod
    def of(cls, chart: "Construct", app: App) -> Self:
        description = app.DESCRIPTION
        secrets = {
            key: k.Secret.from_secret_name(chart, f"secret-{key}", resource.params.name or key)
            for key, resource in description.resources.items()
            if isinstance(resource, SecretResource)
        }
        volumes = _volumes(chart, app, secrets)
        # A job before the rollout needs the account, and comes before all else.
        first = FIRST if description.platform.before_rollout else None
        return cls(
            app=app,
            account=k.ServiceAccount(
                chart,
                "account",
                metadata=ApiObjectMetadata(
                    name=app.NAME, namespace=app.NAMESPACE, annotations=first
                ),
                automount_token=False,
            ),
            pull_secret=k.Secret.from_secret_name(chart, "pull-secret", app.place.pull_secret),
            variables={
                name: _variable(app, secrets, text)
                for name, text in description.container.variables.items()
            },
            volumes=volumes,
            mounts=[
                k.VolumeMount(
                    path=target,
                    volume=volumes[description.source(mount)],
                    read_only=mount.read_only or None,
                )
                for target, mount in description.container.volumes.items()
                if description.source(mount) in volumes
            ],
        )

    @property
    def props(self) -> PodProps:
        return {
            "service_account": self.account,
            "automount_service_account_token": False,
            "docker_registry_auth": self.pull_secret,
            "security_context": POD_SECURITY,
            "volumes": list(self.volumes.values()),
        }

    @property
    def container(self) -> ContainerProps:
        return {
            "name": self.app.DESCRIPTION.container_name,
            "image": self.app.place.image,
            "image_pull_policy": k.ImagePullPolicy.IF_NOT_PRESENT,
            "env_variables": self.variables,
            "security_context": CONTAINER_SECURITY,
            "volume_mounts": list(self.mounts),
        }


def gaps(pod: str, description: Description) -> tuple[JsonPatch, ...]:
    """What a pod of an app has and cdk8s-plus-27 cannot say, and what it adds unasked.

    ``pod`` is the path of the pod's spec. A field younger than Kubernetes 1.27 would be lost even
    so: the library's objects drop what they do not know after the patches have run.
    """
    template = pod.removesuffix("/spec")
    return (
        JsonPatch.add(f"{pod}/securityContext/seccompProfile", {"type": "RuntimeDefault"}),
        JsonPatch.add(f"{pod}/containers/0/securityContext/capabilities", {"drop": ["ALL"]}),
        *_disk(f"{pod}/containers/0/resources", description),
        JsonPatch.add(f"{pod}/priorityClassName", SERVING),
        JsonPatch.add(f"{pod}/enableServiceLinks", False),  # noqa: FBT003 - the value
        # A hash of the construct's path: selectors go by the name instead.
        JsonPatch.remove(f"{template}/metadata/labels/cdk8s.io~1metadata.addr"),
    )


def _disk(path: str, description: Description) -> Iterator[JsonPatch]:
    """A container's share of its node's disk; cdk8s-plus-27 knows whole gibibytes alone."""
    volumes = sum(
        resource.params.mebibytes
        for key, resource in description.resources.items()
        if isinstance(resource, VolumeResource) and key not in description.persistent
    )
    share = disk(volumes)
    for which, quantities in (("requests", share["requests"]), ("limits", share["limits"])):
        for name, value in quantities.items():
            # The library's own form of a quantity; it would drop a text.
            yield JsonPatch.add(f"{path}/{which}/{name}", {"value": value})


def amounts(usage: Resources) -> k.ContainerResources:
    """What a container requests, and its limits."""
    return k.ContainerResources(
        cpu=k.CpuResources(
            request=k.Cpu.millis(usage.cpu_request),
            limit=None if usage.cpu_limit is None else k.Cpu.millis(usage.cpu_limit),
        ),
        memory=k.MemoryResources(
            request=Size.mebibytes(usage.memory_request),
            limit=Size.mebibytes(usage.memory_limit),
        ),
    )


def _volumes(chart: "Construct", app: App, secrets: Mapping[str, k.ISecret]) -> dict[str, k.Volume]:
    found: dict[str, k.Volume] = {}
    for key, resource in app.DESCRIPTION.resources.items():
        if key in app.DESCRIPTION.persistent:
            continue
        if isinstance(resource, VolumeResource):
            found[key] = k.Volume.from_empty_dir(
                chart, f"volume-{key}", key, size_limit=Size.mebibytes(resource.params.mebibytes)
            )
        elif isinstance(resource, SecretResource) and resource.params.keys:
            # Kubelet replaces the files when the Secret changes; a variable keeps its value.
            found[key] = k.Volume.from_secret(
                chart,
                f"volume-{key}",
                secrets[key],
                name=key,
                default_mode=FOR_THE_GROUP,
                items={name: k.PathMapping(path=name) for name in resource.params.keys},
            )
        elif isinstance(resource, CertificateResource):
            # The whole volume, never subPath, so that kubelet swaps in the renewed pair at once.
            found[key] = k.Volume.from_secret(
                chart,
                f"volume-{key}",
                k.Secret.from_secret_name(chart, f"secret-{key}", app.DESCRIPTION.tls_secret),
                name=key,
                default_mode=FOR_THE_GROUP,
                items={
                    "tls.crt": k.PathMapping(path=resource.params.certificate),
                    "tls.key": k.PathMapping(path=resource.params.key),
                },
            )
    return found


def _variable(app: App, secrets: Mapping[str, k.ISecret], text: str) -> k.EnvValue:
    parts = app.DESCRIPTION.parts(text)
    if len(parts) == 1 and isinstance(part := parts[0], Reference):
        resource = app.DESCRIPTION.resources[part.resource]
        if isinstance(resource, PodResource):
            return POD_FACTS[part.output]
        if isinstance(resource, SecretResource):
            secret = k.SecretValue(key=part.output, secret=secrets[part.resource])
            return k.EnvValue.from_secret_value(secret)
    return k.EnvValue.from_value(app.filled(text))
