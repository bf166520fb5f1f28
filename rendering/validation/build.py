"""Builds what Argo CD would apply: every folder of dist by kustomize, bundles from the mirror."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from fleet import documents
from fleet.documents import BundleLoader
from rendering.validation import kustomize
from rendering.validation.memory import Memory
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
    memory: Memory | None = None,
) -> Build:
    """Builds ``folders`` of ``dist`` with their overlays, without network.

    A URL is read from ``mirror``; a folder that names one that is not there is not built. Folders
    with the same content are built once, and not at all if ``memory`` has what they build.
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
        groups: dict[str, list[Folder]] = {}
        for folder in folders:
            parts = [root / "dist" / Path(*folder), root / overlays.name / Path(*folder)]
            if lacking := [url for part in parts for url in _made_local(part, root, mirror)]:
                result.lacking[folder] = lacking
            else:
                groups.setdefault(_fingerprint(command, *parts), []).append(folder)
        remembered = {
            fingerprint: texts
            for fingerprint in groups
            if memory and (texts := memory.get(fingerprint)) is not None
        }

        def run(fingerprint: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*command, str(root / "dist" / Path(*groups[fingerprint][0]))],
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_SECONDS,
            )

        new = [fingerprint for fingerprint in groups if fingerprint not in remembered]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            outputs = dict(zip(new, pool.map(run, new), strict=True))
    # Clusters share most objects, and parsing is what takes time.
    known: dict[str, Mapping[str, Any]] = {}
    for fingerprint, group in groups.items():
        if fingerprint in remembered:
            objects = [_parsed(text, known, json.loads) for text in remembered[fingerprint]]
        elif (output := outputs[fingerprint]).returncode:
            result.refused.update(dict.fromkeys(group, _reason(output.stderr, root)))
            continue
        else:
            documents = filter(str.strip, output.stdout.split("\n---\n"))
            objects = [_parsed(text, known, _yaml) for text in documents]
            if memory:
                memory.add(fingerprint, objects)
        result.objects.update(dict.fromkeys(group, objects))
    return result


def _parsed(
    text: str, known: dict[str, Mapping[str, Any]], parse: Callable[[str], Mapping[str, Any]]
) -> Mapping[str, Any]:
    if text not in known:
        known[text] = parse(text)
    return known[text]


def _yaml(text: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.load(text, Loader=BundleLoader)  # noqa: S506  (a safe one)
    return document


def _made_local(folder: Path, root: Path, mirror: Path | None) -> Iterator[str]:
    """Makes the kustomizations below ``folder`` name local copies; yields URLs without a copy."""
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


def _fingerprint(command: Sequence[str], *folders: Path) -> str:
    """Equal for folders that ``command`` builds the same of.

    The program counts, and each file of the folders and of those that their kustomizations lead to,
    by name and content.
    """
    program = Path(shutil.which(command[0]) or command[0]).resolve()
    state = program.stat()
    digest = hashlib.sha256(f"{command} {program} {state.st_size} {state.st_mtime_ns}".encode())
    waiting = [(folder, str(at)) for at, folder in enumerate(folders)]
    seen: set[Path] = set()
    while waiting:
        folder, name = waiting.pop()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        for file in sorted(folder.rglob("*")):
            if not file.is_file():
                continue
            content = file.read_bytes()
            digest.update(f"\0{name}/{file.relative_to(folder)}\0{len(content)}\0".encode())
            digest.update(content)
            if file.name == kustomize.FILE_NAME:
                named = kustomize.files_named(yaml.load(content, Loader=yaml.CSafeLoader))
                waiting += [(file.parent / each, each) for each in named if _leads_out(file, each)]
    return digest.hexdigest()


def _leads_out(file: Path, name: str) -> bool:
    """Whether a text in a kustomization names a folder that is not below it."""
    return ".." in Path(name).parts and (file.parent / name).is_dir()


def _reason(stderr: str, root: Path) -> str:
    """What kustomize says, without the trail of folders that led it there."""
    text = " ".join(stderr.replace(f"{root}{os.sep}", "").split()).removeprefix("Error: ")
    return re.sub(r"^.*accumulat\w+[^:]*: ", "", text).strip("'\"\\ ") or text
