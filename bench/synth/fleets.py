"""Fleets of any size: the real Git, account and hub, with as many regions as are asked for."""

import shutil
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

from charts.catalogue import offers
from fleet.apps import APPS
from fleet.registry import Fleet, Hub, Region

_ROOT: Final = Path(__file__).parents[2]
_FIRST_ADDRESS: Final = int(ip_address("198.18.0.0"))
"""RFC 2544 sets 198.18.0.0/15 aside for benchmarks."""


def fleet_of(regions: int, real: Fleet) -> Fleet:
    """A fleet whose regions differ from one another in every fact of ``facts``."""
    image = real.regions[0].apps["foobar-api"].image.partition("@")[0].rpartition(":")[0]
    return Fleet.model_validate(
        {
            "git": _given(real.git),
            "acme": _given(real.acme),
            "clusters": [
                _given(real.hub),
                *(
                    {
                        "name": f"region-{number:03}",
                        "role": "region",
                        "address": str(ip_address(_FIRST_ADDRESS + number)),
                        "issuer": ("staging", "production")[number % 2],
                        "apps": {
                            "foobar-api": {
                                "hostname": f"city-{number:03}",
                                "image": f"{image}:1.0.{number}",
                            }
                        },
                    }
                    for number in range(1, regions + 1)
                ),
            ],
        },
        context=offers(),
    )


def facts(cluster: Hub | Region) -> Mapping[str, str]:
    """What tells a cluster from the next, by key of the registry; a hub has no next."""
    if isinstance(cluster, Hub):
        return {}
    (app,) = cluster.apps.values()
    return {
        **cluster.model_dump(mode="json", include={"name", "address", "issuer"}),
        **app.model_dump(mode="json", include={"hostname", "image"}),
    }


def write(fleet: Fleet, path: Path) -> None:
    """Writes ``fleet`` as a registry that main.py reads, and beside it the apps that it runs."""
    shutil.copytree(_ROOT / APPS, path.parent / APPS, dirs_exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(_given(fleet), file, Dumper=yaml.CSafeDumper, sort_keys=False)


def _given(model: BaseModel) -> dict[str, Any]:
    """The keys that were given, for defaults are the registry's to say."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)
