"""``python -m fleet bootstrap --rotate``: replaces every credential, and no sample is lost by it.

Whatever interrupts it, ``python -m fleet bootstrap`` completes it, and so does another rotation.
"""

from collections.abc import Mapping

from rich.console import Console

from charts.monitoring.secrets import GRAFANA_SIGN_IN
from charts.scrape import MONITORING
from fleet.registry import Region
from operations import argocd_admin, credentials, ingest, waiting
from operations.credentials import Content
from operations.registration import registration, renew_account
from operations.site import Site
from operations.steps import GRAFANA


def rotate(site: Site, console: Console) -> None:
    """Replaces what the regions write by, the sign-ins of the hub's pages, and Argo CD's tokens.

    What only people can replace is replaced by what the environment has of it.
    """
    replaced = _replace_ingest(site, console)
    for ref in credentials.page_sign_ins(site.fleet):
        content = credentials.sign_in(credentials.ADMIN, credentials.password())
        credentials.store(site.hub, ref, content, credentials.BASIC_AUTH)
        console.print(f"+ {ref.cluster}  {ref}")
        if ref == credentials.prometheus_sign_in(site.fleet):
            hashed = credentials.prometheus_accepted(site.fleet)
            credentials.store(site.hub, hashed, credentials.accepted(content))
            console.print(f"+ {hashed.cluster}  {hashed}")
    # It reads its own when it starts, and keeps nothing that a restart would lose.
    if site.hub.get("deployment", GRAFANA, MONITORING):
        site.hub.restart(GRAFANA, MONITORING)
        console.print(f"  (Grafana restarts, to read {GRAFANA_SIGN_IN})")
    if argocd_admin.renew(site):
        console.print(f"+ {site.fleet.hub.name}  {argocd_admin.shown(site)}")
    for secret in credentials.supplied(site.fleet):
        if site.answers.has(secret):
            content = site.answers.content(secret)
            credentials.store_supplied(site.clusters[secret.ref.cluster], secret, content)
            console.print(f"+ {secret.ref.cluster}  {secret.ref}")
    for region in site.fleet.regions:
        renew_account(site, region)
        if register := registration(site, region).look():
            register()
        console.print(f"+ {region.name}  token of Argo CD's account, and its registration")
    _revoke_old_ingest(site, replaced, console)


def _replace_ingest(site: Site, console: Console) -> Mapping[Region, Content]:
    """Gives every region a new password; returns these. The old ones are still valid."""
    replaced: dict[Region, Content] = {}
    for region in ingest.writing(site.fleet):
        content = credentials.new_ingest_sign_in(region)
        if ingest.accept_also(site, region, content):
            replaced[region] = content
        else:
            console.print(f"= {region.name}  has no password yet; bootstrap generates it")
    if replaced:
        hub = site.fleet.hub.name
        console.print(f"+ {hub}  accepts the old and the new password of each region")
        waiting.pause(ingest.SETTLING_SECONDS)
    for region, content in replaced.items():
        ingest.store(site, region, content)
        console.print(f"+ {region.name}  {ingest.listed(credentials.region_ingest(region))}")
    return replaced


def _revoke_old_ingest(site: Site, replaced: Mapping[Region, Content], console: Console) -> None:
    """Has the hub accept the new passwords alone, once nobody uses the old ones."""
    if not replaced:
        return
    with console.status(
        f"waiting {ingest.SPREADING_SECONDS} s until every program has its new password"
    ):
        waiting.pause(ingest.SPREADING_SECONDS)
    for region, content in replaced.items():
        ingest.accept(site, region, content)
    console.print(f"+ {site.fleet.hub.name}  accepts the new passwords alone")
