"""What differs between the places that clusters run in: load balancers and volumes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fleet.registry import ProviderName


# There is one of each, so it is itself by identity.
@dataclass(frozen=True, eq=False)
class Provider:
    """How a provider's load balancer is asked for, how it behaves, and where volumes come from."""

    proxy_protocol: bool
    """Whether the load balancer puts a PROXY header in front of each connection."""
    detection_seconds: int
    """Seconds until the load balancer stops sending to a node that has gone away."""
    storage_class: str | None = None
    """The class of volumes; without one, the cluster's default."""
    annotation_prefix: str = ""
    annotations: Mapping[str, str] | None = None

    def service_annotations(self, label: str) -> dict[str, str]:
        """The Service annotations for a load balancer of this name."""
        if self.annotations is None:
            return {}
        return {
            f"{self.annotation_prefix}{key}": value
            for key, value in {"label": label, **self.annotations}.items()
        }


CHECK_INTERVAL: Final = 10
CHECK_TIMEOUT: Final = 5
UNHEALTHY_AFTER: Final = 3

PROVIDERS: Final[Mapping[ProviderName, Provider]] = {
    # docs/load-balancers.md and vultr/loadbalancers.go of vultr-cloud-controller-manager v0.18.0.
    # Protocol and backend stay tcp, the default, so that TLS passes through. The controller adopts
    # a load balancer that already has the label, so a new cluster gets the address of the one it
    # replaces. Deleting the Service deletes the load balancer, unless another Service of the
    # cluster has the same label: charts/traefik.py therefore keeps the Service. healthcheck-port
    # is not set: the controller reads it as a Service port and checks the wrong one.
    "vultr": Provider(
        proxy_protocol=True,
        detection_seconds=CHECK_INTERVAL * UNHEALTHY_AFTER + CHECK_TIMEOUT,
        # docs/kubernetes/README.md of vultr-csi v0.18.0; none is marked as the default.
        storage_class="vultr-block-storage",
        annotation_prefix="service.beta.kubernetes.io/vultr-loadbalancer-",
        annotations={
            "proxy-protocol": "true",
            "healthcheck-protocol": "tcp",
            "healthcheck-check-interval": str(CHECK_INTERVAL),
            "healthcheck-response-timeout": str(CHECK_TIMEOUT),
            "healthcheck-unhealthy-threshold": str(UNHEALTHY_AFTER),
            "healthcheck-healthy-threshold": "2",
        },
    ),
    # A LoadBalancer Service and nothing assumed about who implements it.
    "generic": Provider(proxy_protocol=False, detection_seconds=30),
}
