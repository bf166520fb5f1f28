"""``python -m fleet addresses``: where the load balancers are, and what that changes.

Under nip.io a hostname contains an address that nobody knows before there is a load balancer. With
``--create`` Traefik's Service is created first, alone, so that the provider creates one.
"""

import argparse
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from charts.ingress import TRAEFIK, IngressController
from fleet import documents, registry
from fleet.errors import InputError
from operations import waiting
from operations.cluster import Cluster, Manifest
from operations.contexts import FleetOptions, add_dist
from operations.edit import change

WAIT_SECONDS: Final = 300
"""How long a provider may take for a load balancer; Vultr takes one to three minutes."""


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    fleet: FleetOptions
    create: bool
    write: bool
    dist: Path | None

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        return cls(FleetOptions.of(args), create=args.create, write=args.write, dist=args.dist)


def configure(parser: argparse.ArgumentParser) -> None:
    FleetOptions.add_to(parser)
    parser.add_argument(
        "--create",
        action="store_true",
        help="make Traefik's Service where there is none, and wait for its address",
    )
    parser.add_argument("--write", action="store_true", help="write the change to the registry")
    add_dist(parser)


def run(args: argparse.Namespace) -> int:
    """0 if the registry is right or was made so, 1 if it would change.

    Raises InputError for the clusters that could not be asked, once the others are reported.
    """
    options = Options.of(args)
    fleet, clusters = options.fleet.connect()
    members = [fleet.cluster(name) for name in clusters]
    dist = (options.dist or Path(fleet.git.folder)) if options.create else None
    with ThreadPoolExecutor(len(clusters)) as pool:
        answers = pool.map(partial(_answer, dist), members, clusters.values())
        addresses = dict(zip(clusters, answers, strict=True))
    changes: dict[tuple[str, ...], tuple[str, str]] = {}
    width = max(map(len, clusters))
    for cluster in fleet.clusters:
        registered, address = str(cluster.address or cluster.domain), addresses[cluster.name]
        if isinstance(address, InputError):
            line = f"{registered}   not known, see below"
        elif address is None:
            ingress = IngressController.of(cluster)
            own = f"Service {ingress.namespace}/{ingress.service} has none"
            remedy = "--create asks for one" if ingress.of_platform else own
            line = f"{registered}   no load balancer yet; {remedy}"
        elif cluster.address is None or cluster.behind_proxy:
            line = f"{registered}   leads to {address}"
        elif address == registered:
            line = registered
        else:
            line = f"{registered} → {address}"
            changes[cluster.name, "address"] = (registered, address)
        print(f"{cluster.name:{width}}  {line}")
    if changes and options.write:
        change(options.fleet.registry, changes)
        print(f"{options.fleet.registry}: written; run `python main.py`, and commit both")
    elif changes:
        print(f"--write changes {options.fleet.registry}")
    if problems := [
        problem
        for address in addresses.values()
        if isinstance(address, InputError)
        for problem in address.problems
    ]:
        raise InputError(*problems)
    if changes:
        return 0 if options.write else 1
    return 1 if None in addresses.values() else 0


def _answer(
    dist: Path | None, member: registry.Cluster, cluster: Cluster
) -> str | InputError | None:
    """Where the load balancer is, or why nobody knows: one cluster must not hide the others.

    With ``dist``, the Service that it has is created where there is none.
    """
    find = partial(address_of if member.address else name_of, member, cluster)
    try:
        if dist and IngressController.of(member).of_platform:
            return _created(cluster, find, dist=dist)
        return find()
    except InputError as error:
        return error


def address_of(member: registry.Cluster, cluster: Cluster) -> str | None:
    """The address of the cluster's load balancer, if it has one; of several, the registered one.

    Raises InputError if the load balancer has a name only.
    """
    points = _points(member, cluster)
    if not points:
        return None
    # Vultr gives a name as well, which is that of the load balancer and not of DNS.
    addresses: list[str] = [point["ip"] for point in points if "ip" in point]
    if not addresses:
        raise InputError(
            f"{cluster.name}: its load balancer has a name, {points[0].get('hostname')}, and no "
            "address; give the cluster a domain instead of the address, and point it there"
        )
    # The load balancer of k3s is every node, and has the addresses of all.
    registered = str(member.address)
    return registered if registered in addresses else min(addresses, key=_ipv4_first)


def name_of(member: registry.Cluster, cluster: Cluster) -> str | None:
    """The DNS name of the cluster's load balancer, or its address where it has no name."""
    points = _points(member, cluster)
    return next((point.get("hostname") or point["ip"] for point in points), None)


def _points(member: registry.Cluster, cluster: Cluster) -> Sequence[Mapping[str, str]]:
    """Where the load balancer takes connections, as its provider wrote into Traefik's Service."""
    ingress = IngressController.of(member)
    service = cluster.get("service", ingress.service, ingress.namespace) or {}
    points: Sequence[Mapping[str, str]] = (
        service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    )
    return points


def _ipv4_first(address: str) -> int:
    return ipaddress.ip_address(address).version


def _created(cluster: Cluster, find: Callable[[], str | None], *, dist: Path) -> str:
    """What ``find`` finds, once the provider has written it into the Service."""
    if address := find():
        return address
    cluster.apply(_service(dist / cluster.name / TRAEFIK))
    address = waiting.until(find, seconds=WAIT_SECONDS, interval=2)
    if address:
        return address
    messages = [
        event["message"]
        for event in cluster.list_objects("events", TRAEFIK)
        if event["involvedObject"]["name"] == TRAEFIK
    ]
    raise InputError(
        f"{cluster.name}: Service {TRAEFIK}/{TRAEFIK} has no address after {WAIT_SECONDS} s: "
        f"{messages[-1] if messages else 'no event says why'}"
    )


def _service(folder: Path) -> Sequence[Manifest]:
    files = [folder / f"{kind}.{TRAEFIK}.yaml" for kind in ("Namespace", "Service")]
    if missing := [file for file in files if not file.is_file()]:
        raise InputError(*(f"{file}: does not exist; run `python main.py`" for file in missing))
    return [manifest for file in files for manifest in documents.read_all(file)]
