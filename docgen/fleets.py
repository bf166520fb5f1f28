"""Which clusters a document shows: real ones where there are few, complete ones in any case."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import cdk8s

from charts.app import component
from charts.catalogue import CATALOGUE, compose
from charts.component import JsonPatch
from charts.tenant import tenant
from fleet.offers import Offers
from fleet.registry import Fleet, Hub, Region
from fleet.score import Description

Manifest: TypeAlias = Mapping[str, Any]
Components: TypeAlias = Mapping[str, Sequence[Manifest]]
"""The objects of one cluster by component, the patches of its bundles included."""

SHOWN: Final = 4
"""Regions that a drawing has room for."""

APP: Final = "foobar-api"
_DESCRIPTION: Final = Description.model_validate(
    {
        "apiVersion": "score.dev/v1b1",
        "metadata": {"name": APP},
        "containers": {APP: {"image": "."}},
        "service": {"ports": {"http": {"port": 8080}}},
    }
)
"""The least that an app's file can say."""

EXAMPLE: Final = Region.model_validate(
    {
        "name": "ap-south",
        "role": "region",
        "address": "203.0.113.7",
        "apps": {
            APP: {
                "hostname": "mumbai-cluster",
                "image": f"registry.example.com/{APP}:1.0.0",
            }
        },
    },
    context=Offers(CATALOGUE, {APP: (tenant(_DESCRIPTION), component(_DESCRIPTION))}),
)
"""A region that no fleet has: its address is reserved for documentation."""


def complete(fleet: Fleet) -> Fleet:
    """The fleet as if no cluster left a component out, and with a region that runs an app.

    That region is the first.
    """
    everything = {"without": (), "traefik": None, "issuer_name": None}
    clusters = [each.model_copy(update=everything) for each in fleet.clusters]
    # Stable: regions that run nothing come last.
    clusters.sort(key=lambda each: isinstance(each, Region) and not each.apps)
    running = any(region.apps for region in fleet.regions)
    return fleet.model_copy(update={"clusters": (*clusters, *(() if running else (EXAMPLE,)))})


def synthesize(fleet: Fleet, cluster: Hub | Region) -> Components:
    found: dict[str, Sequence[Manifest]] = {}
    for part in compose(fleet, cluster):
        chart = cdk8s.Chart(cdk8s.Testing.app(), part.NAME)
        part.add_to(chart)
        patches = (each for each in part.patches if not isinstance(each, JsonPatch))
        found[part.NAME] = [*cdk8s.Testing.synth(chart), *patches]
    return found
