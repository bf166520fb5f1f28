"""From one cluster of the fleet to its folder of dist: objects by cdk8s, kustomizations by us."""

import os
import shutil
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from cdk8s import App, YamlOutputType

from charts.component import Component, JsonPatch, Patch
from charts.compose import Cluster, compose
from fleet.errors import InputError
from fleet.registry import Fleet
from fleet.vendored import VENDOR
from imports._resource import bulk

BUNDLE: Final = "bundle"
"""Subfolder of a component that holds its bundles' URLs and our patches, one file per object."""

KUSTOMIZATION: Final = "kustomization.yaml"

Rendered: TypeAlias = dict[Hashable, Path]
"""Where components were rendered before, by their facts."""


def render(
    fleet: Fleet,
    cluster: Cluster,
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
    (fleet.vendored), and raises InputError where one is missing.

    A component is a function of its facts: one that is in ``known`` is copied from there, and the
    others are added to it.
    """
    known = {} if known is None else known
    app = App(
        outdir=str(folder),
        yaml_output_type=YamlOutputType.FOLDER_PER_CHART_FILE_PER_RESOURCE,
        output_file_extension=".yaml",
    )
    new: list[tuple[Component, str | None]] = []
    with bulk():
        for name, plan in compose(fleet, cluster).items():
            overlay = _overlay(overlays, cluster.name, name)
            facts = (plan.func, frozenset(plan.keywords.items()), overlay)
            if facts in known:
                _copy(known[facts], folder / name)
            else:
                new.append((plan(app), overlay))
                known[facts] = folder / name
    if new:
        app.synth()
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
    component: Component, folder: Path, bundles: Sequence[str], overlay: str | None
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


def _bundle(component: Component, folder: Path, bundles: Sequence[str]) -> None:
    """Writes the kustomization that makes bundles ours, and beside it the patches it names."""
    folder.mkdir()
    patches = {_file_name(patch): patch for patch in component.patches}
    for name, patch in patches.items():
        _write(folder / name, list(patch.operations) if isinstance(patch, JsonPatch) else patch)
    kustomization = _kustomization(resources=list(bundles))
    if component.bundle_namespace:
        kustomization["namespace"] = component.bundle_namespace
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


class _Dumper(yaml.CSafeDumper):
    """Multi-line text, such as Lua, stays legible in the diff."""


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _write(path: Path, manifest: Mapping[str, Any] | Sequence[Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(manifest, file, Dumper=_Dumper, sort_keys=False, width=100)
