"""The files of dist and of overlays as they are written: their form, schema and targets.

mypy checks our own code before it runs; this checks what no type reaches: overlays written by hand,
vendored bundles, and the output of code that nobody checked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from fleet.diagnostics import choice, shown
from fleet.documents import BundleLoader
from rendering.validation import kustomize, patches
from rendering.validation.build import Folder
from rendering.validation.patches import Base
from rendering.validation.schemas import Schemas, against
from rendering.vendored import VENDOR
from upstream.fetch import place

Manifest = Mapping[str, Any]


class Sources(NamedTuple):
    """A line for each problem, the folders that have one, and the objects of all others."""

    lines: Sequence[str]
    wrong: frozenset[Folder]
    objects: Mapping[Folder, Sequence[Manifest]]


def check(
    dist: Path, overlays: Path, *, shown_as: Path | None = None, mirror: Path | None = None
) -> Sources:
    """Checks every folder of ``dist``, and its overlay.

    A line names the file, the object, the path, what is wrong and what to do about it. Patches of
    a bundle are held against what ``mirror`` has of it.
    """
    check = _Check(dist, shown_as or dist, mirror)
    wrong: set[Folder] = set()
    objects: dict[Folder, Sequence[Manifest]] = {}
    for cluster, component in folders(dist):
        before = len(check.lines)
        folder, overlay = dist / cluster / component, overlays / cluster / component
        built = check.folder(folder, overlay=overlay)
        if overlay.is_dir():
            check.folder(overlay, base=check.with_bundles(built), kind="Component")
        if len(check.lines) > before:
            wrong.add((cluster, component))
        else:
            objects[cluster, component] = built.ours
    return Sources(check.lines, frozenset(wrong), objects)


def folders(dist: Path) -> list[Folder]:
    """The folders of ``dist`` that Argo CD would deploy: <cluster>/<component>."""
    return sorted((path.parent.name, path.name) for path in dist.glob("*/*") if path.is_dir())


class _Check:
    """Goes through folders and keeps a line for each problem."""

    def __init__(self, dist: Path, shown_as: Path, mirror: Path | None) -> None:
        self.lines: list[str] = []
        self._dist = dist
        self._shown_as = shown_as
        self._mirror = mirror
        self._bundles: dict[Path, list[Manifest]] = {}
        self._schemas = Schemas()
        # Regions differ little: a text that comes again has the same objects and problems again.
        self._known: dict[bytes, tuple[list[Mapping[str, Any]], list[str]]] = {}

    def folder(
        self,
        folder: Path,
        *,
        base: Base | None = None,
        overlay: Path | None = None,
        kind: str = "Kustomization",
        outer: tuple[Path, ...] = (),
    ) -> Base:
        """What a folder builds, and so what patches can change; ``base`` comes before it.

        ``outer`` are the folders that led here.
        """
        built = Base(str(self._shown(folder)))
        if base:
            built = Base(base.name, list(base.objects), fetches=base.fetches)
            self._links(folder)
        file = folder / kustomize.FILE_NAME
        by_hand = not folder.is_relative_to(self._dist)
        content = self._kustomization(file, kind)
        for resource in content.get("resources", ()):
            if by_hand and kustomize.is_remote(resource):
                self._tell(
                    file,
                    f"resources: Argo CD would fetch {shown(resource)}, which nobody has "
                    "reviewed; copy the file into the folder",
                )
            elif (folder / resource).resolve() in (*outer, folder.resolve()):
                self._tell(file, f"resources: {resource} leads back here; unlist it")
            else:
                self._resource(file, resource, built, (*outer, folder.resolve()))
        if namespace := content.get("namespace"):
            built.bundles = [(bundle, namespace) for bundle, _ in built.bundles]
        for component in content.get("components", ()):
            if kustomize.is_remote(component):
                self._tell(
                    file,
                    f"components: Argo CD would fetch {shown(component)}, which nobody has "
                    "reviewed; copy it into the repository",
                )
            elif not (folder / component).is_dir() and not _names(component, overlay):
                self._tell(file, f"components: {component} is not there; add it, or unlist it")
        for index, patch in enumerate(content.get("patches", ())):
            self._patch(file, index, patch, built)
        if base:
            self._images(file, content, built)
        if content:
            self._unlisted(folder, content)
        return built

    def _links(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() and not path.is_file():
                self._tell(path, "is a link to no file; replace it by what it should lead to")

    def _images(self, file: Path, content: Mapping[str, Any], built: Base) -> None:
        """An entry of ``images`` for an image that nothing runs would change nothing."""
        known = {
            container["image"].partition("@")[0].rpartition(":")[0] or container["image"]
            for each in built.objects
            for container in _containers(each)
        }
        for entry in content.get("images", ()):
            if entry.get("name") not in known and not built.is_open:
                self._tell(
                    file,
                    f"images: no container runs {shown(entry.get('name'))}"
                    f"{choice(entry.get('name'), known)}",
                )

    def _resource(self, file: Path, resource: str, built: Base, outer: tuple[Path, ...]) -> None:
        path = file.parent / resource
        if VENDOR.name in Path(resource).parts:
            # dist may be staged elsewhere; the copies are held to their sums when they are loaded.
            path = VENDOR / resource.rpartition(f"../{VENDOR.name}/")[2]
            built.bundles.append((path / path.name, None))
        elif kustomize.is_remote(resource):
            source = self._mirror / place(resource) if self._mirror else None
            if source and source.is_file():
                built.bundles.append((source, None))
            else:
                built.fetches = True
        elif path.is_dir():
            inner = self.folder(path, outer=outer)
            built.objects += inner.objects
            built.bundles += inner.bundles
            built.ours += inner.ours
            built.fetches |= inner.fetches
        elif path.is_file():
            objects = self._objects(path)
            built.objects += objects
            built.ours += objects
        else:
            self._tell(file, f"resources: {resource} is not there; add it, or unlist it")

    def _kustomization(self, file: Path, kind: str) -> Mapping[str, Any]:
        """The content, or nothing if it is wrong."""
        if not file.is_file():
            self._tell(file, "is not there, so nothing in the folder is applied; add it")
            return {}
        loaded = kustomize.loaded(file.read_bytes())
        if isinstance(loaded, str) or len(loaded) != 1:
            self._tell(file, loaded if isinstance(loaded, str) else "is not one YAML document")
            return {}
        content: Mapping[str, Any] = loaded[0]
        wrong = [str(problem) for problem in against(kustomize.SHAPE[kind], content)]
        self._tell(file, *wrong)
        return {} if wrong else content

    def _objects(self, file: Path) -> list[Mapping[str, Any]]:
        text = file.read_bytes()
        if text not in self._known:
            loaded = kustomize.loaded(text)
            objects: list[Any] = []
            if not isinstance(loaded, str):
                objects += kustomize.objects_in(loaded)
            wrong = [loaded] if isinstance(loaded, str) else []
            wrong += [line for each in objects for line in self._object(each)]
            self._known[text] = list(filter(patches.is_object, objects)), wrong
        objects, wrong = self._known[text]
        self._tell(file, *wrong)
        return objects

    def _object(self, document: object) -> Iterator[str]:
        if not isinstance(document, dict):
            yield "holds something that is no Kubernetes object; write a mapping"
        elif unknown := self._schemas.unknown(document):
            yield f"{patches.label(document)}: {unknown}"
        else:
            for problem in (*self._schemas.whole(document), *patches.nameless(document)):
                yield f"{patches.label(document)}: {problem}"

    def with_bundles(self, base: Base) -> Base:
        """``base`` with the objects of its bundles, which take seconds to read."""
        objects = list(base.objects)
        for file, namespace in base.bundles:
            if file not in self._bundles:
                documents = yaml.load_all(file.read_bytes(), Loader=BundleLoader)
                self._bundles[file] = [each for each in documents if each]
            objects += self._bundles[file]
            if namespace:
                objects += [patches.moved(each, namespace) for each in self._bundles[file]]
        return replace(base, objects=objects, bundles=[])

    def _patch(self, file: Path, index: int, patch: Mapping[str, Any], base: Base) -> None:
        text: bytes | str
        match patch:
            case {"path": path, **rest} if "patch" not in rest:
                source = file.parent / path
                if not source.is_file():
                    self._tell(
                        file, f"patches[{index}].path: {path} is not there; add it, or unlist it"
                    )
                    return
                file, where, text = source, "", source.read_bytes()
            case {"patch": text, **rest} if "path" not in rest:
                where = f"patches[{index}]: "
            case _:
                self._tell(file, f"patches[{index}]: give either path or patch")
                return
        for line in patches.check(self._schemas, text, patch.get("target"), base):
            self._tell(file, f"{where}{line}")

    def _unlisted(self, folder: Path, content: Mapping[str, Any]) -> None:
        named = {kustomize.FILE_NAME, *kustomize.files_named(content)}
        bases = [folder / each for each in content.get("resources", ()) if (folder / each).is_dir()]
        for file in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.yml"))):
            if any(file.is_relative_to(each) for each in bases):
                continue
            if file.relative_to(folder).as_posix() not in named:
                self._tell(
                    file,
                    f"{kustomize.FILE_NAME} does not name it, so it is not applied; "
                    "list it, or remove the file",
                )

    def _tell(self, file: Path, *lines: str) -> None:
        self.lines += [f"{self._shown(file)}: {line}" for line in lines]

    def _shown(self, path: Path) -> Path:
        if path.is_relative_to(self._dist):
            return self._shown_as / path.relative_to(self._dist)
        return path


def _names(component: str, overlay: Path | None) -> bool:
    """Whether ``component`` is the overlay by its last parts: dist may be staged elsewhere."""
    parts = Path(component).parts[-3:]
    return overlay is not None and overlay.is_dir() and overlay.resolve().parts[-3:] == parts


def _containers(document: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping of a document that has an image, which is what kustomize looks for."""
    if isinstance(document, dict):
        if isinstance(document.get("image"), str):
            yield document
        for each in document.values():
            yield from _containers(each)
    elif isinstance(document, list):
        for each in document:
            yield from _containers(each)
