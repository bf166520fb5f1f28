"""What components become in fleets other than the sample: snapshots, kept beside this file.

`make snapshots` takes them anew.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from charts.catalogue import load
from rendering.render import render
from tests.objects import FLEETS, OVERLAYS, read_objects

VARIANTS = {
    "another provider": ("one-region", "edge", ("traefik", "foobar-api")),
    "own domain, own networks, production": ("own-domain", "north", ("foobar-api", "traefik")),
    "Vultr with hard disks": ("clouds", "vultr", ("traefik", "prometheus-agent")),
    "Hetzner": ("clouds", "hetzner", ("traefik", "prometheus-agent")),
    "DigitalOcean": ("clouds", "digitalocean", ("traefik", "prometheus-agent")),
    "AWS": ("clouds", "aws", ("traefik", "prometheus-agent")),
    "a load balancer of one's own": ("clouds", "hub", ("traefik", "alertmanager")),
    "k3s with its own Traefik and cert-manager": (
        "own-traefik",
        "k3s",
        ("tenant-foobar-api",),
    ),
    "own Traefik and the platform's cert-manager": (
        "own-traefik",
        "edge",
        ("tenant-foobar-api", "cert-manager"),
    ),
    "a hub with its own Traefik": (
        "own-traefik",
        "hub",
        ("argocd", "ingest"),
    ),
    "a hub for one region": ("one-region", "hub", ("argocd", "applications")),
    "a region without an app": ("without-optional", "bare", ("baseline", "argocd-access")),
}
"""Fleet, cluster, and the components in the snapshot."""


class YamlFile(SingleFileSnapshotExtension):
    """One readable file per variant."""

    _write_mode = WriteMode.TEXT
    file_extension = "yaml"


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(YamlFile)


@pytest.mark.parametrize(("name", "cluster", "components"), VARIANTS.values(), ids=VARIANTS)
def test_variant(
    name: str,
    cluster: str,
    components: Sequence[str],
    snapshot: SnapshotAssertion,
    tmp_path: Path,
) -> None:
    fleet = load(FLEETS / f"{name}.yaml")
    dist = tmp_path / "dist"
    render(fleet, fleet.cluster(cluster), folder=dist / cluster, overlays=OVERLAYS)
    files = [each.file for each in read_objects(dist) if each.component in components]
    assert snapshot == "---\n".join(f"# {file}\n{(dist / file).read_text()}" for file in files)
