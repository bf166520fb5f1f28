"""Objects of dist as the tests see them, and how YAML of ours and of others is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from charts.render import BUNDLE
from fleet.dist import KUSTOMIZATION
from fleet.documents import BundleLoader
from fleet.validation.objects import Object

ROOT: Final = Path(__file__).parent.parent
OVERLAYS: Final = ROOT / "overlays"


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


def read(file: Path) -> Any:
    return yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)


def read_stream(text: str | bytes) -> list[dict[str, Any]]:
    documents = yaml.load_all(text, Loader=BundleLoader)
    return [document for document in documents if document]
