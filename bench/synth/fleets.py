"""Fleets of any size: the real Git, account and hub, with as many regions as are asked for."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import yaml

from fleet.registry import Fleet, Hub, Region

_FIRST_ADDRESS: Final = int(ip_address("198.18.0.0"))
"""RFC 2544 sets 198.18.0.0/15 aside for benchmarks."""


def fleet_of(regions: int, real: Fleet) -> Fleet:
    """A fleet whose regions differ in all that tells a region from the next."""
    image = real.regions[0].image.rpartition(":")[0]
    return Fleet.model_validate(
        {
            **real.model_dump(mode="json", by_alias=True, include={"git", "acme"}),
            "clusters": [
                _given(real.hub),
                *(
                    {
                        "name": f"region-{number:03}",
                        "role": "region",
                        "address": str(ip_address(_FIRST_ADDRESS + number)),
                        "hostname": f"city-{number:03}",
                        "issuer": ("staging", "production")[number % 2],
                        "image": f"{image}:1.0.{number}",
                    }
                    for number in range(1, regions + 1)
                ),
            ],
        }
    )


def write(fleet: Fleet, path: Path) -> None:
    """Writes ``fleet`` as the registry that ``fleet.registry.load`` reads."""
    registry = {
        **fleet.model_dump(mode="json", by_alias=True, include={"git", "acme"}),
        "clusters": [_given(cluster) for cluster in fleet.clusters],
    }
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(registry, file, Dumper=yaml.CSafeDumper, sort_keys=False)


def _given(cluster: Hub | Region) -> dict[str, Any]:
    """The keys that were given, for defaults are the registry's to say."""
    return cluster.model_dump(mode="json", by_alias=True, exclude_unset=True)
