"""What an app is, as its team describes it: a Score file, with a section for this platform.

Score is a workload specification that names no platform: https://docs.score.dev. The keys here are
those of its schema score.dev/v1b1 as far as the platform gives them a meaning; others are refused,
for a key that is silently ignored is a promise that is not kept. What Score has no key for is in
``metadata.platform``: Score allows further keys there, so other tools read the same file.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from fleet.diagnostics import Location, Problem, choice, did_you_mean, shown
from fleet.values import LONGEST_LABEL, FrozenDict, HostLabel, Label, Name, Network


class Facts(BaseModel):
    """A mapping of a description; equal ones have the same hash."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


def _matching(text: str, pattern: str, told: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{shown(text)} {told}")
    return text


_PORT_NAME: Final = "(?=.{1,15}$)(?!.*--)[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*"
_PATH: Final = r"/[^\s?#$]*"
_TARGET: Final = r"/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*"
_CPU: Final = "[1-9][0-9]{0,3}m?"
_MEMORY: Final = "[1-9][0-9]{0,4}(Mi|Gi)"
_VARIABLE: Final = "[A-Za-z_][A-Za-z0-9_]*"
_FILE: Final = "[A-Za-z0-9_-][A-Za-z0-9_.-]*"


def _text(pattern: str, told: str) -> tuple[AfterValidator, WithJsonSchema]:
    """A text that matches ``pattern``, of which is said what it is if it does not."""
    return (
        AfterValidator(lambda text: _matching(text, pattern, told)),
        WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"}),
    )


PortName: TypeAlias = Annotated[
    str,
    *_text(_PORT_NAME, "is no name of a port; use up to 15 lower-case letters, digits and hyphens"),
]
Path: TypeAlias = Annotated[str, *_text(_PATH, "is no path of a URL; write one such as /readyz")]
Target: TypeAlias = Annotated[
    str, *_text(_TARGET, "is no path in the container; write one such as /data")
]
Cpu: TypeAlias = Annotated[str, *_text(_CPU, "is no amount of CPU; write one such as 250m or 2")]
Memory: TypeAlias = Annotated[
    str, *_text(_MEMORY, "is no amount of memory; write one such as 128Mi or 2Gi")
]
VariableName: TypeAlias = Annotated[
    str, *_text(_VARIABLE, "is no name of an environment variable; use letters, digits and _")
]
FileName: TypeAlias = Annotated[str, *_text(_FILE, "is no name of a file; write one such as a.pem")]
Truth: TypeAlias = Annotated[bool, Field(strict=True)]
# Below 1024 a port needs a capability, which no pod of ours has.
Port: TypeAlias = Annotated[int, Field(strict=True, ge=1024, le=65535)]
AnyPort: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=65535)]


def millicores(cpu: str) -> int:
    """An amount of CPU in thousandths of a core."""
    return int(cpu.removesuffix("m")) * (1 if cpu.endswith("m") else 1000)


def mebibytes(memory: str) -> int:
    """An amount of memory in MiB."""
    return int(memory[:-2]) * {"Mi": 1, "Gi": 1024}[memory[-2:]]


class Metrics(Facts):
    """Where Prometheus scrapes the app."""

    port: Port = Field(description="Port of the metrics, in plain HTTP.", examples=[9464])
    path: Path = Field(default="/metrics", description="Path of the metrics.")


