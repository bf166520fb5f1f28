"""The fleet as data: what clusters.yaml says, checked, typed, with the derived names.

Every fact has one place here; what follows from facts (hostnames, the label of a load balancer,
which components a cluster has) is a property.
"""

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fleet import buckets, problems, volumes
from fleet.catalogue import Offer, Role
from fleet.diagnostics import Location, Problem, did_you_mean, listed, shown
from fleet.errors import InputError
from fleet.git import Git
from fleet.offers import (
    Offers,
    can_be_added,
    can_be_left_out,
    check_replacement,
    have_their_needs,
    lacking_for,
    missed_by_none,
    offers_of,
)
from fleet.providers import PROVIDERS, Provider, ProviderName
from fleet.source import read
from fleet.values import (
    LONGEST_NAME,
    Address,
    AnnotationName,
    Bucket,
    ClusterName,
    Context,
    Days,
    Domain,
    Email,
    Facts,
    FrozenDict,
    HostLabel,
    Image,
    Label,
    Name,
    Network,
    SecretName,
    Size,
    not_empty,
    once,
)

Issuer: TypeAlias = Literal["staging", "production"]
Messenger: TypeAlias = Literal["webhook", "slack", "pagerduty"]
SHARED_NETWORK: Final = "100.64.0.0/10"
"""RFC 6598: between the NAT of a carrier and that of its customers."""
PRIVATE_NETWORKS: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""RFC 1918: what nodes and pods of a cluster have for addresses unless the registry says else."""
PRIVATE_NETWORK_V6: Final = "fc00::/7"
"""RFC 4193."""

HUB_LABELS: Final = ("argocd", "grafana", "prometheus", "loki")
"""The first label of each hostname of a hub."""


_ROLE: Final = "`hub` for the one cluster that Argo CD runs in, `region` for each that runs apps."


def _host(label: str, address: object, domain: str | None) -> str:
    """Under the cluster's domain, or where nip.io finds its address."""
    return f"{label}.{domain or f'{address}.nip.io'}"


def _fits(label: str, domain: str | None) -> None:
    """Raises ValueError where a hostname is longer than DNS allows; under nip.io none is."""
    length = len(f"{label}.{domain or ''}")
    if length > LONGEST_NAME:
        raise ValueError(
            f"{shown(label)} and domain {shown(domain or '')} make a hostname of {length} "
            f"characters; DNS allows {LONGEST_NAME}"
        )


class Acme(Facts):
    """The account at Let's Encrypt."""

    email: Email = Field(
        description="Contact of the account at Let's Encrypt, which refuses example domains.",
        examples=["platform@foobar-platform.dev"],
    )


class LoadBalancer(Facts):
    """The load balancer of a provider that the platform does not know."""

    annotations: dict[AnnotationName, str] = Field(
        default={},
        description="Annotations of Traefik's Service, as the provider documents them.",
        examples=[{"example.org/proxy-protocol": "v2"}],
        json_schema_extra={"additionalProperties": False},
    )
    proxy_protocol: bool = Field(
        default=False,
        strict=True,
        description="Whether the load balancer puts a PROXY header in front of each connection. "
        "Without one, the client's address is lost.",
        examples=[True],
    )


class OwnTraefik(Facts):
    """A Traefik that the cluster has already, such as that of k3s."""

    namespace: Label = Field(
        description="Namespace of its pods and its Service.", examples=["kube-system"]
    )
    service: Label = Field(
        default="traefik",
        description="Name of its Service, which has the load balancer's address.",
        examples=["ingress"],
    )
    ingress_class: Name = Field(
        default="traefik",
        description="Name of its IngressClass, which routes and challenges name.",
        examples=["public"],
    )


