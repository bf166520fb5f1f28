"""``python main.py --validate``: every object of dist and every overlay, checked by its schema.

mypy checks our own code before it runs; this checks what no type reaches: overlays written by hand,
vendored bundles, and the output of code that nobody checked.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet.errors import InputError
from fleet.validation import kustomize, patches
from fleet.validation.patches import Base
from fleet.validation.schemas import Schemas, against


def validate(dist: Path, overlays: Path, *, shown_as: Path | None = None) -> None:
    """Raises InputError with a line for each problem.

    ``shown_as`` is what messages call ``dist``, which may be a folder still to be renamed.
    """
    if found := problems(dist, overlays, shown_as=shown_as):
        raise InputError(*found)


def problems(dist: Path, overlays: Path, *, shown_as: Path | None = None) -> list[str]:
    """A line for each problem: file, object, path, what is wrong, what to do about it."""
    check = _Check(dist, shown_as or dist)
    for folder in sorted(path for path in dist.glob("*/*") if path.is_dir()):
        overlay = overlays / folder.relative_to(dist)
        built = check.folder(folder, overlay=overlay)
        if overlay.is_dir():
            check.folder(overlay, base=built)
    return check.lines


class _Check:
    """Goes through folders and keeps a line for each problem."""

    def __init__(self, dist: Path, shown_as: Path) -> None:
        self.lines: list[str] = []
        self._dist = dist
        self._shown_as = shown_as
        self._schemas = Schemas()
        # Regions differ little: a text that comes again has the same objects and problems again.
        self._known: dict[bytes, tuple[list[Mapping[str, Any]], list[str]]] = {}

    def folder(
        self, folder: Path, *, base: Base | None = None, overlay: Path | None = None
    ) -> Base:
        """What a folder builds, and so what patches can change; ``base`` comes before it."""
        built = Base(str(self._shown(folder)))
        if base:
            built = Base(base.name, list(base.objects), fetches=base.fetches)
        file = folder / kustomize.FILE_NAME
        content = self._kustomization(file)
        for resource in content.get("resources", ()):
            path = folder / resource
            if kustomize.is_remote(resource) or path.is_dir():
                built.fetches = True
            elif path.is_file():
                built.objects += self._objects(path)
            else:
                self._tell(file, f"resources: {resource} is not there; add it, or unlist it")
        for component in content.get("components", ()):
            if not (folder / component).is_dir() and not _names(component, overlay):
                self._tell(file, f"components: {component} is not there; add it, or unlist it")
        for index, patch in enumerate(content.get("patches", ())):
            self._patch(file, index, patch, built)
        if content:
            self._unlisted(folder, content)
        return built

    def _kustomization(self, file: Path) -> Mapping[str, Any]:
        """The content, or nothing if it is wrong."""
        if not file.is_file():
            self._tell(file, "is not there, so nothing in the folder is applied; add it")
            return {}
        loaded = kustomize.loaded(file.read_bytes())
        if isinstance(loaded, str) or len(loaded) != 1:
            self._tell(file, loaded if isinstance(loaded, str) else "is not one YAML document")
            return {}
        content: Mapping[str, Any] = loaded[0]
        wrong = [str(problem) for problem in against(kustomize.SHAPE, content)]
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
        for file in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.yml"))):
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