TRAEFIK_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds, in seconds, of the buckets in which Traefik counts how long requests take."""


class ServiceLevels(Facts):
    """What is promised of the app, and which metrics show whether it is kept.

    Those of Traefik, or the app's own ``http_requests_total`` and
    ``http_request_duration_seconds``.
    """

    measured_by: Literal["traefik", "app", "nobody"] | None = Field(
        default=None,
        description="Whose metrics count: Traefik's, or the app's own `http_requests_total` and "
        "`http_request_duration_seconds`. `nobody` turns the alerts off. Without it, `traefik` "
        "for an app behind `edge`, and `app` for one with `passthrough`.",
        examples=["app"],
    )
    availability: Annotated[float, Field(ge=90, le=99.99)] = Field(
        default=99.9, description="Percentage of requests that are not answered 5xx."
    )
    latency: Annotated[float, Field(ge=50, le=99.99)] = Field(
        default=99.0, description="Percentage of requests that are answered within `seconds`."
    )
    seconds: Annotated[float, Field(gt=0)] = Field(
        default=0.25,
        description="The upper bound of a bucket of the histogram. Traefik's are "
        f"{', '.join(f'{bound:g}' for bound in TRAEFIK_BUCKETS)}.",
        examples=[0.5],
    )
    ignored_routes: tuple[str, ...] = Field(
        default=(),
        description="Regular expressions of what the label `route` has for requests that do not "
        "count, such as those of probes; for `measuredBy: app` only.",
        examples=[["/livez", "/readyz"]],
    )


class Scaling(Facts):
    """How many pods the app has."""

    min: Annotated[int, Field(strict=True, ge=2, le=100)] = Field(
        default=2,
        description="Fewest pods. Two or more, so that the app survives the loss of a node.",
        examples=[3],
    )
    max: Annotated[int, Field(strict=True, ge=2, le=100)] = Field(
        default=6, description="Most pods.", examples=[10]
    )
    cpu: Annotated[int, Field(strict=True, ge=10, le=95)] = Field(
        default=70,
        description="Percentage of the requested CPU above which pods are added.",
        examples=[50],
    )


class Egress(Facts):
    """A way out of the app's namespace."""

    networks: tuple[Network, ...] = Field(
        description="Networks in CIDR notation.", examples=[["10.20.0.0/16"]]
    )
    ports: tuple[AnyPort, ...] = Field(description="TCP ports.", examples=[[5432]])


class Platform(Facts):
    """What this platform needs to know of an app and Score has no key for."""

    tls: Literal["edge", "passthrough"] = Field(
        default="edge",
        description="Where TLS ends: at Traefik (`edge`), or in the app (`passthrough`), which "
        "then mounts a resource of type `certificate`.",
        examples=["passthrough"],
    )
    protocol: Literal["http", "h2c"] = Field(
        default="http",
        description="What Traefik speaks to an app behind `edge`: HTTP/1.1 and WebSocket, or "
        "HTTP/2 in cleartext, which gRPC needs.",
        examples=["h2c"],
    )
    proxy_protocol: Truth = Field(
        default=False,
        description="Whether Traefik sends a PROXY header with the client's address in front of "
        "the TLS handshake; for `passthrough` only. Behind `edge`, X-Forwarded-For has it.",
        examples=[True],
    )
    metrics: Metrics | None = Field(
        default=None, description="Where Prometheus scrapes the app. Without it, nothing is."
    )
    service_levels: ServiceLevels | None = Field(
        default=None,
        description="What is promised of the app; alerts fire when its error budget is spent too "
        "fast. Without it, an app behind `edge` gets the defaults, measured by Traefik; of one "
        "with `passthrough`, the platform watches only whether it is there.",
    )
    scaling: Scaling = Field(default=Scaling(), description="How many pods the app has.")
    certificate_path: Path | None = Field(
        default=None,
        description="Path that answers JSON with `tls.certificate.serial`, by which "
        "`python -m fleet status` sees that TLS ends in the pod; for `passthrough` only.",
        examples=["/api"],
    )
    drain: Annotated[int, Field(strict=True, ge=0, le=300)] = Field(
        default=10,
        description="Seconds after SIGTERM in which the app still accepts connections, until "
        "Traefik stops sending any.",
        examples=[15],
    )
    egress: tuple[Egress, ...] = Field(
        default=(), description="What the app connects to, besides DNS. All else is blocked."
    )

    @property
    def levels(self) -> ServiceLevels:
        """The service levels, whoever measures them."""
        return self.service_levels or ServiceLevels()

    @property
    def measured_by(self) -> Literal["traefik", "app"] | None:
        """Whose metrics show whether the service levels are kept; None if nobody's do."""
        match self.levels.measured_by:
            case "nobody":
                return None
            case None if self.tls == "edge":
                return "traefik"
            case None:
                return "app" if self.service_levels else None
            case measured_by:
                return measured_by


class Metadata(Facts):
    """The name of the app, and the platform's section."""

    name: Annotated[Label, Field(max_length=40)] = Field(
        description="Name of the app, of its namespace and of its file.",
        examples=["shop-api"],
        json_schema_extra={"maxLength": 40},
    )
    annotations: Annotated[dict[str, str], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict, description="For other tools."
    )
    platform: Platform = Field(
        default=Platform(), description="What Score has no key for; every key has a default."
    )


