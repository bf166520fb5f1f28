"""What components become in fleets that are not this one: snapshots, kept beside this file.

`python -m pytest --snapshot-update tests/contract/test_variants.py` takes them anew.
"""

from pathlib import Path
from textwrap import dedent

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from charts.render import render
from fleet.registry import load
from fleet.validation import sources
from tests.objects import read_objects

BASE = """\
git: {repository: https://git.example.org/fleet.git, revision: stable}
acme: {email: ops@foobar-platform.dev}
clusters:
  - name: hub
    role: hub
    address: 192.0.2.1
"""


class YamlFile(SingleFileSnapshotExtension):
    """One readable file a variant."""

    _write_mode = WriteMode.TEXT
    file_extension = "yaml"


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(YamlFile)


DIGEST = f"sha256:{'0' * 64}"

VARIANTS = {
    "another provider": (
        "edge",
        ("traefik", "foobar-api"),
        """
        - name: edge
          role: region
          provider: generic
          address: 192.0.2.2
          hostname: edge
          image: registry.example.org/foobar-api:2.0.0
        """,
    ),
    "own domain, own networks, production": (
        "north",
        ("foobar-api", "traefik"),
        """
        - name: north
          role: region
          address: 2001:db8::2
          domain: example.org
          hostname: api
          issuer: production
          nodeNetworks: [100.64.0.0/10, "fd00::/8"]
          pullSecret: mirror-pull
          image: registry.example.org/foobar-api@DIGEST
        """,
    ),
    "no app and no metrics-server": (
        "bare",
        ("traefik",),
        """
        - name: bare
          role: region
          address: 192.0.2.3
          hostname: bare
          image: registry.example.org/foobar-api:2.0.0
          without: [foobar-api, metrics-server]
        """,
    ),
    "the hub of another fleet": ("hub", ("argocd", "applications"), ""),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant(variant: str, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    name, components, cluster = VARIANTS[variant]
    registry = tmp_path / "clusters.yaml"
    indented = dedent(cluster).strip("\n").replace("DIGEST", DIGEST).replace("\n", "\n  ")
    registry.write_text(f"{BASE}  {indented}\n" if cluster else BASE)
    fleet = load(registry)
    dist = tmp_path / "dist"
    render(fleet, fleet.cluster(name), folder=dist / name, overlays=tmp_path / "overlays")

    assert sources.check(dist, tmp_path / "overlays").lines == []
    assert {folder.name for folder in (dist / name).iterdir()} == set(
        fleet.cluster(name).components
    )
    files = [each.file for each in read_objects(dist) if each.component in components]
    assert snapshot == "---\n".join(f"# {file}\n{(dist / file).read_text()}" for file in files)
