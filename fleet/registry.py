"""The fleet as data: what clusters.yaml says, checked, typed, with the derived names.

Every fact has one place here; what follows from facts (hostnames, the label of a load balancer,
which components a cluster has) is a property.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from fleet import problems
from fleet.errors import InputError
from fleet.source import read

Role: TypeAlias = Literal["hub", "region"]
ProviderName: TypeAlias = Literal["vultr", "generic"]
Issuer: TypeAlias = Literal["staging", "production"]
ComponentName: TypeAlias = Literal[
    "baseline",
    "traefik",
    "cert-manager",
    "metrics-server",
    "foobar-api",
    "argocd",
    "applications",
    "argocd-access",
]

ROLE_COMPONENTS: Final[dict[Role, tuple[ComponentName, ...]]] = {
    "hub": ("baseline", "traefik", "cert-manager", "metrics-server", "argocd", "applications"),
    "region": (
        "baseline",
        "traefik",
        "cert-manager",
        "metrics-server",
        "foobar-api",
        "argocd-access",
    ),
}

REQUIRED: Final[dict[Role, frozenset[ComponentName]]] = {
    "hub": frozenset({"baseline", "argocd", "applications"}),
    "region": frozenset({"baseline", "argocd-access"}),
}
"""What a cluster of a role cannot do without: the rest refers to it, or is deployed through it."""

PRIVATE_NETWORKS: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918: what nodes and pods of a cluster have for addresses unless the registry says else."""

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST_LABEL: Final = 63
_LONGEST_NAME: Final = 253
# The grammar of github.com/distribution/reference, with the registry's host demanded.
_IMAGE: Final = re.compile(
    r"(?P<host>[a-z0-9.-]+\.[a-z0-9-]+(:\d+)?|localhost(:\d+)?)"
    r"(?P<path>(/[a-z0-9]+([._-]+[a-z0-9]+)*)+)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def _label(text: str) -> str:
    if len(text) > _LONGEST_LABEL:
        raise ValueError(
            f"{text} has {len(text)} characters; a DNS label has {_LONGEST_LABEL} at most"
        )
    if not _LABEL.fullmatch(text):
        raise ValueError(
            f"{text!r} is no DNS label; use lower-case letters, digits and inner hyphens"
        )
    return text


def _domain(text: str) -> str:
    for label in text.split("."):
        _label(label)
    return text


def _name(text: str) -> str:
    # Argo CD's name for the cluster it runs in, and its always present project.
    if text in ("in-cluster", "default"):
        raise ValueError(f"{text} has a meaning of its own in Argo CD; choose another name")
    return _label(text)


def _address(value: object) -> object:
    try:
        return ip_address(_text(value))
    except ValueError as error:
        if isinstance(value, str):
            raise ValueError(f"{value!r} is neither an IPv4 nor an IPv6 address") from None
        raise error from None


def _network(value: object) -> object:
    try:
        return ip_network(_text(value))
    except ValueError as error:
        if isinstance(value, str):
            raise ValueError(f"{value!r} is no network in CIDR notation: {error}") from None
        raise error from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(problems.not_text(value))  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _image(text: str) -> str:
    found = _IMAGE.fullmatch(text)
    if not found:
        raise ValueError(
            f"{text!r} is no image with its registry, such as registry.example/team/app:1.0.0"
        )
    if found["tag"] == "latest":
        raise ValueError(f"{text}: latest is a different image every day; name a version")
    if not found["tag"] and not found["digest"]:
        raise ValueError(f"{text} has neither tag nor digest; name a version")
    return text


def _git(text: str) -> str:
    if not re.fullmatch(r"https://[^\s/@]+/\S+|ssh://\S+|[\w.-]+@[\w.-]+:\S+", text):
        raise ValueError(f"{text!r} is no Git URL that Argo CD can read: https://… or git@…")
    return text


def _email(text: str) -> str:
    if not re.fullmatch(r"[^\s@]+@[^\s@]+\.[^\s@]+", text):
        raise ValueError(f"{text!r} is no e-mail address")
    return text


Label = Annotated[str, AfterValidator(_label)]
Domain = Annotated[str, AfterValidator(_domain)]
Address = Annotated[
    IPv4Address | IPv6Address,
    BeforeValidator(_address),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
]
Network = Annotated[
    IPv4Network | IPv6Network,
    BeforeValidator(_network),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9a-fA-F.:]+/\d{1,3}$"}),
]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class Git(_Facts):
    """The repository that Argo CD reads dist from."""

    repository: Annotated[str, AfterValidator(_git)] = Field(
        description="URL by which Argo CD clones the repository."
    )
    revision: str = Field(min_length=1, description="Branch, tag or commit that it follows.")


class Acme(_Facts):
    """The account at Let's Encrypt."""

    email: Annotated[str, AfterValidator(_email)] = Field(
        description="Where Let's Encrypt writes to about the account."
    )