class HttpGet(Facts):
    """A request that is answered 2xx or 3xx if all is well."""

    path: Path = Field(description="Path of the request.", examples=["/readyz"])
    port: Port | None = Field(
        default=None, description="Port of the request. Without it, the service's `targetPort`."
    )
    scheme: Literal["HTTP", "HTTPS"] = Field(
        default="HTTP", description="`HTTPS` checks no certificate.", examples=["HTTPS"]
    )


class Probe(Facts):
    """How kubelet asks the app how it is."""

    http_get: HttpGet = Field(description="The request that kubelet sends.")


class Amounts(Facts):
    """CPU and memory."""

    cpu: Cpu | None = Field(default=None, description="Cores.", examples=["250m"])
    memory: Memory | None = Field(default=None, description="Memory.", examples=["256Mi"])


class Resources(Facts):
    """What one pod of the app uses."""

    requests: Amounts = Field(
        default=Amounts(), description="What is set aside. Without it, `100m` and `128Mi`."
    )
    limits: Amounts = Field(
        default=Amounts(),
        description="What is never exceeded. Without it, `256Mi`, and as much CPU as is free.",
    )

    @property
    def cpu_request(self) -> int:
        """Thousandths of a core."""
        return millicores(self.requests.cpu or "100m")

    @property
    def cpu_limit(self) -> int | None:
        """Thousandths of a core; None is no limit."""
        return millicores(self.limits.cpu) if self.limits.cpu else None

    @property
    def memory_request(self) -> int:
        """MiB; without a request of its own, no more than a limit that was given."""
        if self.requests.memory:
            return mebibytes(self.requests.memory)
        return min(128, mebibytes(self.limits.memory)) if self.limits.memory else 128

    @property
    def memory_limit(self) -> int:
        """MiB; without a limit of its own, no less than twice a request that was given."""
        if self.limits.memory:
            return mebibytes(self.limits.memory)
        return max(256, 2 * mebibytes(self.requests.memory)) if self.requests.memory else 256


class Mount(Facts):
    """A resource in the container's file system."""

    source: str = Field(
        description="The resource: `${resources.<id>}`, of type `volume` or `certificate`.",
        examples=["${resources.tmp}"],
    )
    read_only: Truth = Field(
        default=False, description="Whether the app cannot write there.", examples=[True]
    )


class Container(Facts):
    """How the app is run."""

    image: Literal["."] = Field(
        description="A dot: clusters.yaml says which image each region runs.", examples=["."]
    )
    command: tuple[str, ...] = Field(
        default=(), description="In place of the image's entry point.", examples=[["/app/server"]]
    )
    args: tuple[str, ...] = Field(
        default=(), description="Arguments of the command.", examples=[["--port=8080"]]
    )
    variables: Annotated[dict[VariableName, str], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict, description="Environment variables.", examples=[{"LOG": "json"}]
    )
    volumes: Annotated[dict[Target, Mount], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict,
        description="What is mounted where. All else is read-only.",
        examples=[{"/tmp": {"source": "${resources.tmp}"}}],  # noqa: S108 - in the container
    )
    resources: Resources = Field(default=Resources(), description="What one pod uses.")
    liveness_probe: Probe | None = Field(
        default=None,
        description="When kubelet restarts the app, and how it sees that it has started. Without "
        "it, the service's port has to accept connections.",
    )
    readiness_probe: Probe | None = Field(
        default=None,
        description="When the app gets requests. Without it, the service's port has to accept "
        "connections.",
    )


class ServicePort(Facts):
    """The port that users reach."""

    port: AnyPort | None = Field(
        default=None, description="Port of the Service. Without it, `targetPort`.", examples=[80]
    )
    target_port: Port = Field(description="Port that the app listens on.", examples=[8080])
    protocol: Literal["TCP"] = Field(default="TCP", description="`TCP`.", examples=["TCP"])


class Service(Facts):
    """What the app serves."""

    ports: Annotated[dict[PortName, ServicePort], AfterValidator(FrozenDict)] = Field(
        description="The port that users reach, by its name.",
        examples=[{"http": {"targetPort": 8080}}],
        json_schema_extra={"minProperties": 1, "maxProperties": 1},
    )


class SecretParams(Facts):
    name: Name | None = Field(
        default=None, description="Name of the Secret. Without it, the id of the resource."
    )


