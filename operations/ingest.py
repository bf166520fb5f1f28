"""The passwords by which regions write to the hub, which are replaced without losing a sample.

An agent drops a sample that the hub answers with 401. So the hub accepts a new password before any
program of the region has it, and an old one until every program must have the new one.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from fleet.registry import Fleet, Region
from operations import credentials, waiting
from operations.cluster import NotFoundError
from operations.credentials import Content, SecretRef
from operations.site import Action, Site, Step

SETTLING_SECONDS: Final = 20
"""Until Traefik has read a changed Secret: it gathers changes for two seconds
(providersThrottleDuration)."""

SPREADING_SECONDS: Final = 300
"""Until programs have a changed Secret of their pod: a kubelet looks every 60 to 90 seconds
(syncFrequency, kubelet's configuration), and the reloader of Prometheus, should it miss that the
file has changed, every three minutes (--watch-interval of prometheus-config-reloader)."""


def writing(fleet: Fleet) -> Iterator[Region]:
    """The regions that write to the hub, metrics or logs."""
    return (region for region in fleet.regions if credentials.region_ingest(region))


def password(site: Site, region: Region) -> Step:
    """All programs of the region have the same password."""
    refs = credentials.region_ingest(region)

    def look() -> Action | None:
        held = _held(site, region)
        if held[0] and all(content == held[0] for content in held):
            return None
        # What one of its programs has is valid at the hub, so the others get the same.
        content = next(filter(None, held), None) or credentials.new_ingest_sign_in(region)
        return lambda: store(site, region, content)

    return Step(region.name, listed(refs), look)


def accepted(site: Site, region: Region) -> Step:
    """The hub accepts the region's password and no other."""
    held_in = credentials.region_ingest(region)[0]
    ref = credentials.hub_ingest(site.fleet, region)

    def look() -> Action | None:
        lines = credentials.htpasswd_lines(credentials.read(site.hub, ref))
        content = credentials.read(site.clusters[region.name], held_in)
        line = credentials.htpasswd_line(content) if content else None
        if lines == [line]:
            return None
        # A rotation was interrupted: some program may still use what it had before.
        return partial(accept_only, after=SPREADING_SECONDS if line in lines else 0)

    def accept_only(*, after: float) -> None:
        waiting.pause(after)
        content = credentials.read(site.clusters[region.name], held_in)
        if content is None:
            raise NotFoundError(region.name, f"{held_in} was deleted in the meantime")
        accept(site, region, content)

    return Step(site.fleet.hub.name, str(ref), look)


def accept_also(site: Site, region: Region, content: Content) -> bool:
    """Has the hub accept ``content`` besides whatever programs of the region may use.

    Returns False, and does nothing, for a region that has no password to replace.
    """
    held = [content for content in _held(site, region) if content]
    if not held:
        return False
    ref = credentials.hub_ingest(site.fleet, region)
    # More than one if a rotation was interrupted; then a program may use any of them.
    before = credentials.htpasswd_lines(credentials.read(site.hub, ref))
    lines = [credentials.htpasswd_line(content), *before, *map(credentials.htpasswd_line, held)]
    credentials.store(site.hub, ref, credentials.htpasswd(lines))
    return True


def accept(site: Site, region: Region, content: Content) -> None:
    """Has the hub accept ``content``, and no other password of the region."""
    ref = credentials.hub_ingest(site.fleet, region)
    credentials.store(site.hub, ref, credentials.accepted(content))


def store(site: Site, region: Region, content: Content) -> None:
    """Gives ``content`` to all programs of the region."""
    site.clusters[region.name].apply(
        [
            credentials.manifest(ref, content, credentials.BASIC_AUTH)
            for ref in credentials.region_ingest(region)
        ]
    )


def listed(refs: Sequence[SecretRef]) -> str:
    return " and ".join(map(str, refs))


def _held(site: Site, region: Region) -> list[Content | None]:
    """The passwords that the region's programs are given, one for each program."""
    return [
        credentials.read(site.clusters[region.name], ref)
        for ref in credentials.region_ingest(region)
    ]