class Cluster(Facts):
    """What every cluster has."""

    name: ClusterName = Field(
        description="Name of the cluster in dist/, in Argo CD and in every label: a DNS label, "
        "unique in the fleet.",
        examples=["us-east"],
    )
    role: Role = Field(description=_ROLE)
    provider: ProviderName = Field(
        default="vultr",
        description="Who runs the cluster, which determines the annotations of its load balancer "
        "and its StorageClass: `vultr`, `hetzner`, `digitalocean`, `aws`, or `generic` for any "
        "other.",
        examples=["generic"],
    )
    load_balancer: LoadBalancer | None = Field(
        default=None,
        validate_default=True,
        description="The load balancer of a `generic` provider. Without it, a Service without "
        "annotations, and no PROXY header.",
        examples=[{"proxyProtocol": True}],
    )
    address: Address | None = Field(
        default=None,
        description="IPv4 or IPv6 address of the load balancer in front of Traefik, unique in the "
        "fleet. Required without `domain`; leave it out if the load balancer has a DNS name "
        "instead, as on `aws`.",
        examples=["45.77.154.12"],
    )
    behind_proxy: bool = Field(
        default=False,
        strict=True,
        description="Whether users reach the cluster through something in front of its load "
        "balancer, such as NAT or a DNS proxy. Bootstrap then compares neither the load "
        "balancer's address nor where hostnames lead.",
        examples=[True],
    )
    domain: Domain | None = Field(
        default=None,
        validate_default=True,
        description="Domain of the hostnames, whose DNS records you create. Without it, they are "
        "under `<address>.nip.io`, which requires an IPv4 address.",
        examples=["example.org"],
    )
    context: Context | None = Field(
        default=None,
        description="kubectl context through which the operators' commands reach the cluster. "
        "Without it, the name of the cluster.",
        examples=["vke-us-east"],
    )
    node_networks: Annotated[
        tuple[Network, ...], AfterValidator(not_empty), AfterValidator(once)
    ] = Field(
        default=tuple(ip_network(network) for network in PRIVATE_NETWORKS),
        description="Networks of nodes and pods in CIDR notation; a PROXY header is believed only "
        "from these.",
        examples=[["10.96.0.0/16"]],
        json_schema_extra={"minItems": 1, "uniqueItems": True},
    )
    region: Label | None = Field(
        default=None,
        description="The provider's name for the location of the cluster: the label `region` of "
        "its metrics and log lines. Without it, the name of the cluster.",
        examples=["ewr"],
    )
    storage_class: Name | None = Field(
        default=None,
        description="StorageClass of volumes. Without it, the provider's: `vultr-block-storage`, "
        "or the cluster's default.",
        examples=["vultr-block-storage-hdd"],
    )
    without: Annotated[
        tuple[Annotated[str, BeforeValidator(can_be_left_out)], ...],
        AfterValidator(once),
        AfterValidator(missed_by_none),
    ] = Field(
        default=(),
        description="Components to leave out of the cluster.",
        examples=[["metrics-server"]],
        json_schema_extra={"uniqueItems": True},
    )
    traefik: OwnTraefik | None = Field(
        default=None,
        validate_default=True,
        description="The Traefik that routes in place of the platform's, which `without` leaves "
        "out.",
        examples=[{"namespace": "kube-system"}],
    )
    issuer_name: Name | None = Field(
        default=None,
        validate_default=True,
        description="ClusterIssuer that certificates come from where `without` leaves out "
        "cert-manager.",
        examples=["letsencrypt"],
    )
    added: Annotated[
        tuple[Annotated[str, BeforeValidator(can_be_added)], ...],
        AfterValidator(once),
        AfterValidator(have_their_needs),
    ] = Field(
        default=(),
        alias="with",
        description="Components to add that clusters have on request only.",
        json_schema_extra={"uniqueItems": True},
    )
    issuer: Issuer = Field(
        default="staging",
        description="Where Let's Encrypt's certificates come from: `staging`, or `production`, "
        "whose certificates browsers trust and whose number is limited.",
        examples=["production"],
    )

    _offered: tuple[Offer, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _has_components(self, info: ValidationInfo) -> Self:
        self._offered = tuple(offers_of(info).components[self.role])
        return self

    @property
    def classes(self) -> tuple[Offer, ...]:
        """The components that the cluster has, in the catalogue's order."""
        return tuple(
            each
            for each in self._offered
            if (each.NAME in self.added if each.ON_REQUEST else each.NAME not in self.without)
        )

    @property
    def components(self) -> tuple[str, ...]:
        """The names of the components that the cluster has, in the catalogue's order."""
        return tuple(each.NAME for each in self.classes)

    @property
    def kubectl_context(self) -> str:
        """The kubectl context that leads to the cluster."""
        return self.context or self.name

    @property
    def region_label(self) -> str:
        """What the label `region` of metrics and log lines says."""
        return self.region or self.name

    @property
    def volume_class(self) -> str | None:
        """The StorageClass of volumes; None is the default of the cluster."""
        return self.storage_class or PROVIDERS[self.provider].storage_class

    @property
    def balancer(self) -> Provider:
        """How the load balancer in front of Traefik is requested, and how it behaves."""
        provider = PROVIDERS[self.provider]
        if self.load_balancer is None:
            return provider
        return replace(
            provider,
            proxy_protocol=self.load_balancer.proxy_protocol,
            annotations=self.load_balancer.annotations,
        )

    @property
    def is_trusted(self) -> bool:
        """Whether clients should trust the certificates, which is not so for those of staging."""
        return self.issuer_name is not None or self.issuer == "production"

    @property
    def load_balancer_label(self) -> str:
        """The name of the load balancer at the provider."""
        return f"{self.name}-traefik"

    @property
    @abstractmethod
    def hosts(self) -> tuple[str, ...]:
        """Every hostname that the cluster answers to."""

    def _host(self, label: str) -> str:
        return _host(label, self.address, self.domain)

    @field_validator("load_balancer")
    @classmethod
    def _is_of_no_known_provider(
        cls, load_balancer: LoadBalancer | None, info: ValidationInfo
    ) -> LoadBalancer | None:
        provider = info.data.get("provider", "generic")
        if load_balancer is not None and provider != "generic":
            raise ValueError(
                f"is for provider generic, and the load balancer of {provider} is known; remove "
                "it, or change the provider"
            )
        return load_balancer

    @field_validator("domain")
    @classmethod
    def _names_the_address(cls, domain: str | None, info: ValidationInfo) -> str | None:
        if domain is not None or "address" not in info.data:
            return domain
        address: IPv4Address | IPv6Address | None = info.data["address"]
        if address is None and PROVIDERS[info.data.get("provider", "generic")].named_only:
            raise ValueError(
                f"is missing, and a load balancer of {info.data['provider']} has no address that "
                "stays; add a domain of your own"
            )
        if address is None:
            raise ValueError(
                "is missing, and so is address; add the address of the load balancer, or a domain "
                "of your own"
            )
        if address.version == 6:
            raise ValueError(
                f"is missing, and {address} is an IPv6 address, which has no name under nip.io; "
                "add a domain of your own"
            )
        return domain

    @field_validator("traefik")
    @classmethod
    def _routes(cls, traefik: OwnTraefik | None, info: ValidationInfo) -> OwnTraefik | None:
        check_replacement("traefik", traefik, info)
        if traefik is not None and info.data.get("load_balancer") is not None:
            raise ValueError(
                "has a Service of its own, and loadBalancer is for the one that the platform "
                "makes; remove loadBalancer"
            )
        return traefik

    @field_validator("issuer_name")
    @classmethod
    def _issues(cls, name: str | None, info: ValidationInfo) -> str | None:
        check_replacement("issuerName", name, info)
        return name

    # Validated only where the key is given.
    @field_validator("issuer")
    @classmethod
    def _is_the_only_one(cls, issuer: Issuer, info: ValidationInfo) -> Issuer:
        if info.data.get("issuer_name") is not None:
            raise ValueError("has no effect beside issuerName; remove one of the two")
        return issuer

    @field_validator("issuer")
    @classmethod
    def _can_be_reached(cls, issuer: Issuer, info: ValidationInfo) -> Issuer:
        address: IPv4Address | IPv6Address | None = info.data.get("address")
        private = address is not None and any(
            address in ip_network(network)
            for network in (*PRIVATE_NETWORKS, SHARED_NETWORK, PRIVATE_NETWORK_V6)
        )
        if issuer == "production" and private and not info.data.get("behind_proxy"):
            raise ValueError(
                f"production cannot validate names that lead to {address}, which is no public "
                "address; give the public one, or set behindProxy if something in front has it"
            )
        return issuer


def _check_size(size: str, info: ValidationInfo) -> None:
    """Raises ValueError if the cluster's StorageClass cannot provide a volume of ``size``."""
    if {"storage_class", "provider"} <= info.data.keys():
        named: str | None = info.data["storage_class"]
        provider: ProviderName = info.data["provider"]
        volumes.check(size, named or PROVIDERS[provider].storage_class)


class Hub(Cluster):
    """The cluster that Argo CD, and all that watches the fleet, runs in."""

    role: Literal["hub"] = Field(description=_ROLE, examples=["hub"])
    metrics_retention: Days = Field(
        default="31d",
        description="How long Prometheus keeps samples, while they fit. With less than 30 days, "
        "error budgets are worked out from fewer.",
        examples=["90d"],
    )
    metrics_storage: Size = Field(
        default="50Gi", description="Size of Prometheus's volume.", examples=["200Gi"]
    )
    logs_retention: Days = Field(
        default="30d", description="How long Loki keeps lines.", examples=["90d"]
    )
    logs_storage: Size = Field(
        default="50Gi",
        description="Size of Loki's volume, which holds all lines or, with `logsBucket`, those of "
        "the last hours.",
        examples=["200Gi"],
    )
    logs_bucket: Bucket | None = Field(
        default=None,
        description="URL of an S3-compatible bucket in which Loki keeps lines, with the bucket as "
        "its path. Without it, they are on the volume.",
        examples=["https://sjc1.vultrobjects.com/foobar-platform-logs"],
    )
    logs_bucket_region: Label | None = Field(
        default=None,
        validate_default=True,
        description="Region that requests to the bucket are signed for. Without it the one that "
        "the bucket's host names.",
        examples=["sjc1"],
    )
    pages_by: Messenger = Field(
        default="webhook",
        description="How alerts of severity `critical` are sent; the address is in a Secret.",
        examples=["pagerduty"],
    )
    notices_by: Messenger = Field(
        default="webhook",
        description="How all other alerts are sent; the address is in a Secret.",
        examples=["slack"],
    )

    @property
    def logs_region(self) -> str:
        """The region of ``logs_bucket``."""
        return self.logs_bucket_region or buckets.region(self.logs_bucket or "") or ""

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
    def loki_host(self) -> str:
        return self._host("loki")

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(self._host(label) for label in HUB_LABELS)

    @field_validator("metrics_storage", "logs_storage")
    @classmethod
    def _can_be_provided(cls, size: str, info: ValidationInfo) -> str:
        _check_size(size, info)
        return size

    @field_validator("logs_bucket_region")
    @classmethod
    def _is_of_a_bucket(cls, region: str | None, info: ValidationInfo) -> str | None:
        if "logs_bucket" not in info.data:
            return region
        bucket: str | None = info.data["logs_bucket"]
        if bucket is None and region is not None:
            raise ValueError("is of no use without logsBucket; add that, or remove this")
        if bucket is not None and region is None and buckets.region(bucket) is None:
            raise ValueError(f"is missing, and {bucket} names no region; add it")
        return region

    @field_validator("domain")
    @classmethod
    def _leaves_room(cls, domain: str | None) -> str | None:
        for label in HUB_LABELS:
            _fits(label, domain)
        return domain


class Placement(Facts):
    """An app in a region: what differs between the regions that run it."""

    hostname: HostLabel = Field(
        description="First label of the app's hostname, unique among the apps and regions with "
        "the same domain.",
        examples=["newyork-cluster"],
    )
    image: Image = Field(
        description="Image of the app with its registry, and a tag other than `latest`, or a "
        "digest, or both.",
        examples=["sjc.vultrcr.com/globalregistry/foobar-api:1.0.0"],
    )
    pull_secret: SecretName = Field(
        default="registry-pull",
        description="Name of the Secret with which a kubelet pulls the image, created outside Git.",
        examples=["mirror-pull"],
    )

    @property
    def registry(self) -> str:
        """Host of the image's registry, with its port if it has one."""
        return self.image.partition("/")[0]

    @property
    def image_repository(self) -> str:
        """The image without its tag and its digest."""
        return re.sub(r"(:[^:/@]+)?(@.+)?$", "", self.image)


def _can_be_run(name: str, info: ValidationInfo) -> str:
    """An app is run where a file describes it."""
    apps = offers_of(info).apps
    if name not in apps:
        known = f"; apps/ describes {', '.join(sorted(apps))}" if apps else ""
        raise ValueError(
            f"no file apps/{shown(name)}.yaml describes this app{did_you_mean(name, apps)}{known}"
        )
    return name


class Region(Cluster):
    """A cluster that runs apps."""

    role: Literal["region"] = Field(description=_ROLE, examples=["region"])
    apps: Annotated[
        dict[Annotated[str, AfterValidator(_can_be_run)], Placement], AfterValidator(FrozenDict)
    ] = Field(
        default_factory=FrozenDict,
        description="The apps that the region runs, each described by `apps/<name>.yaml`.",
        examples=[
            {
                "foobar-api": {
                    "hostname": "newyork-cluster",
                    "image": "sjc.vultrcr.com/globalregistry/foobar-api:1.0.0",
                }
            }
        ],
    )

    _apps: Mapping[str, Sequence[Offer]] = PrivateAttr({})

    @model_validator(mode="after")
    def _has_apps(self, info: ValidationInfo) -> Self:
        self._apps = offers_of(info).apps
        return self

    @property
    def classes(self) -> tuple[Offer, ...]:
        return (*super().classes, *(each for name in self.apps for each in self._apps[name]))

    def host(self, app: str) -> str:
        """The full name that ``app`` answers to."""
        return self._host(self.apps[app].hostname)

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(map(self.host, self.apps))

    @field_validator("apps")
    @classmethod
    def _can_be_stored(
        cls, apps: dict[str, Placement], info: ValidationInfo
    ) -> dict[str, Placement]:
        for name in apps:
            for each in offers_of(info).apps[name]:
                for size in each.VOLUMES:
                    try:
                        _check_size(size, info)
                    except ValueError as error:
                        raise ValueError(f"{name}: a volume of {error} in its file") from None
        return apps

    @field_validator("apps")
    @classmethod
    def _do_not_read_the_pull_secret(
        cls, apps: dict[str, Placement], info: ValidationInfo
    ) -> dict[str, Placement]:
        for name, placement in apps.items():
            if any(placement.pull_secret in each.SECRETS for each in offers_of(info).apps[name]):
                raise ValueError(
                    f"{name}: its file names a Secret {placement.pull_secret}, which is that of "
                    "the registry; rename it there, or set another pullSecret"
                )
        return apps

    @field_validator("apps")
    @classmethod
    def _leave_room(cls, apps: dict[str, Placement], info: ValidationInfo) -> dict[str, Placement]:
        for name, placement in apps.items():
            try:
                _fits(placement.hostname, info.data.get("domain"))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return apps

    @field_validator("apps")
    @classmethod
    def _have_what_they_need(
        cls, apps: dict[str, Placement], info: ValidationInfo
    ) -> dict[str, Placement]:
        for name in apps:
            lacking = [
                needed for each in offers_of(info).apps[name] for needed in lacking_for(each, info)
            ]
            if lacking:
                names = listed(needed.NAME for needed in lacking)
                keys = listed(f"`{needed.REPLACED_BY}`" for needed in lacking)
                raise ValueError(
                    f"{name} needs {names}, which `without` leaves out; name the cluster's own as "
                    f"{keys}, or shorten `without`"
                )
        return apps


def _tag(value: object) -> Role:
    """Which model a cluster is checked by; one of no clear role by the one with the more keys."""
    role = value.get("role") if isinstance(value, Mapping) else getattr(value, "role", None)
    return "hub" if role == "hub" else "region"


class Fleet(Facts):
    """All of clusters.yaml."""

    git: Git
    acme: Acme
    clusters: tuple[
        Annotated[
            Annotated[Hub, Tag("hub")] | Annotated[Region, Tag("region")], Discriminator(_tag)
        ],
        ...,
    ] = Field(
        description="The hub, and any number of regions.",
        json_schema_extra={
            "contains": {"properties": {"role": {"const": "hub"}}, "required": ["role"]}
        },
    )

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
        raise InputError(f"{shown(name)}: no such cluster; the fleet has {', '.join(self.names)}")


MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "fleet": Fleet,
    "git": Git,
    "acme": Acme,
    "loadBalancer": LoadBalancer,
    "traefik": OwnTraefik,
    "hub": Hub,
    "region": Region,
    "app": Placement,
}


def keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys that a mapping of the registry may have."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


_KEYS: Final = {name: keys(model) for name, model in MODELS.items()}


def _claims(cluster: Mapping[str, Any]) -> Iterator[tuple[Location, tuple[object, ...]]]:
    name, address, domain = (cluster.get(key) for key in ("name", "address", "domain"))
    if isinstance(name, str):
        yield ("name",), (name,)
    if isinstance(context := cluster.get("context", name), str):
        yield ("context",), (context,)
    if isinstance(address, str):
        try:
            yield ("address",), (ip_address(address),)
        except ValueError:
            yield ("address",), (address,)
    if domain is not None and not isinstance(domain, str):
        return
    for place, label in _host_labels(cluster):
        whole = _host(label, address, domain).lower().removesuffix(".")
        # The address tells two names under nip.io apart, until both move to one domain.
        yield place, (whole,) if domain else (whole, label)


def _host_labels(cluster: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    if cluster.get("role") == "hub":
        yield from ((("hostname",), label) for label in HUB_LABELS)
    elif isinstance(apps := cluster.get("apps"), dict):
        for name, placement in apps.items():
            if isinstance(placement, dict) and isinstance(label := placement.get("hostname"), str):
                yield ("apps", name, "hostname"), label


def _of_applications(fleet: Fleet) -> Iterator[Problem]:
    """Argo CD calls what it deploys <cluster>-<component>: ``a-b``'s c would be ``a``'s b-c."""
    owners: dict[str, tuple[str, str]] = {}
    named = [
        (at, cluster.name, name)
        for at, cluster in enumerate(fleet.clusters)
        for name in cluster.components
    ]
    apps = {(cluster.name, name) for cluster in fleet.regions for name in cluster.apps}
    # Apps come last: they are what can be renamed.
    for at, cluster, name in sorted(named, key=lambda each: each[1:] in apps):
        owner = owners.setdefault(f"{cluster}-{name}", (cluster, name))
        if owner != (cluster, name):
            yield Problem(
                ("clusters", at, "apps", name),
                f"{name} of {cluster} and {owner[1]} of {owner[0]} would both be the Application "
                f"{cluster}-{name}; rename the app or the cluster",
            )


def _of_projects(fleet: Fleet) -> Iterator[Problem]:
    """Each cluster and each app has an AppProject and an ApplicationSet of its name."""
    for at, cluster in enumerate(fleet.clusters):
        for name in cluster.apps if isinstance(cluster, Region) else ():
            if name in fleet.names:
                yield Problem(
                    ("clusters", at, "apps", name),
                    f"{name} is the name of a cluster as well, and Argo CD would have two projects "
                    "of that name; rename the app or the cluster",
                )


def _beside(path: Path) -> frozenset[str]:
    """The names of the clusters of all other fleets in the folder of ``path``."""
    names = set[str]()
    for file in path.parent.glob("*.yaml"):
        if file.name == path.name:
            continue
        try:
            data = read(file).data
        except InputError:
            continue
        # Its own load reports what is wrong with it; here, it may be anything.
        clusters = data.get("clusters") if isinstance(data, dict) else None
        for cluster in clusters if isinstance(clusters, list) else ():
            if isinstance(cluster, dict) and isinstance(name := cluster.get("name"), str):
                names.add(name)
    return frozenset(names)


def load(path: Path, offers: Offers, overlays: Path | None = None) -> Fleet:
    """Reads the fleet from ``path``; raises InputError with every problem that it has.

    ``offers`` is what its clusters can have. Folders of ``overlays`` that no component of the fleet
    would pick up are problems as well, unless a fleet beside it has their cluster.
    """
    source = read(path)
    wrong = [*source.problems, *problems.of_the_whole(source.data, _claims)]
    try:
        fleet = Fleet.model_validate(source.data, context=offers)
    except ValidationError as error:
        wrong += problems.of_values(source, error, _KEYS)
        raise InputError(*source.report(wrong)) from None
    if wrong:
        raise InputError(*source.report(wrong))
    if clashes := [*_of_applications(fleet), *_of_projects(fleet)]:
        raise InputError(*source.report(clashes))
    if overlays is not None:
        names = {cluster.name: cluster.components for cluster in fleet.clusters}
        if astray := list(problems.of_overlays(overlays, names, others=_beside(path))):
            raise InputError(*astray)
    return fleet