class VolumeParams(Facts):
    size: Memory = Field(
        default="64Mi", description="Limit of what the app may write there.", examples=["1Gi"]
    )

    @property
    def mebibytes(self) -> int:
        """The limit in MiB."""
        return mebibytes(self.size)


class CertificateParams(Facts):
    certificate: FileName = Field(
        default="tls.crt", description="File of the chain, in PEM.", examples=["cert.pem"]
    )
    key: FileName = Field(
        default="tls.key", description="File of the private key, in PEM.", examples=["key.pem"]
    )


class SecretResource(Facts):
    """A Secret in the app's namespace that somebody creates outside Git."""

    type: Literal["secret"]
    params: SecretParams = SecretParams()


class VolumeResource(Facts):
    """An empty folder that lives as long as the pod."""

    type: Literal["volume"]
    params: VolumeParams = VolumeParams()


class CertificateResource(Facts):
    """The certificate of the app's hostname, renewed while the app runs."""

    type: Literal["certificate"]
    params: CertificateParams = CertificateParams()


class ClusterResource(Facts):
    """Facts of the cluster: ``name``, ``region``, ``host`` and ``proxy-networks``."""

    type: Literal["cluster"]


class PodResource(Facts):
    """Facts of the pod: ``name``, ``namespace``, ``node`` and ``region``."""

    type: Literal["pod"]


Resource: TypeAlias = Annotated[
    SecretResource | VolumeResource | CertificateResource | ClusterResource | PodResource,
    Field(discriminator="type"),
]

CLUSTER_FACTS: Final = ("name", "region", "host", "proxy-networks")
"""What ``${resources.<id>.<fact>}`` can ask of a resource of type ``cluster``."""
POD_FACTS: Final = ("name", "namespace", "node", "region")
"""What a variable can ask of a resource of type ``pod``."""


class Reference(NamedTuple):
    """``${resources.<id>.<output>}``; the output is empty where there is none."""

    resource: str
    output: str


Part: TypeAlias = str | Reference


