"""What differs between the places that clusters run in: load balancers and volumes.

A provider is a row of PROVIDERS. A place that has none is ``generic``, with the load balancer that
clusters.yaml describes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

ProviderName: TypeAlias = Literal["vultr", "hetzner", "digitalocean", "aws", "generic"]


# There is one of each, so it is itself by identity.
@dataclass(frozen=True, kw_only=True, eq=False)
class Provider:
    """How a provider's load balancer is requested, how it behaves, and what volumes are on."""

    proxy_protocol: bool
    """Whether the load balancer puts a PROXY header in front of each connection."""
    detection_seconds: int
    """Seconds until the load balancer stops sending to a node that has gone away."""
    name_annotation: str | None = None
    """The Service annotation that names the load balancer at the provider."""
    location_annotation: str | None = None
    """The Service annotation that takes the registry's ``region``."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """All other Service annotations."""
    storage_class: str | None = None
    """The StorageClass of volumes; None is the default of the cluster."""
    named_only: bool = False
    """Whether the load balancer has a DNS name, behind which addresses change."""

    def service_annotations(self, *, name: str, location: str | None) -> dict[str, str]:
        """The Service annotations for a load balancer of this name, in this location."""
        return {
            **({self.name_annotation: name} if self.name_annotation else {}),
            **(
                {self.location_annotation: location}
                if self.location_annotation and location
                else {}
            ),
            **self.annotations,
        }


CHECK_INTERVAL: Final = 10
CHECK_TIMEOUT: Final = 5
UNHEALTHY_AFTER: Final = 3
_DETECTION_SECONDS: Final = CHECK_INTERVAL * UNHEALTHY_AFTER + CHECK_TIMEOUT

_VULTR: Final = "service.beta.kubernetes.io/vultr-loadbalancer-"
_HETZNER: Final = "load-balancer.hetzner.cloud/"
_DIGITALOCEAN: Final = "service.beta.kubernetes.io/do-loadbalancer-"
_AWS: Final = "service.beta.kubernetes.io/aws-load-balancer-"

# All four forward TCP unless an annotation says otherwise, so that TLS passes through.
PROVIDERS: Final[Mapping[ProviderName, Provider]] = {
    # docs/load-balancers.md and vultr/loadbalancers.go of vultr-cloud-controller-manager v0.18.0.
    # The controller adopts a load balancer that already has the label, so a new cluster gets the
    # address of the one it replaces. Deleting the Service deletes the load balancer, unless another
    # Service of the cluster has the same label: charts/traefik.py therefore keeps the Service.
    # healthcheck-port is not set: the controller reads it as a Service port and checks the wrong
    # one. With vpc, the load balancer reaches nodes by their addresses in the VPC, which the
    # default nodeNetworks contain; in a cluster without a VPC, it changes nothing.
    "vultr": Provider(
        proxy_protocol=True,
        detection_seconds=_DETECTION_SECONDS,
        name_annotation=f"{_VULTR}label",
        annotations={
            f"{_VULTR}proxy-protocol": "true",
            f"{_VULTR}vpc": "true",
            f"{_VULTR}healthcheck-protocol": "tcp",
            f"{_VULTR}healthcheck-check-interval": str(CHECK_INTERVAL),
            f"{_VULTR}healthcheck-response-timeout": str(CHECK_TIMEOUT),
            f"{_VULTR}healthcheck-unhealthy-threshold": str(UNHEALTHY_AFTER),
            f"{_VULTR}healthcheck-healthy-threshold": "2",
        },
        # The manifest of vultr-csi v0.18.0 marks no class as the default.
        storage_class="vultr-block-storage",
    ),
    # docs/reference/load_balancer_annotations.md of
    # hcloud-cloud-controller-manager. It adopts a load balancer that already has the name, and
    # needs a location to create one. Nodes need a private network (use-private-ip), which the
    # controller would otherwise put among the addresses of the Service (disable-private-ingress).
    "hetzner": Provider(
        proxy_protocol=True,
        detection_seconds=_DETECTION_SECONDS,
        name_annotation=f"{_HETZNER}name",
        location_annotation=f"{_HETZNER}location",
        annotations={
            f"{_HETZNER}use-private-ip": "true",
            f"{_HETZNER}disable-private-ingress": "true",
            f"{_HETZNER}uses-proxyprotocol": "true",
            f"{_HETZNER}health-check-protocol": "tcp",
            f"{_HETZNER}health-check-interval": f"{CHECK_INTERVAL}s",
            f"{_HETZNER}health-check-timeout": f"{CHECK_TIMEOUT}s",
            f"{_HETZNER}health-check-retries": str(UNHEALTHY_AFTER),
        },
        # deploy/kubernetes/hcloud-csi.yml of hetznercloud/csi-driver.
        storage_class="hcloud-volumes",
    ),
    # docs/controllers/services/annotations.md of digitalocean-cloud-controller-manager. Load
    # balancers and nodes of a cluster share a VPC.
    "digitalocean": Provider(
        proxy_protocol=True,
        detection_seconds=_DETECTION_SECONDS,
        name_annotation=f"{_DIGITALOCEAN}name",
        annotations={
            f"{_DIGITALOCEAN}enable-proxy-protocol": "true",
            f"{_DIGITALOCEAN}healthcheck-protocol": "tcp",
            f"{_DIGITALOCEAN}healthcheck-check-interval-seconds": str(CHECK_INTERVAL),
            f"{_DIGITALOCEAN}healthcheck-response-timeout-seconds": str(CHECK_TIMEOUT),
            f"{_DIGITALOCEAN}healthcheck-unhealthy-threshold": str(UNHEALTHY_AFTER),
            f"{_DIGITALOCEAN}healthcheck-healthy-threshold": "2",
        },
        storage_class="do-block-storage",
    ),
    # docs/guide/service/annotations.md of kubernetes-sigs/aws-load-balancer-controller, which the
    # cluster needs. A network load balancer cannot be adopted by its name, so it gets none. Its
    # health check times out after 10 s, which the controller cannot change. Client IP preservation
    # is the default for instances, and then a node cannot reach itself through the load balancer,
    # as cert-manager does before it asks for a certificate (loopback timeout in the
    # troubleshooting page of Elastic Load Balancing); the client's address is in the PROXY header.
    "aws": Provider(
        proxy_protocol=True,
        detection_seconds=CHECK_INTERVAL * UNHEALTHY_AFTER + 10,
        annotations={
            f"{_AWS}type": "external",
            f"{_AWS}nlb-target-type": "instance",
            f"{_AWS}scheme": "internet-facing",
            f"{_AWS}proxy-protocol": "*",
            f"{_AWS}target-group-attributes": "preserve_client_ip.enabled=false",
            f"{_AWS}healthcheck-protocol": "tcp",
            f"{_AWS}healthcheck-interval": str(CHECK_INTERVAL),
            f"{_AWS}healthcheck-unhealthy-threshold": str(UNHEALTHY_AFTER),
            f"{_AWS}healthcheck-healthy-threshold": "2",
        },
        named_only=True,
    ),
    # A LoadBalancer Service and nothing assumed about who implements it.
    "generic": Provider(proxy_protocol=False, detection_seconds=30),
}
