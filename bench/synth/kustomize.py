"""kustomize build: a region's objects as bases, an overlay of JSON patches for each other."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.synth.contenders import Command, Contender
from bench.synth.files import to_yaml, write_yaml
from bench.synth.objects import Components
from bench.synth.template import Places, Split, Template, fill


def kustomize(name: str, split: Split, template: Template, folder: Path) -> Contender:
    output, commands = folder / "out", []
    for cluster, facts in template.facts.items():
        model = template.model(cluster)
        bases = folder / "bases" / model
        if not bases.exists():
            _bases(bases, template.objects(model))
        (output / cluster).mkdir(parents=True)
        for part, components in split(template.objects(model)).items():
            overlay = folder / "overlays" / cluster / part
            _kustomization(
                overlay,
                resources=[f"../../../bases/{model}/{component}" for component in components],
                patches=list(_patches(components, template.places(model), facts)),
            )
            commands.append(Command([*program(), str(overlay)], output / cluster / f"{part}.yaml"))
    return Contender(name, commands, folder, output)


def program() -> Sequence[str]:
    """The command of kustomize itself, or that of kubectl, which starts more slowly."""
    return ("kustomize", "build") if shutil.which("kustomize") else ("kubectl", "kustomize")


def _bases(folder: Path, components: Components) -> None:
    for component, files in components.items():
        _kustomization(folder / component, resources=list(files))
        for name, body in files.items():
            write_yaml(folder / component / name, body)


def _patches(
    components: Components, places: Places, facts: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """What makes the model's objects those of the region of ``facts``."""
    for (component, name), changes in places.items():
        if component not in components:
            continue
        body = components[component][name]
        group, _, version = body["apiVersion"].rpartition("/")
        patch = [
            {"op": "replace", "path": _pointer(location), "value": fill(marked, facts)}
            for location, marked in changes
        ]
        yield {
            "target": {
                "group": group,
                "version": version,
                "kind": body["kind"],
                "name": body["metadata"]["name"],
                "namespace": body["metadata"]["namespace"],
            },
            "patch": to_yaml(patch),
        }


def _pointer(location: Sequence[str | int]) -> str:
    """RFC 6901."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in location)


def _kustomization(
    folder: Path, *, resources: Sequence[str], patches: Sequence[Mapping[str, Any]] = ()
) -> None:
    write_yaml(
        folder / "kustomization.yaml",
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": resources,
            "patches": patches,
        },
    )
