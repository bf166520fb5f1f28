"""Which kubectl context leads to which cluster: the registry's, or what an option says."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from fleet.errors import InputError
from fleet.problems import did_you_mean
from fleet.registry import Fleet, load
from fleet.source import shown
from operations.kubectl import TIMEOUT_SECONDS, Kubectl, call


def add_fleet(parser: argparse.ArgumentParser) -> None:
    """The options ``--fleet`` and ``--context``."""
    parser.add_argument("--fleet", type=Path, default=Path("clusters.yaml"), metavar="FILE")
    parser.add_argument(
        "--context",
        action="append",
        default=[],
        metavar="CLUSTER=CONTEXT",
        help="kubectl context of a cluster, in place of the registry's (repeatable)",
    )


def fleet_of(args: argparse.Namespace) -> tuple[Fleet, Mapping[str, Kubectl]]:
    """The fleet, and each cluster of it by name; raises InputError where no context leads."""
    fleet = load(args.fleet)
    told = pairs("--context", args.context, fleet)
    known = call("kubectl", ["config", "get-contexts", "--output=name"], timeout=TIMEOUT_SECONDS)
    contexts = known.split("\n")
    clusters = {
        each.name: Kubectl(each.name, told.get(each.name, each.kubectl_context))
        for each in fleet.clusters
    }
    if missing := [each for each in clusters.values() if each.context not in contexts]:
        raise InputError(
            *(
                f"{each.name}: kubectl has no context {shown(each.context)}"
                f"{did_you_mean(each.context, contexts)}; name one with "
                f"--context {each.name}=CONTEXT, or as `context` in {args.fleet}"
                for each in missing
            )
        )
    return fleet, clusters


def pairs(option: str, given: list[str], fleet: Fleet) -> dict[str, str]:
    """CLUSTER=VALUE of a repeatable option; raises InputError for what is no such pair."""
    found = {}
    for each in given:
        name, sign, value = each.partition("=")
        if not (sign and value):
            raise InputError(f"{option} {shown(each)}: write CLUSTER=VALUE")
        found[fleet.cluster(name).name] = value
    return found
