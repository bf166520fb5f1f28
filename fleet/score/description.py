"""The whole of a description, and what follows from its parts together."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from fleet.diagnostics import Location, shown
from fleet.score import placeholders
from fleet.score.facts import ScoreName
from fleet.score.jobs import BEFORE_ROLLOUT, Job
from fleet.score.placeholders import Part, Reference
from fleet.score.platform import Metadata, Platform
from fleet.score.resources import (
    MOUNTED,
    CertificateResource,
    Resource,
    SecretResource,
    VolumeResource,
)
from fleet.score.workload import Container, Mount, Resources, Service, ServicePort
from fleet.values import Facts, FrozenDict

Kind: TypeAlias = Literal["Deployment", "StatefulSet"]


class Description(Facts):
    """An app, as its team describes it."""

    api_version: Literal["score.dev/v1b1"] = Field(
        description="The version of Score.", examples=["score.dev/v1b1"]
    )
    metadata: Metadata = Field(description="The name of the app, and the platform's section.")
    containers: Annotated[dict[ScoreName, Container], AfterValidator(FrozenDict)] = Field(
        description="The container that runs the app, by its name.",
        json_schema_extra={"minProperties": 1, "maxProperties": 1},
    )
    service: Service = Field(description="What the app serves.")
    resources: Annotated[dict[ScoreName, Resource], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict,
        description="What the app needs, by an id that placeholders use.",
    )

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def platform(self) -> Platform:
        return self.metadata.platform

    @property
    def container_name(self) -> str:
        return next(iter(self.containers))

    @property
    def container(self) -> Container:
        return self.containers[self.container_name]

    @property
    def seen_at(self) -> str:
        """The path that tells from outside whether the app answers."""
        probe = self.container.readiness_probe
        asked = probe.http_get.path if probe and probe.http_get else "/"
        return self.platform.certificate_path or asked

    @property
    def port_name(self) -> str:
        return next(iter(self.service.ports))

    @property
    def port(self) -> ServicePort:
        return self.service.ports[self.port_name]

    @property
    def secrets(self) -> dict[str, tuple[str, ...]]:
        """The keys that the app reads of each Secret that is made outside Git.

        Resources of one name are one Secret, with the keys of all.
        """
        found: dict[str, dict[str, None]] = {}
        for key, resource in self.resources.items():
            if isinstance(resource, SecretResource):
                of_secret = found.setdefault(resource.params.name or key, {})
                of_secret.update(dict.fromkeys(resource.params.keys))
                of_secret.update(dict.fromkeys(self._variables_of(key)))
        return {name: tuple(keys) for name, keys in found.items()}

    @property
    def commands(self) -> dict[Location, str]:
        """Every word of a command, by where it is; of the container and of jobs."""
        mappings: list[tuple[Location, Container | Job]] = [
            (("containers", self.container_name), self.container),
            *((job_location(name), job) for name, job in self.jobs.items()),
        ]
        return {
            (*where, key, index): text
            for where, each in mappings
            for key, words in (("command", each.command), ("args", each.args))
            for index, text in enumerate(words)
        }

    def _variables_of(self, resource: str) -> Iterator[str]:
        """What the variables ask of a resource."""
        for text in self.container.variables.values():
            for part in self.parts(text):
                if isinstance(part, Reference) and part.resource == resource:
                    yield part.output

    def supplied_as(self, secret: str, key: str) -> str:
        """The environment variable from which bootstrap takes a value: ``APP_SHOP_API_DB_URL``.

        By its first word, nobody who names an app and its Secrets can ask for another variable of
        the person who runs bootstrap, such as AWS_SECRET_ACCESS_KEY.
        """
        return re.sub("[^A-Z0-9]+", "_", f"app_{self.name}_{secret}_{key}".upper())

    @property
    def metrics_port(self) -> str:
        """Name of the port of the metrics, if there are any: that of users, or one of its own."""
        metrics = self.platform.metrics
        return self.port_name if metrics and metrics.port == self.port.target_port else "metrics"

    @property
    def persistent(self) -> dict[str, str]:
        """The size of each volume that pods keep, by the id of its resource."""
        return {
            key: resource.params.size or ""
            for key, resource in self.resources.items()
            if isinstance(resource, VolumeResource) and resource.params.persistent
        }

    @property
    def certificate(self) -> str | None:
        """The id of the resource that is the certificate of an app with its own TLS."""
        certificates = (
            key
            for key, resource in self.resources.items()
            if isinstance(resource, CertificateResource) and self.platform.tls == "passthrough"
        )
        return next(certificates, None)

    @property
    def kind(self) -> Kind:
        """What runs the app's pods."""
        return "StatefulSet" if self.persistent else "Deployment"

    @property
    def tls_secret(self) -> str:
        """The Secret that cert-manager writes the certificate to."""
        return tls_secret(self.name)

    @property
    def jobs(self) -> dict[str, Job]:
        """Every job by its name, the one before each rollout included."""
        before = self.platform.before_rollout
        return {**self.platform.jobs, **({BEFORE_ROLLOUT: before} if before else {})}

    def job_name(self, job: str) -> str:
        """The name of a job's objects, and of its pods by their label."""
        return f"{self.name}-{job}"

    def usage(self, job: Job) -> Resources:
        """What a pod of ``job`` uses."""
        return job.resources or self.container.resources

    def parts(self, text: str) -> tuple[Part, ...]:
        """A text in which ``${…}`` is a reference and ``$$`` a dollar sign.

        Raises ValueError, which says what is wrong, for a placeholder that nothing can fill in.
        """
        return tuple(placeholders.parts(text, self.metadata, self.resources))

    def source(self, mount: Mount) -> str:
        """The id of the resource that is mounted."""
        match self.parts(mount.source):
            case (Reference(resource=resource, output=""),) if isinstance(
                self.resources[resource], MOUNTED
            ):
                return resource
            case _:
                raise ValueError(
                    f"{shown(mount.source)} is no volume; write ${{resources.<id>}}, and give "
                    "the resource the type volume, certificate or secret"
                )


def tls_secret(app: str) -> str:
    """The Secret with the certificate of ``app``, in its namespace."""
    return f"{app}-tls"


def job_location(job: str) -> Location:
    """Where a job is described."""
    key = ("beforeRollout",) if job == BEFORE_ROLLOUT else ("jobs", job)
    return ("metadata", "platform", *key)
