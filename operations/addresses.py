"""``python -m fleet addresses``: where the load balancers are, and what that changes.

Under nip.io a hostname holds an address that nobody knows before there is a load balancer. With
``--create`` Traefik's Service is made first, alone, so that the provider makes one.
"""

import argparse
import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from charts.traefik import TRAEFIK
from fleet import documents
from fleet.errors import InputError
from operations.contexts import add_fleet, fleet_of
from operations.edit import change
from operations.kubectl import Kubectl

WAIT_SECONDS: Final = 300
"""How long a provider may take for a load balancer; Vultr takes one to three minutes."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_fleet(parser)
    parser.add_argument(
        "--create",
        action="store_true",
        help="make Traefik's Service where there is none, and wait for its address",
    )
    parser.add_argument("--write", action="store_true", help="write the change to the registry")
    parser.add_argument(
        "--dist", type=Path, default=Path("dist"), help="where the Service is from (%(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """0 if the registry is right or was made so, 1 if it would change.

    Raises InputError for the clusters that could not be asked, once the others are reported.
    """
    fleet, clusters = fleet_of(args)
    look = partial(_made, dist=args.dist) if args.create else address_of
    with ThreadPoolExecutor(len(clusters)) as pool:
        found = dict(zip(clusters, pool.map(partial(_tried, look), clusters.values()), strict=True))
    changes = {}
    width = max(map(len, clusters))
    for cluster in fleet.clusters:
        said, is_now = str(cluster.address), found[cluster.name]
        if isinstance(is_now, InputError):
            told = f"{said}   not known, see below"
        elif is_now is None:
            told = f"{said}   no load balancer yet; --create asks for one"
        elif is_now == said:
            told = said
        else:
            told = f"{said} → {is_now}"
            changes[cluster.name, "address"] = (said, is_now)
        print(f"{cluster.name:{width}}  {told}")
    if changes and args.write:
        change(args.fleet, changes)
        print(f"{args.fleet}: written; run `python main.py`, and commit both")
    elif changes:
        print(f"--write changes {args.fleet}")
    if problems := [
        line for each in found.values() if isinstance(each, InputError) for line in each.problems
    ]:
        raise InputError(*problems)
    if changes:
        return 0 if args.write else 1
    return 1 if None in found.values() else 0


def _tried(look: Callable[[Kubectl], str | None], cluster: Kubectl) -> str | InputError | None:
    """What ``look`` finds, or why it finds nothing: one cluster is not to hide the others."""
    try:
        return look(cluster)
    except InputError as error:
        return error


def address_of(cluster: Kubectl) -> str | None:
    """Where the cluster's load balancer is, if there is one; raises InputError if it has no IP."""
    service = cluster.get("service", TRAEFIK, TRAEFIK)
    points = (service or {}).get("status", {}).get("loadBalancer", {}).get("ingress", [])
    if not points:
        return None
    # Vultr gives a name as well, which is that of the load balancer and not of DNS.
    addresses: list[str] = [each["ip"] for each in points if "ip" in each]
    if not addresses:
        raise InputError(
            f"{cluster.name}: its load balancer has a name, {points[0].get('hostname')}, and no "
            "address; give the cluster a domain, and point it there"
        )
    return min(addresses, key=_ipv4_first)


def _ipv4_first(address: str) -> int:
    return ipaddress.ip_address(address).version


def _made(cluster: Kubectl, *, dist: Path) -> str:
    """The address, once the provider has given one to the Service."""
    if found := address_of(cluster):
        return found
    cluster.apply(_service(dist / cluster.name / TRAEFIK))
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        if found := address_of(cluster):
            return found
        time.sleep(2)
    service = f"{TRAEFIK}/{TRAEFIK}"
    events = cluster.every(
        "events", f"--field-selector=involvedObject.name={TRAEFIK}", namespace=TRAEFIK
    )
    last = events[-1]["message"] if events else "nobody has said why"
    raise InputError(
        f"{cluster.name}: Service {service} has no address after {WAIT_SECONDS} s: {last}"
    )


def _service(folder: Path) -> Sequence[Mapping[str, object]]:
    files = [folder / f"{kind}.{TRAEFIK}.yaml" for kind in ("Namespace", "Service")]
    if missing := [file for file in files if not file.is_file()]:
        raise InputError(*(f"{file}: is not there; run `python main.py`" for file in missing))
    return [each for file in files for each in documents.read_all(file)]
