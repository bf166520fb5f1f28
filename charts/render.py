"""From one cluster of the fleet to its folder of dist: objects by cdk8s, kustomizations by us."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from cdk8s import App, YamlOutputType

from charts.component import Component
from charts.compose import Cluster, compose
from fleet.registry import Fleet
from imports._resource import bulk

PATCHES: Final = "patches"
"""Subfolder of a component that holds its patches, one file an object."""


def render(fleet: Fleet, cluster: Cluster, *, folder: Path, overlays: Path) -> None:
    """Writes ``folder``/<component>/ for each component of ``cluster``.

    One App a cluster and one file an object: cdk8s's other layouts cost time that grows with the
    square of an App. A component's kustomization names its overlay, if ``overlays`` has one;
    ``folder`` is where dist/<cluster> will be, two levels below the folder that has ``overlays``.
    """
    app = App(
        outdir=str(folder),
        yaml_output_type=YamlOutputType.FOLDER_PER_CHART_FILE_PER_RESOURCE,
        output_file_extension=".yaml",
    )
    with bulk():
        components = compose(app, fleet, cluster)
    app.synth()
    for component in components:
        overlay = Path(cluster.name, component.NAME)
        _kustomize(
            component,
            folder / component.NAME,
            f"../../../{overlays.name}/{overlay.as_posix()}"
            if (overlays / overlay).is_dir()
            else None,
        )


def _kustomize(component: Component, folder: Path, overlay: str | None) -> None:
    """Adds the kustomization.yaml of one component's folder, and the patches it names."""
    objects = sorted(entry.name for entry in os.scandir(folder))
    patches = {_file_name(patch): patch for patch in component.patches}
    if patches:
        (folder / PATCHES).mkdir()
        for name, patch in patches.items():
            _write(folder / PATCHES / name, patch)
    kustomization: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
    }
    if component.bundle_namespace:
        kustomization["namespace"] = component.bundle_namespace
    kustomization["resources"] = [*component.bundles, *objects]
    if patches:
        kustomization["patches"] = [{"path": f"{PATCHES}/{name}"} for name in sorted(patches)]
    if overlay:
        kustomization["components"] = [overlay]
    _write(folder / "kustomization.yaml", kustomization)


def _file_name(patch: Mapping[str, Any]) -> str:
    return f"{patch['kind']}.{patch['metadata']['name']}.yaml"


class _Dumper(yaml.CSafeDumper):
    """Multi-line text, such as Lua, stays legible in the diff."""


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _write(path: Path, manifest: Mapping[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(manifest, file, Dumper=_Dumper, sort_keys=False, width=100)