class Cluster(_Facts):
    """What every cluster has."""

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="Name in dist, in Argo CD and in every label; a DNS label."
    )
    role: Role
    provider: ProviderName = Field(
        default="vultr", description="Who runs it: decides on the load balancer's annotations."
    )
    address: Address = Field(description="Address of the load balancer in front of Traefik.")
    domain: Domain | None = Field(
        default=None,
        description="Domain of the hostnames, whose DNS is yours to set. Without it, hostnames "
        "are under <address>.nip.io.",
    )
    issuer: Issuer = Field(
        default="staging",
        description="Let's Encrypt's staging or production; browsers trust the latter alone.",
    )
    node_networks: tuple[Network, ...] = Field(
        default=tuple(ip_network(network) for network in PRIVATE_NETWORKS),
        min_length=1,
        description="Addresses of nodes and pods, in CIDR notation: a PROXY header from there is "
        "believed. Private ranges unless given.",
    )
    without: tuple[ComponentName, ...] = Field(
        default=(), description="Components that this cluster is to do without."
    )

    @property
    def components(self) -> tuple[ComponentName, ...]:
        """The components that the cluster has, in the order of ROLE_COMPONENTS."""
        return tuple(name for name in ROLE_COMPONENTS[self.role] if name not in self.without)

    @property
    def load_balancer_label(self) -> str:
        """The name of the load balancer at the provider."""
        return f"{self.name}-traefik"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every hostname that the cluster answers to."""
        raise NotImplementedError

    def _host(self, label: str) -> str:
        return f"{label}.{self.domain or f'{self.address}.nip.io'}"

    @model_validator(mode="after")
    def _fits_together(self) -> "Cluster":
        # nip.io answers with the IPv4 address in the name; it has no form for IPv6.
        if self.address.version == 6 and self.domain is None:
            raise ValueError(
                f"address {self.address} is IPv6, which nip.io cannot name; add a domain"
            )
        for host in self.hosts:
            if len(host) > _LONGEST_NAME:
                raise ValueError(
                    f"hostname {host[:20]}… has {len(host)} characters; DNS allows {_LONGEST_NAME}"
                )
        for name in self.without:
            if name not in ROLE_COMPONENTS[self.role]:
                raise ValueError(
                    f"without: a {self.role} has no {name} to do without; "
                    f"it has {', '.join(ROLE_COMPONENTS[self.role])}"
                )
            if name in REQUIRED[self.role]:
                raise ValueError(f"without: a {self.role} cannot do without {name}")
        return self


class Hub(Cluster):
    """The cluster that Argo CD, and all that watches the fleet, runs in."""

    role: Literal["hub"]

    @property
    def argocd_host(self) -> str:
        return self._host("argocd")

    @property
    def grafana_host(self) -> str:
        return self._host("grafana")

    @property
    def prometheus_host(self) -> str:
        return self._host("prometheus")

    @property
    def hosts(self) -> tuple[str, ...]:
        return (self.argocd_host, self.grafana_host, self.prometheus_host)


class Region(Cluster):
    """A cluster that serves foobar-api."""

    role: Literal["region"]
    hostname: Label = Field(description="First label of the name that foobar-api answers to.")
    image: Annotated[str, AfterValidator(_image)] = Field(
        description="Image of foobar-api with its registry, by tag or digest. Promote region by "
        "region."
    )
    pull_secret: Domain = Field(
        default="registry-pull",
        description="Name of the Secret by which kubelet pulls the image; made outside Git.",
    )

    @property
    def host(self) -> str:
        """The full name that foobar-api answers to."""
        return self._host(self.hostname)

    @property
    def hosts(self) -> tuple[str, ...]:
        return (self.host,)


class Fleet(_Facts):
    """All of clusters.yaml."""

    model_config = ConfigDict(title="The fleet")

    git: Git
    acme: Acme
    clusters: tuple[Annotated[Hub | Region, Field(discriminator="role")], ...]

    @property
    def hub(self) -> Hub:
        return next(cluster for cluster in self.clusters if isinstance(cluster, Hub))

    @property
    def regions(self) -> tuple[Region, ...]:
        return tuple(cluster for cluster in self.clusters if isinstance(cluster, Region))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(cluster.name for cluster in self.clusters)

    def cluster(self, name: str) -> Hub | Region:
        """The cluster of that name; raises InputError if there is none."""
        for cluster in self.clusters:
            if cluster.name == name:
                return cluster
        raise InputError(f"{name}: no such cluster; the fleet has {', '.join(self.names)}")


def _keys(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


_KEYS: Final = {
    "": _keys(Fleet),
    "git": _keys(Git),
    "acme": _keys(Acme),
    "hub": _keys(Hub),
    "region": _keys(Region),
}
"""The keys that a mapping of the registry may have."""


def load(path: Path, overlays: Path | None = None) -> Fleet:
    """Reads the fleet from ``path``; raises InputError with every problem that it has.

    Folders of ``overlays`` that no component of the fleet would pick up are problems as well.
    """
    source = read(path)
    found: list[str] = []
    fleet = None
    try:
        fleet = Fleet.model_validate(source.data)
    except ValidationError as error:
        found += problems.of_values(source, error, _KEYS)
    found += problems.of_the_whole(source)
    if fleet is not None and overlays is not None:
        found += problems.of_overlays(
            overlays, {each.name: each.components for each in fleet.clusters}
        )
    if fleet is None or found:
        raise InputError(*dict.fromkeys(found))
    return fleet
