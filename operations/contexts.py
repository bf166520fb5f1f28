"""Which kubectl context leads to which cluster: the registry's, or the one that an option names."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from charts.catalogue import load
from fleet.diagnostics import did_you_mean, shown
from fleet.errors import InputError
from fleet.registry import Fleet
from operations import kubectl
from operations.cluster import Cluster, NoContextError
from operations.kubectl import Kubectl


def add_dist(parser: argparse.ArgumentParser) -> None:
    """The option ``--dist``; without it, a command reads the folder of its own fleet."""
    parser.add_argument(
        "--dist",
        type=Path,
        metavar="FOLDER",
        help="what `python main.py` rendered (the registry's git.folder)",
    )


@dataclass(frozen=True)
class FleetOptions:
    """The options ``--fleet`` and ``--context``, which every command on live clusters has."""

    registry: Path
    contexts: tuple[str, ...]
    """Pairs CLUSTER=CONTEXT."""

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--fleet", type=Path, default=Path("clusters.yaml"), metavar="FILE")
        parser.add_argument(
            "--context",
            action="append",
            default=[],
            metavar="CLUSTER=CONTEXT",
            help="kubectl context of a cluster, in place of the registry's (repeatable)",
        )

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        return cls(args.fleet, tuple(args.context))

    def connect(self) -> tuple[Fleet, Mapping[str, Cluster]]:
        """The fleet, and the way to each of its clusters by name.

        A cluster that no context leads to raises NoContextError when it is asked. Raises InputError
        for a registry or an option that is not valid.
        """
        fleet = load(self.registry)
        chosen = pairs("--context", self.contexts, fleet)
        wanted = {
            cluster.name: chosen.get(cluster.name, cluster.kubectl_context)
            for cluster in fleet.clusters
        }
        servers = kubectl.contexts()
        taken = {servers.get(context) for context in wanted.values()}
        # The context of another cluster would be the wrong one, under whichever name it is known.
        free = [context for context, server in servers.items() if server not in taken]
        return fleet, {
            name: Kubectl(name, context)
            if context in servers
            else Kubectl(name, context, self._missing(name, context, free))
            for name, context in wanted.items()
        }

    def _missing(self, cluster: str, context: str, free: Sequence[str]) -> NoContextError:
        return NoContextError(
            cluster,
            f"kubectl has no context {shown(context)}{did_you_mean(context, free)}; name one "
            f"with --context {cluster}=CONTEXT, or as `context` in {self.registry}",
        )


def pairs(option: str, values: Sequence[str], fleet: Fleet) -> dict[str, str]:
    """The CLUSTER=VALUE pairs of a repeatable option, by cluster.

    Raises InputError for what is no such pair, and for a cluster that the fleet does not have.
    """
    chosen = {}
    for pair in values:
        name, sign, value = pair.partition("=")
        if not (sign and value):
            raise InputError(f"{option} {shown(pair)}: write CLUSTER=VALUE")
        chosen[fleet.cluster(name).name] = value
    return chosen
