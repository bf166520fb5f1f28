"""Objects as files of a folder: what a render wrote, and whether somebody else wrote the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from charts.text import CHECKSUM
from fleet.documents import read_all

KUSTOMIZATION: Final = "kustomization.yaml"

Object: TypeAlias = dict[str, Any]
Components: TypeAlias = Mapping[str, Mapping[str, Object]]
"""The objects of a cluster by component, then by name of their file."""


def rendered(folder: Path) -> Components:
    """The objects in dist/<cluster>; kustomizations and patches are not among them."""
    return {
        component.name: {
            file.name: _plain(read_all(file)[0])
            for file in sorted(component.glob("*.yaml"))
            if file.name != KUSTOMIZATION
        }
        for component in sorted(folder.iterdir())
    }


def differences(ours: Path, theirs: Path) -> list[str]:
    """What is in only one of two folders, or not the same in both, however it is put into files."""
    expected, got = by_identity(ours), by_identity(theirs)
    return [
        f"{theirs}: {' '.join(identity)} {verdict}"
        for identity in sorted(expected.keys() | got.keys())
        if (verdict := _verdict(expected.get(identity), got.get(identity)))
    ]


def _verdict(ours: Object | None, theirs: Object | None) -> str | None:
    if ours == theirs:
        return None
    return "is missing" if theirs is None else "is not ours" if ours is None else "differs"


def by_identity(folder: Path) -> dict[tuple[str, ...], Object]:
    """Every object in and below ``folder``.

    A kustomization is none, and neither is what a folder beside one holds: patches.
    """
    found: dict[tuple[str, ...], Object] = {}
    for file in sorted(folder.rglob("*.yaml")):
        if file.name == KUSTOMIZATION or (file.parent.parent / KUSTOMIZATION).exists():
            continue
        for body in read_all(file):
            metadata = body["metadata"]
            identity = (
                body["apiVersion"],
                body["kind"],
                metadata.get("namespace", ""),
                metadata["name"],
            )
            if identity in found:
                raise ValueError(f"{file}: {' '.join(identity)} is there twice")
            found[identity] = _plain(body)
    return found


def _plain(body: Object) -> Object:
    """``body`` without the checksum of a configuration, which no template can work out."""
    if isinstance(template := body.get("spec", {}).get("template"), dict):
        template.get("metadata", {}).get("annotations", {}).pop(CHECKSUM, None)
    return body
