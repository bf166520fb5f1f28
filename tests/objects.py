"""The fleets that tests run on, the objects that they render, and how tests read YAML."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from charts.catalogue import offers
from fleet import registry
from fleet.registry import Fleet
from rendering.dist import KUSTOMIZATION
from rendering.render import BUNDLE
from rendering.validation.objects import Object

ROOT: Final = Path(__file__).parent.parent
MAIN: Final = (sys.executable, str(ROOT / "main.py"))
"""The command that renders the fleet in the folder that it is run in."""
FLEETS: Final = ROOT / "tests" / "fixtures" / "fleets"
"""Registries that tests run on: a fork replaces clusters.yaml, but never these."""
SAMPLE: Final = FLEETS / "sample.yaml"
"""The fleet that the documents describe, and that tests use unless they need another."""
APPS: Final = FLEETS / "apps"
"""The apps that the regions of these run."""
FOOBAR_API: Final = "foobar-api"
OVERLAYS: Final = FLEETS / "overlays"
"""Overlays of the sample fleet."""


def load(path: Path, overlays: Path | None = None) -> Fleet:
    """The fleet of a registry anywhere, whose regions can run the apps of the fixture fleets."""
    return registry.load(path, offers(APPS), overlays)


def read_objects(dist: Path) -> Iterator[Object]:
    """The objects in a rendered folder, in the order of their files."""
    for file in sorted(dist.glob("*/*/*.yaml")):
        if file.name != KUSTOMIZATION:
            cluster, component, _ = file.relative_to(dist).parts
            yield Object(cluster, component, file.relative_to(dist), read(file))


def read_patches(dist: Path) -> Iterator[Object]:
    """The strategic merge patches in a rendered folder."""
    for file in sorted(dist.glob(f"*/*/{BUNDLE}/*.yaml")):
        if file.name == KUSTOMIZATION:
            continue
        cluster, component, *_ = file.relative_to(dist).parts
        body = read(file)
        # The other form, a list of operations, is no object.
        if isinstance(body, dict):
            yield Object(cluster, component, file.relative_to(dist), body)


def holds_a_secret(file: Path) -> bool:
    """Whether ``file`` holds what looks like a private key, a token or a password."""
    return file.is_file() and bool(_SECRET.search(file.read_bytes()))


_SECRET: Final = re.compile(rb"PRIVATE KEY|eyJhbGci|password[ \t]*[:=][ \t]*\S", re.IGNORECASE)


def read(file: Path) -> Any:
    return yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
