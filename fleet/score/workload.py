"""``containers`` and ``service``: what runs, and the port that users reach."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from fleet.score.facts import (
    AnyPort,
    Cpu,
    HeaderName,
    Memory,
    Path,
    Port,
    PortName,
    Target,
    Truth,
    VariableName,
    millicores,
)
from fleet.values import Facts, FrozenDict
from fleet.volumes import mebibytes


class HttpHeader(Facts):
    """A header of a probe's request."""

    name: HeaderName = Field(description="Name of the header.", examples=["X-Probe"])
    value: Annotated[str, Field(min_length=1)] = Field(
        description="Its value.", examples=["kubelet"], json_schema_extra={"minLength": 1}
    )


class HttpGet(Facts):
    """A request that is answered 2xx or 3xx if all is well."""

    path: Path = Field(description="Path of the request.", examples=["/readyz"])
    port: Port = Field(description="Port of the request.", examples=[8080])
    scheme: Literal["HTTP", "HTTPS"] = Field(
        default="HTTP", description="`HTTPS` checks no certificate.", examples=["HTTPS"]
    )
    host: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="The header Host. The request goes to the pod in any case.",
        examples=["shop.example.org"],
    )
    http_headers: tuple[HttpHeader, ...] = Field(
        default=(),
        description="Further headers.",
        examples=[[{"name": "X-Probe", "value": "kubelet"}]],
    )


class Exec(Facts):
    """A command in the container that ends with 0 if all is well."""

    command: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="The command and its arguments.", examples=[["/app/healthy"]]
    )


class Probe(Facts):
    """How kubelet asks the app how it is."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["httpGet"]}, {"required": ["exec"]}]}
    )

    http_get: HttpGet | None = Field(default=None, description="The request that kubelet sends.")
    exec: Exec | None = Field(
        default=None, description="The command that kubelet runs. Score prefers it to `httpGet`."
    )


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
        description="The resource: `${resources.<id>}`, a `volume`, `certificate` or `secret`.",
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
        default=(),
        description="Arguments of the command. Kubernetes fills in `$(NAME)` with a variable.",
        examples=[["--port=8080"]],
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
        "it, the app has to accept connections at `targetPort`.",
    )
    readiness_probe: Probe | None = Field(
        default=None,
        description="When the app gets requests. Without it, the app has to accept connections at "
        "`targetPort`.",
    )


class ServicePort(Facts):
    """The port that users reach."""

    port: AnyPort = Field(description="Port of the Service.", examples=[8080])
    target: Port | None = Field(
        default=None,
        alias="targetPort",
        description="Port that the app listens on. Without it, `port`.",
        examples=[8080],
    )
    protocol: Literal["TCP"] = Field(default="TCP", description="`TCP`.", examples=["TCP"])

    @property
    def target_port(self) -> int:
        """The port that the app listens on."""
        return self.target or self.port


class Service(Facts):
    """What the app serves."""

    ports: Annotated[dict[PortName, ServicePort], AfterValidator(FrozenDict)] = Field(
        description="The port that users reach, by its name.",
        examples=[{"http": {"port": 8080}}],
        json_schema_extra={"minProperties": 1, "maxProperties": 1},
    )
