"""Which kubectl context leads to which cluster: the registry's, or what an option says."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from charts.catalogue import load
from fleet.errors import InputError
from fleet.problems import did_you_mean
from fleet.registry import Fleet
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
    """The fleet, and each cluster of it by name; one that no context leads to has a fault."""
    fleet = load(args.fleet)
    given = pairs("--context", args.context, fleet)
    wanted = {each.name: given.get(each.name, each.kubectl_context) for each in fleet.clusters}
    servers = _servers()
    taken = {servers.get(context) for context in wanted.values()}
    # The context of another cluster would be the wrong one, under whichever name it is known.
    free = [context for context, server in servers.items() if server not in taken]
    return fleet, {
        name: Kubectl(
            name,
            context,
            fault=None
            if context in servers
            else f"kubectl has no context {shown(context)}{did_you_mean(context, free)}; name one "
            f"with --context {name}=CONTEXT, or as `context` in {args.fleet}",
        )
        for name, context in wanted.items()
    }


def _servers() -> dict[str, str]:
    """The URL of the API server that each kubectl context leads to."""
    text = call("kubectl", ["config", "view", "--output=json"], timeout=TIMEOUT_SECONDS)
    config = json.loads(text)
    # kubectl writes null for an empty list.
    urls = {each["name"]: each["cluster"].get("server", "") for each in config["clusters"] or ()}
    return {
        each["name"]: urls.get(each["context"].get("cluster"), "")
        for each in config["contexts"] or ()
    }


def pairs(option: str, given: list[str], fleet: Fleet) -> dict[str, str]:
    """CLUSTER=VALUE of a repeatable option; raises InputError for what is no such pair."""
    found = {}
    for each in given:
        name, sign, value = each.partition("=")
        if not (sign and value):
            raise InputError(f"{option} {shown(each)}: write CLUSTER=VALUE")
        found[fleet.cluster(name).name] = value
    return found
