"""Builds what Argo CD would apply: every folder of dist by kustomize, bundles from the mirror."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from fleet import documents
from fleet.documents import BundleLoader
from rendering.validation import kustomize
from upstream.fetch import place

TIMEOUT_SECONDS: Final = 120

Folder: TypeAlias = tuple[str, str]
"""A cluster and one of its components."""


@dataclass
class Build:
    """What came of each folder: its objects, why kustomize refuses it, or which files it lacks."""

    objects: dict[Folder, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    refused: dict[Folder, str] = field(default_factory=dict)
    lacking: dict[Folder, Sequence[str]] = field(default_factory=dict)


def program() -> Sequence[str] | None:
    """The command that builds a folder; None if neither kustomize nor kubectl is on the PATH."""
    if shutil.which("kustomize"):
        return ("kustomize", "build")
    if shutil.which("kubectl"):
        return ("kubectl", "kustomize")
    return None


def built(
    command: Sequence[str],
    folders: Sequence[Folder],
    *,
    dist: Path,
    overlays: Path,
    mirror: Path | None,
) -> Build:
    """Builds ``folders`` of ``dist`` with their overlays, without network.

    A URL is read from ``mirror``; a folder that names one that is not there is not built. Folders
    with the same content are built once.
    """
    result = Build()
    with tempfile.TemporaryDirectory(prefix="fleet-build-") as name:
        root = Path(name).resolve()
        shutil.copytree(dist, root / "dist", symlinks=True)
        if overlays.is_dir():
            shutil.copytree(overlays, root / overlays.name, symlinks=True)
        # vendor/, and whatever else an overlay may share with others.
        for other in overlays.resolve().parent.iterdir():
            if other.is_dir() and not (root / other.name).exists() and other.name[0] != ".":
                (root / other.name).symlink_to(other)
        groups: dict[bytes, list[Folder]] = {}
        for folder in folders:
            parts = [root / "dist" / Path(*folder), root / overlays.name / Path(*folder)]
            if lacking := [url for part in parts for url in _made_local(part, root, mirror)]:
                result.lacking[folder] = lacking
            else:
                groups.setdefault(_fingerprint(*parts), []).append(folder)

        def run(group: list[Folder]) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*command, str(root / "dist" / Path(*group[0]))],
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_SECONDS,
            )

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            outputs = list(pool.map(run, groups.values()))
    known: dict[str, Mapping[str, Any]] = {}
    for group, output in zip(groups.values(), outputs, strict=True):
        for folder in group:
            if output.returncode:
                result.refused[folder] = _reason(output.stderr, root)
            else:
                result.objects[folder] = list(_parsed(output.stdout, known))
    return result


def _made_local(folder: Path, root: Path, mirror: Path | None) -> Iterator[str]:
    """Has the kustomizations below ``folder`` name local copies; yields what there is none of."""
    for file in sorted(folder.rglob(kustomize.FILE_NAME)):
        content = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
        resources = content.get("resources", [])
        for at, url in enumerate(resources):
            if not kustomize.is_remote(url):
                continue
            source = mirror / place(url) if mirror else None
            if source is None or not source.is_file():
                yield url
                continue
            # kustomize reads a file from outside a folder only as a folder of its own.
            base = root / "mirror" / place(url)
            if not base.is_dir():
                base.mkdir(parents=True)
                shutil.copy(source, base)
                (base / kustomize.FILE_NAME).write_text(f"resources: [{source.name}]\n", "utf-8")
            resources[at] = os.path.relpath(base, file.parent)
        # A link may lead out of the copy, into the checkout.
        file.unlink()
        file.write_text(documents.dump(content), "utf-8")


def _fingerprint(*folders: Path) -> bytes:
    """Equal for folders whose files have the same names and content."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                digest.update(f"\0{file.relative_to(folder)}\0".encode())
                digest.update(file.read_bytes())
    return digest.digest()


def _reason(stderr: str, root: Path) -> str:
    """What kustomize says, without the trail of folders that led it there."""
    text = " ".join(stderr.replace(f"{root}{os.sep}", "").split()).removeprefix("Error: ")
    return re.sub(r"^.*accumulat\w+[^:]*: ", "", text).strip("'\"\\ ") or text


def _parsed(text: str, known: dict[str, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The objects of a build. Clusters share most of them, and parsing is what takes time."""
    for document in text.split("\n---\n"):
        if document.strip() and document not in known:
            known[document] = yaml.load(document, Loader=BundleLoader)  # noqa: S506  (a safe one)
        if document in known:
            yield known[document]
