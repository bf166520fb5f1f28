"""Which clusters a document shows: real ones where there are few, complete ones in any case."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import cdk8s

from charts.catalogue import CATALOGUE, compose
from charts.component import JsonPatch
from fleet.registry import Fleet, Hub, Region

Manifest: TypeAlias = Mapping[str, Any]
Components: TypeAlias = Mapping[str, Sequence[Manifest]]
"""The objects of one cluster by component, the patches of its bundles included."""

SHOWN: Final = 4
"""Regions that a drawing has room for."""

EXAMPLE: Final = Region.model_validate(
    {
        "name": "ap-south",
        "role": "region",
        "address": "203.0.113.7",
        "hostname": "mumbai-cluster",
        "image": "registry.example.com/foobar-api:1.0.0",
    },
    context=CATALOGUE,
)
"""A region that no fleet has: its address is reserved for documentation."""


def complete(fleet: Fleet) -> Fleet:
    """The fleet as if no cluster left a component out, and with a region if it has none."""
    clusters = [each.model_copy(update={"without": ()}) for each in fleet.clusters]
    return fleet.model_copy(
        update={"clusters": (*clusters, *(() if fleet.regions else (EXAMPLE,)))}
    )


def synthesize(fleet: Fleet, cluster: Hub | Region) -> Components:
    found: dict[str, Sequence[Manifest]] = {}
    for component in compose(fleet, cluster):
        chart = cdk8s.Chart(cdk8s.Testing.app(), component.NAME)
        component.add_to(chart)
        patches = (each for each in component.patches if not isinstance(each, JsonPatch))
        found[component.NAME] = [*cdk8s.Testing.synth(chart), *patches]
    return found
