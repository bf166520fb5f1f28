"""Fleets of any size: the real Git, account and hub, with as many regions as are asked for."""

import shutil
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel

from charts.catalogue import offers
from charts.monitoring.names import BLACKBOX_EXPORTER
from fleet.apps import APPS
from fleet.registry import Fleet, Hub, Region

_APP: Final = "foobar-api"
_FIRST_ADDRESS: Final = int(ip_address("198.18.0.0"))
"""RFC 2544 sets 198.18.0.0/15 aside for benchmarks."""


def fleet_of(regions: int, real: Fleet, apps: Path) -> Fleet:
    """A fleet whose regions differ from one another in every fact of ``facts``.

    Each region runs all that the files of ``apps`` describe. It probes no other cluster: a peer
    makes all regions from the objects of one, and whom a region probes is no fact of its own.
    """
    described = sorted(path.stem for path in apps.glob("*.yaml"))
    registry = real.regions[0].apps[_APP].image.partition("@")[0].rpartition("/")[0]
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
                        "without": [BLACKBOX_EXPORTER],
                        "apps": {
                            app: {
                                "hostname": f"city-{number:03}-{place}",
                                "image": f"{registry}/{app}:1.0.{number}",
                            }
                            for place, app in enumerate(described, start=1)
                        },
                    }
                    for number in range(1, regions + 1)
                ),
            ],
        },
        context=offers(apps),
    )


def describe(apps: int, folder: Path, like: Path) -> Path:
    """Writes that many descriptions of apps into ``folder``, each as rich as that in ``like``."""
    text = like.read_text("utf-8")
    folder.mkdir(parents=True)
    for number in range(1, apps + 1):
        name = f"app-{number}"
        (folder / f"{name}.yaml").write_text(text.replace(like.stem, name), "utf-8")
    return folder


def facts(cluster: Hub | Region) -> Mapping[str, str]:
    """What tells a cluster from the next, by a name for each fact; a hub has no next."""
    if isinstance(cluster, Hub):
        return {}
    return {
        **cluster.model_dump(mode="json", include={"name", "address", "issuer"}),
        **{
            f"{key}{number}": value
            for number, app in enumerate(cluster.apps.values(), start=1)
            for key, value in app.model_dump(mode="json", include={"hostname", "image"}).items()
        },
    }


def write(fleet: Fleet, path: Path, apps: Path) -> None:
    """Writes ``fleet`` as a registry that main.py reads, and beside it the apps that it runs."""
    shutil.copytree(apps, path.parent / APPS)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(_given(fleet), file, Dumper=yaml.CSafeDumper, sort_keys=False)


def _given(model: BaseModel) -> dict[str, Any]:
    """The keys that were given, for defaults are the registry's to say."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)
