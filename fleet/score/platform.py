"""``metadata``: the app's name, and what this platform asks beyond Score."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fleet.score.facts import AnnotationKey, AnyPort, MetricName, Path, Port, ScoreName, Truth
from fleet.score.jobs import BeforeRollout, ScheduledJob
from fleet.score.levels import Measure, ServiceLevels
from fleet.values import Destination, Facts, FrozenDict, Label


class Metrics(Facts):
    """Where Prometheus scrapes the app."""

    port: Port = Field(description="Port of the metrics, in plain HTTP.", examples=[9464])
    path: Path = Field(default="/metrics", description="Path of the metrics.")
    certificate_expiry: MetricName | None = Field(
        default=None,
        description="Metric of the time, in seconds since 1970, at which the certificate that a "
        "pod serves expires; an alert fires if a pod goes on serving an old one. For "
        "`passthrough` only.",
        examples=["app_certificate_not_after_timestamp_seconds"],
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

    networks: tuple[Destination, ...] = Field(
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
    grpc_health: Truth = Field(
        default=False,
        description="Whether the app answers grpc.health.v1.Health on its port; kubelet then asks "
        "that in place of a probe that is not described. For `protocol: h2c` only.",
        examples=[True],
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
    startup: Annotated[int, Field(strict=True, ge=1, le=3600)] = Field(
        default=60,
        description="Seconds that a pod may take to start. Afterwards kubelet restarts it.",
        examples=[300],
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
    jobs: Annotated[dict[Label, ScheduledJob], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict, description="What runs on a schedule, by its name."
    )
    before_rollout: BeforeRollout | None = Field(
        default=None,
        description="A job, such as a migration, that has to succeed before each rollout. While "
        "it fails, the old pods stay.",
    )

    @property
    def levels(self) -> ServiceLevels:
        """The service levels, whoever measures them."""
        return self.service_levels or ServiceLevels()

    @property
    def measured_by(self) -> Measure | None:
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

    name: Annotated[ScoreName, Field(max_length=40)] = Field(
        description="Name of the app, of its namespace and of its file.",
        examples=["shop-api"],
        json_schema_extra={"maxLength": 40},
    )
    annotations: Annotated[dict[AnnotationKey, str], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict,
        description="For other tools, and for placeholders.",
        examples=[{"example.org/owner": "shop"}],
    )
    platform: Platform = Field(
        default=Platform(), description="What Score has no key for; every key has a default."
    )
