"""``python -m fleet bootstrap --rotate``: every credential made new, and no sample lost by it.

An agent drops what is answered 401, so the hub takes a region's old and new password until every
program of the region has the new one. That takes as long as a kubelet may take to bring a changed
Secret into a running pod.
"""

import time
from typing import Final

from rich.console import Console

from charts.argocd_access import ArgocdAccess
from charts.monitoring.secrets import GRAFANA_SIGN_IN
from charts.scrape import MONITORING
from fleet.registry import Region
from operations import credentials, manifests, steps
from operations.credentials import Content
from operations.steps import Site

SETTLING_SECONDS: Final = 20
"""Until Traefik has read a changed Secret; it gathers changes for two seconds."""


def rotate(site: Site, console: Console) -> None:
    """Makes new: what the regions write by, the hub's sign-ins, and Argo CD's tokens."""
    changed = _ingest(site, console)
    for name in credentials.made_up(site.fleet):
        content = credentials.sign_in(credentials.ADMIN, credentials.password())
        steps.store(site.hub, name, content, credentials.BASIC_AUTH)
        console.print(f"+ {name.cluster}  {name}")
    # It reads its own when it starts, and keeps nothing that a restart would lose.
    if site.hub.get("deployment", "grafana", MONITORING):
        site.hub.run("-n", MONITORING, "rollout", "restart", "deployment/grafana")
    console.print(f"  (Grafana restarts, to read {GRAFANA_SIGN_IN})")
    for region in site.fleet.regions:
        _token(site, region)
        console.print(f"+ {region.name}  token of Argo CD's account, and its registration")
    _forget(site, changed, console)


def _ingest(site: Site, console: Console) -> dict[str, Content]:
    """Gives every region a new sign-in; returns them. The old ones are good still."""
    new: dict[str, Content] = {}
    for region in site.fleet.regions:
        names = credentials.of_region(region)
        old = credentials.read(site.clusters[region.name], names[0]) if names else None
        if old is None:
            continue
        new[region.name] = credentials.to_write(region)
        both = credentials.users(new[region.name], old)
        steps.store(site.hub, credentials.at_hub(site.fleet, region), both)
    if new:
        console.print(f"+ {site.fleet.hub.name}  takes the old and the new password of each region")
        time.sleep(SETTLING_SECONDS)
    for region in site.fleet.regions:
        if region.name in new:
            names = credentials.of_region(region)
            steps.store_all(site.clusters[region.name], names, new[region.name])
            console.print(f"+ {region.name}  {' and '.join(map(str, names))}")
    return new


def _token(site: Site, region: Region) -> None:
    """The account made anew has another token, and the old one is good no longer.

    A Secret made anew for the same account has the same: all that such a token says is who the
    account is, its uid included, and the name of the Secret.
    """
    kubectl = site.clusters[region.name]
    folder, _ = manifests.of_folders(site.dist, region.name, [ArgocdAccess.NAME])
    account, secret = (
        [each for each in folder if each["kind"] == kind] for kind in ("ServiceAccount", "Secret")
    )
    kubectl.run("delete", "--filename=-", "--ignore-not-found", objects=[*account, *secret])
    # Kubernetes takes away the Secret of an account that is not there.
    kubectl.apply(account)
    kubectl.apply(secret)
    if act := steps.registration(site, region).look():
        act()


def _forget(site: Site, new: dict[str, Content], console: Console) -> None:
    """Takes the old passwords back, once nobody uses them."""
    if not new:
        return
    with console.status(
        f"waiting {steps.SPREADING_SECONDS} s until every program has its new password"
    ):
        time.sleep(steps.SPREADING_SECONDS)
    for region in site.fleet.regions:
        if region.name in new:
            name = credentials.at_hub(site.fleet, region)
            steps.store(site.hub, name, credentials.users(new[region.name]))
    console.print(f"+ {site.fleet.hub.name}  takes the new passwords alone")
