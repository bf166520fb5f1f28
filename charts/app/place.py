"""Where an app runs: what its region says of it, and what placeholders can ask of that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from fleet.registry import Region


@dataclass(frozen=True, kw_only=True)
class Place:
    """An app's place in one region."""

    cluster: str
    """Name of the cluster."""
    region: str
    """The provider's name for the cluster's location."""
    host: str
    """The app is at ``https://host/``."""
    image: str
    pull_secret: str
    """Name of a registry Secret that is made outside Git."""
    proxy_networks: tuple[str, ...]
    """CIDRs that Traefik's pods connect from."""

    @classmethod
    def of(cls, region: Region, app: str) -> Self:
        placement = region.apps[app]
        return cls(
            cluster=region.name,
            region=region.region_label,
            host=region.host(app),
            image=placement.image,
            pull_secret=placement.pull_secret,
            proxy_networks=tuple(map(str, region.node_networks)),
        )

    @property
    def facts(self) -> Mapping[str, str]:
        """The facts of the cluster, by the names that ``fleet.score.CLUSTER_FACTS`` lists."""
        return {
            "name": self.cluster,
            "region": self.region,
            "host": self.host,
            "proxy-networks": ",".join(self.proxy_networks),
        }
