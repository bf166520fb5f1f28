"""From one cluster of the fleet to its folder of dist: objects by cdk8s, kustomizations by us."""

import os
import shutil
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from cdk8s import App, Chart, YamlOutputType

from bindings import node
from bindings.kinds import batch
from bindings.manifest import Manifest
from charts.catalogue import compose
from charts.component import Component, JsonPatch, Patch
from charts.labels import NAME, PART_OF, PROJECT
from fleet.documents import AMBIGUOUS, dump
from fleet.errors import InputError
from fleet.registry import Fleet, Hub, Region
from rendering.dist import HEADER, KUSTOMIZATION
from rendering.vendored import VENDOR

BUNDLE: Final = "bundle"
"""Subfolder of a component that holds its bundles' URLs and our patches, one file per object."""

Rendered: TypeAlias = dict[Hashable, Path]
"""Where components were rendered before, by their facts."""


def render(
    fleet: Fleet,
    cluster: Hub | Region,
    *,
    folder: Path,
    overlays: Path,
    copies: Mapping[str, str] | None = None,
    known: Rendered | None = None,
) -> None:
    """Writes ``folder``/<component>/ for each component of ``cluster``.

    One App a cluster and one file an object: cdk8s's other layouts cost time that grows with the
    square of an App. A component's kustomization names its overlay, if ``overlays`` has one, and
    kustomize applies it last; ``folder`` is where dist/<cluster> will be, two levels below the
    folder that has ``overlays``. With ``copies`` it names those in place of the URLs of bundles
    (rendering.vendored), and raises InputError where one is missing.

    A component is a function of its facts: one that is in ``known`` is copied from there, and the
    others are added to it.
    """
    known = {} if known is None else known
    app = App(
        outdir=str(folder),
        yaml_output_type=YamlOutputType.FOLDER_PER_CHART_FILE_PER_RESOURCE,
        output_file_extension=".yaml",
    )
    new: list[tuple[Component[Any], str | None]] = []
    with batch():
        for component in compose(fleet, cluster):
            overlay = _overlay(overlays, cluster.name, component.NAME)
            if (component, overlay) in known:
                _copy(known[component, overlay], folder / component.NAME)
            else:
                labels = {PART_OF: PROJECT, NAME: component.NAME}
                component.add_to(Chart(app, component.NAME, labels=labels))
                new.append((component, overlay))
                known[component, overlay] = folder / component.NAME
    if new:
        Manifest.quote(AMBIGUOUS)
        try:
            app.synth()
        except KeyboardInterrupt:
            # Or Node goes on writing to a folder that is about to be removed.
            node.end()
            raise
    for component, overlay in new:
        bundles = component.BUNDLES if copies is None else _copies(component.BUNDLES, copies)
        _kustomize(component, folder / component.NAME, bundles, overlay)


def _copies(bundles: Sequence[str], copies: Mapping[str, str]) -> list[str]:
    """Where a kustomization finds the copy of each bundle."""
    if missing := [url for url in bundles if url not in copies]:
        raise InputError(
            *(f"{VENDOR}: has no copy of {url}; run `python -m fleet vendor`" for url in missing)
        )
    return [f"../../../../{VENDOR}/{copies[url]}" for url in bundles]


def _copy(source: Path, target: Path) -> None:
    """Copies a rendered folder; shutil.copytree would look after permissions and links as well."""
    target.mkdir(parents=True)
    for entry in os.scandir(source):
        if entry.is_dir():
            _copy(Path(entry.path), target / entry.name)
        else:
            shutil.copyfile(entry.path, target / entry.name)


def _overlay(overlays: Path, cluster: str, component: str) -> str | None:
    """The overlay of a component as its kustomization names it, if there is one."""
    if (overlays / cluster / component).is_dir():
        return f"../../../{overlays.name}/{cluster}/{component}"
    return None


def _kustomize(
    component: Component[Any], folder: Path, bundles: Sequence[str], overlay: str | None
) -> None:
    """Adds the kustomization.yaml of one component's folder, and its subfolder ``BUNDLE``.

    kustomize applies the components of a kustomization before its patches. Our patches are
    therefore one level further in, or they would undo what an overlay sets.
    """
    resources = sorted(entry.name for entry in os.scandir(folder))
    if bundles:
        _bundle(component, folder / BUNDLE, bundles)
        resources.insert(0, BUNDLE)
    kustomization = _kustomization(resources=resources)
    if overlay:
        kustomization["components"] = [overlay]
    _write(folder / KUSTOMIZATION, kustomization)


def _bundle(component: Component[Any], folder: Path, bundles: Sequence[str]) -> None:
    """Writes the kustomization that makes bundles ours, and beside it the patches it names."""
    folder.mkdir()
    patches = {_file_name(patch): patch for patch in component.patches}
    for name, patch in patches.items():
        _write(folder / name, list(patch.operations) if isinstance(patch, JsonPatch) else patch)
    kustomization = _kustomization(resources=list(bundles))
    if component.BUNDLE_NAMESPACE:
        kustomization["namespace"] = component.BUNDLE_NAMESPACE
    if patches:
        kustomization["patches"] = [
            {"path": name, **_target(patches[name])} for name in sorted(patches)
        ]
    _write(folder / KUSTOMIZATION, kustomization)


def _kustomization(*, resources: Sequence[str]) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
    }


def _file_name(patch: Patch | JsonPatch) -> str:
    if isinstance(patch, JsonPatch):
        return f"{patch.kind}.{patch.name}.yaml"
    return f"{patch['kind']}.{patch['metadata']['name']}.yaml"


def _target(patch: Patch | JsonPatch) -> dict[str, Any]:
    """Which object a patch is for, where the patch does not say so itself."""
    if isinstance(patch, JsonPatch):
        return {
            "target": {
                "group": patch.group,
                "version": patch.version,
                "kind": patch.kind,
                "name": patch.name,
            }
        }
    return {}


def _write(path: Path, manifest: Mapping[str, Any] | Sequence[Any]) -> None:
    path.write_text(HEADER + dump(manifest), "utf-8")
