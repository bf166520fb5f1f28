"""Objects of dist as the tests see them, and how YAML of ours and of others is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from charts.render import BUNDLE
from fleet.dist import KUSTOMIZATION

ROOT: Final = Path(__file__).parent.parent
OVERLAYS: Final = ROOT / "overlays"


@dataclass(frozen=True)
class Object:
    """One object of dist, and where it stands."""

    cluster: str
    component: str
    file: Path
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        found: str | None = self.body["metadata"].get("namespace")
        return found

    @property
    def group(self) -> str:
        group, slash, _ = str(self.body["apiVersion"]).partition("/")
        return group if slash else ""

    def __str__(self) -> str:
        return f"{self.cluster}/{self.component}: {self.kind}/{self.name}"


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


class _BundleLoader(yaml.CSafeLoader):
    """Reads prometheus-operator's bundle as well, which has a bare ``=`` as a value."""


_BundleLoader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def read_stream(text: str | bytes) -> list[dict[str, Any]]:
    documents = yaml.load_all(text, Loader=_BundleLoader)
    return [document for document in documents if document]