class Description(Facts):
    """An app, as its team describes it."""

    api_version: Literal["score.dev/v1b1"] = Field(
        description="The version of Score.", examples=["score.dev/v1b1"]
    )
    metadata: Metadata = Field(description="The name of the app, and the platform's section.")
    containers: Annotated[dict[Label, Container], AfterValidator(FrozenDict)] = Field(
        description="The container that runs the app, by its name.",
        json_schema_extra={"minProperties": 1, "maxProperties": 1},
    )
    service: Service = Field(description="What the app serves.")
    resources: Annotated[dict[HostLabel, Resource], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict,
        description="What the app needs, by an id that placeholders use.",
        json_schema_extra={"propertyNames": {"maxLength": LONGEST_LABEL}},
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
        return self.platform.certificate_path or (probe.http_get.path if probe else "/")

    @property
    def port_name(self) -> str:
        return next(iter(self.service.ports))

    @property
    def port(self) -> ServicePort:
        return self.service.ports[self.port_name]

    @property
    def secrets(self) -> dict[str, tuple[str, ...]]:
        """The keys that the app reads of each Secret that is made outside Git."""
        found: dict[str, dict[str, None]] = {}
        for text in self.container.variables.values():
            for part in self.parts(text):
                if isinstance(part, Reference) and isinstance(
                    resource := self.resources[part.resource], SecretResource
                ):
                    name = resource.params.name or part.resource
                    found.setdefault(name, {})[part.output] = None
        return {name: tuple(keys) for name, keys in found.items()}

    def parts(self, text: str) -> tuple[Part, ...]:
        """A text in which ``${…}`` is a reference and ``$$`` a dollar sign.

        Raises ValueError, which says what is wrong, for a placeholder that nothing can fill in.
        """
        return tuple(self._parts(text))

    def source(self, mount: Mount) -> str:
        """The id of the resource that is mounted."""
        match self.parts(mount.source):
            case (Reference(resource=resource, output=""),) if isinstance(
                self.resources[resource], VolumeResource | CertificateResource
            ):
                return resource
            case _:
                raise ValueError(
                    f"{shown(mount.source)} is no volume; write ${{resources.<id>}}, and give "
                    "the resource the type volume or certificate"
                )

    def _parts(self, text: str) -> Iterator[Part]:
        at = 0
        for found in re.finditer(r"\$(?:\$|\{([^{}]*)\})", text):
            if text[at : found.start()]:
                yield text[at : found.start()]
            at = found.end()
            if found[1] is None:
                yield "$"
            elif found[1] == "metadata.name":
                yield self.name
            else:
                yield self._reference(found[0], found[1])
        if text[at:]:
            yield text[at:]

    def _reference(self, written: str, inside: str) -> Reference:
        head, _, rest = inside.partition(".")
        resource, _, output = rest.partition(".")
        if head != "resources" or not resource:
            raise ValueError(
                f"{shown(written)} is no placeholder of the platform; write "
                "${resources.<id>.<fact>} or ${metadata.name}, or $$ for a dollar sign"
            )
        if resource not in self.resources:
            raise ValueError(
                f"{shown(written)} names no resource of this file"
                f"{choice(resource, self.resources) if self.resources else '; add it'}"
            )
        self._check_output(written, self.resources[resource], output)
        return Reference(resource, output)

    def _check_output(self, written: str, resource: Resource, output: str) -> None:
        known: tuple[str, ...]
        match resource:
            case ClusterResource():
                known = CLUSTER_FACTS
            case PodResource():
                known = POD_FACTS
            case SecretResource():
                if not output:
                    raise ValueError(
                        f"{shown(written)} is a whole Secret; add the key: "
                        f"{written.removesuffix('}')}.<key>}}"
                    )
                return
            case _:
                if output:
                    raise ValueError(f"{shown(written)}: a {resource.type} has no facts; mount it")
                return
        if output not in known:
            raise ValueError(
                f"{shown(written)} is no fact of a {resource.type}{did_you_mean(output, known)}; "
                f"known are {', '.join(known)}"
            )


def problems(description: Description) -> Iterator[Problem]:
    """What is wrong between the values of a description, each of which is sound."""
    for key, mapping, what in (
        (("containers",), description.containers, "container"),
        (("service", "ports"), description.service.ports, "port"),
    ):
        if len(mapping) != 1:
            yield Problem(
                key,
                f"has {len(mapping)} {what}s; the platform runs apps with exactly one {what}",
            )
            return
    yield from _of_tls(description)
    yield from _of_amounts(description)
    yield from _of_levels(description.platform)
    yield from _of_texts(description)
    yield from _of_volumes(description)


def _of_tls(description: Description) -> Iterator[Problem]:
    platform = description.platform
    at: Location = ("metadata", "platform")
    if platform.tls == "edge" and platform.proxy_protocol:
        yield Problem(
            (*at, "proxyProtocol"),
            "is for tls: passthrough; behind edge, read X-Forwarded-For instead",
        )
    if platform.tls == "edge" and platform.certificate_path:
        yield Problem(
            (*at, "certificatePath"), "is for tls: passthrough; Traefik ends TLS here; remove it"
        )
    if platform.tls == "passthrough" and platform.protocol != "http":
        yield Problem(
            (*at, "protocol"), "is for tls: edge; an app with its own TLS chooses it; remove it"
        )
    certificates = [
        key
        for key, resource in description.resources.items()
        if isinstance(resource, CertificateResource)
    ]
    if platform.tls == "edge":
        for key in certificates:
            yield Problem(
                ("resources", key),
                "is a certificate, and TLS ends at Traefik; remove it, or set "
                "metadata.platform.tls to passthrough",
            )
    else:
        for key in certificates[1:]:
            yield Problem(("resources", key), "is a second certificate; an app has one")
        if not certificates:
            yield Problem(
                (*at, "tls"),
                "is passthrough, and no resource is of type certificate; add one and mount it",
            )


def _of_amounts(description: Description) -> Iterator[Problem]:
    container, scaling = description.container, description.platform.scaling
    at: Location = ("containers", description.container_name, "resources", "limits")
    usage = container.resources
    if usage.memory_limit < usage.memory_request:
        yield Problem((*at, "memory"), "is less than requests.memory; raise one or lower the other")
    if usage.cpu_limit is not None and usage.cpu_limit < usage.cpu_request:
        yield Problem((*at, "cpu"), "is less than requests.cpu; raise one or lower the other")
    if scaling.max < scaling.min:
        yield Problem(
            ("metadata", "platform", "scaling", "max"),
            f"{scaling.max} is less than min {scaling.min}; raise it",
        )
    metrics, port = description.platform.metrics, description.port
    if metrics and metrics.port != port.target_port and description.port_name == "metrics":
        yield Problem(
            ("service", "ports", "metrics"),
            "has the name of the metrics' own port; call it by what it serves, such as http",
        )


def _of_levels(platform: Platform) -> Iterator[Problem]:
    at: Location = ("metadata", "platform", "serviceLevels")
    levels = platform.levels
    if platform.measured_by == "app" and not platform.metrics:
        yield Problem(at, "are measured by the app's metrics, and it has none; add metrics")
    if platform.measured_by != "traefik":
        return
    if platform.tls == "passthrough":
        yield Problem(
            (*at, "measuredBy"),
            "is for tls: edge; Traefik sees no request in a connection that it passes through; "
            "write app or nobody",
        )
    if levels.ignored_routes:
        yield Problem(
            (*at, "ignoredRoutes"),
            "is for measuredBy: app; Traefik knows no routes of the app; remove one of the two",
        )
    if levels.seconds not in TRAEFIK_BUCKETS:
        yield Problem(
            (*at, "seconds"),
            f"{levels.seconds:g} is no bucket of Traefik's histogram; choose one of "
            f"{', '.join(f'{bound:g}' for bound in TRAEFIK_BUCKETS)}",
        )


def _of_texts(description: Description) -> Iterator[Problem]:
    container = description.container
    at: Location = ("containers", description.container_name)
    texts: list[tuple[Location, str]] = [
        *(((*at, "command", index), text) for index, text in enumerate(container.command)),
        *(((*at, "args", index), text) for index, text in enumerate(container.args)),
        *(((*at, "variables", key), text) for key, text in container.variables.items()),
    ]
    for location, text in texts:
        try:
            parts = description.parts(text)
        except ValueError as error:
            yield Problem(location, str(error))
            continue
        for part in parts:
            if isinstance(part, Reference):
                yield from _of_reference(description, location, parts, part)


def _of_reference(
    description: Description, location: Location, parts: tuple[Part, ...], part: Reference
) -> Iterator[Problem]:
    kind = description.resources[part.resource].type
    written = f"${{resources.{part.resource}.{part.output}}}"
    if kind in ("volume", "certificate"):
        yield Problem(location, f"a {kind} is no text; mount it under volumes")
    elif kind in ("secret", "pod") and (location[2] != "variables" or parts != (part,)):
        yield Problem(
            location,
            f"{shown(written)} has to be the whole value of a variable; give it one, and use it "
            "here as $(NAME)",
        )


def _of_volumes(description: Description) -> Iterator[Problem]:
    mounted: set[str] = set()
    at: Location = ("containers", description.container_name, "volumes")
    for target, mount in description.container.volumes.items():
        try:
            mounted.add(description.source(mount))
        except ValueError as error:
            yield Problem((*at, target, "source"), str(error))
            continue
        resource = description.resources[description.source(mount)]
        if isinstance(resource, CertificateResource) and not mount.read_only:
            yield Problem(
                (*at, target), "is a certificate, which nobody writes; add readOnly: true"
            )
    for key, resource in description.resources.items():
        if isinstance(resource, VolumeResource | CertificateResource) and key not in mounted:
            yield Problem(("resources", key), "is mounted nowhere; mount it, or remove it")


MODELS: Final[Mapping[tuple[str, ...], type[Facts]]] = {
    (): Description,
    ("metadata",): Metadata,
    ("metadata", "platform"): Platform,
    ("metadata", "platform", "metrics"): Metrics,
    ("metadata", "platform", "scaling"): Scaling,
    ("metadata", "platform", "serviceLevels"): ServiceLevels,
    ("metadata", "platform", "egress", "*"): Egress,
    ("containers", "*"): Container,
    ("containers", "*", "volumes", "*"): Mount,
    ("containers", "*", "resources"): Resources,
    ("containers", "*", "resources", "requests"): Amounts,
    ("containers", "*", "resources", "limits"): Amounts,
    ("containers", "*", "livenessProbe"): Probe,
    ("containers", "*", "livenessProbe", "httpGet"): HttpGet,
    ("containers", "*", "readinessProbe"): Probe,
    ("containers", "*", "readinessProbe", "httpGet"): HttpGet,
    ("service",): Service,
    ("service", "ports", "*"): ServicePort,
    ("resources", "*"): SecretResource,
}
"""The model of each mapping, by its path; ``*`` stands for a name or a position."""
