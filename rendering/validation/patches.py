"""Checks the patches of a kustomization: what they say, and that what they change is there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.diagnostics import Problem, did_you_mean, shown
from rendering.validation import kustomize
from rendering.validation.objects import CLUSTER_SCOPED
from rendering.validation.schemas import Schemas, against


@dataclass
class Base:
    """What patches change: objects that are here, and perhaps others that are fetched."""

    name: str
    objects: list[Mapping[str, Any]] = field(default_factory=list)
    bundles: list[tuple[Path, str | None]] = field(default_factory=list)
    """Files of bundles that are not read yet, each with the namespace that its objects get."""
    fetches: bool = False
    ours: list[Mapping[str, Any]] = field(default_factory=list)
    """The objects that dist has files of, as they are before any patch."""

    @property
    def is_open(self) -> bool:
        """Whether there may be other objects than ``objects``."""
        return self.fetches or bool(self.bundles)


def moved(document: Mapping[str, Any], namespace: str) -> Mapping[str, Any]:
    """An object of a bundle under the namespace that its kustomization gives it.

    kustomize lets a later patch name it by its old or its new namespace.
    """
    if document.get("kind") in CLUSTER_SCOPED:
        return document
    return {**document, "metadata": {**document.get("metadata", {}), "namespace": namespace}}


def label(document: Mapping[str, Any]) -> str:
    """``Kind/name``, as every message calls an object."""
    found = kustomize.facts(document)
    return f"{found['kind']}/{found['name'] or '?'}"


def is_object(document: object) -> bool:
    """Whether a document says what it is, and so can be patched."""
    return isinstance(document, dict) and all(
        isinstance(document.get(key), str) for key in ("apiVersion", "kind")
    )


def nameless(document: Mapping[str, Any]) -> Iterator[Problem]:
    metadata = document.get("metadata")
    if isinstance(metadata, dict) and not metadata.get("name"):
        yield Problem(("metadata",), "name is missing, and is required; add it")


def check(
    schemas: Schemas, text: bytes | str, target: Mapping[str, str] | None, base: Base
) -> Iterator[str]:
    """A line for each problem of a patch, whichever of the two forms it has."""
    loaded = kustomize.loaded(text)
    if isinstance(loaded, str):
        yield loaded
        return
    for document in loaded:
        if isinstance(document, list):
            yield from _operations(schemas, document, target, base)
        elif isinstance(document, dict):
            yield from _merge(schemas, document, target, base)
        else:
            yield "is not a patch; write fields of an object, or a list of JSON 6902 operations"


def _merge(
    schemas: Schemas,
    patch: Mapping[str, Any],
    target: Mapping[str, str] | None,
    base: Base,
) -> Iterator[str]:
    """A strategic merge patch: the identity of an object, and the fields to change."""
    unknown = schemas.unknown(patch)
    wrong = (
        # A kind of a bundle that we have no bindings for is the bundle's own business.
        [unknown] if unknown and (not base.is_open or unknown.location != ("kind",)) else []
    )
    if not unknown:
        wrong += [*schemas.partial(patch), *nameless({"metadata": {}, **patch})]
    yield from (f"{label(patch)}: {problem}" for problem in wrong)
    if not wrong:
        if target is None:
            yield from _absent(patch, base)
        else:
            yield from _selected(target, base)[1]


def _absent(patch: Mapping[str, Any], base: Base) -> Iterator[str]:
    """Tells if the object is not there, by all of group, version, kind, name and namespace."""
    wanted = kustomize.facts(patch)
    candidates = [kustomize.facts(each) for each in base.objects]
    if wanted in candidates or base.is_open:
        return
    same = [each for each in candidates if _kind_name(each) == _kind_name(wanted)]
    for each in same[:1]:
        for key in kustomize.SELECTORS:
            if each[key] != wanted[key]:
                where = "metadata.namespace" if key == "namespace" else "apiVersion"
                yield (
                    f"{label(patch)}: {where}: is {wanted[key] or 'not given'}, and the object in "
                    f"{base.name} has {each[key] or 'none'}; write the same in both"
                )
    if not same:
        yield f"{label(patch)}: {_not_there(_kind_name(wanted), base)}"


def _kind_name(found: Mapping[str, str]) -> str:
    return f"{found['kind']}/{found['name']}"


def _not_there(wanted: str, base: Base) -> str:
    names = sorted({label(each) for each in base.objects})
    remedy = did_you_mean(wanted, names) or f"; it has {', '.join(names) or 'no objects'}"
    return f"there is nothing to patch in {base.name}{remedy}"


def _selected(target: Mapping[str, str], base: Base) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The objects that a target selects, or the problem that it selects none."""
    try:
        found = [each for each in base.objects if kustomize.selects(target, each)]
    except re.error as error:
        return [], [f"target: {error.pattern!r} is no regular expression ({error}); correct it"]
    if found or base.is_open:
        return found, []
    wanted = f"{target.get('kind', '')}/{target.get('name', '')}"
    return [], [f"{wanted}: {_not_there(wanted, base)}"]


def _operations(
    schemas: Schemas,
    operations: Sequence[Any],
    target: Mapping[str, str] | None,
    base: Base,
) -> Iterator[str]:
    """A JSON 6902 patch, by the schema of each kind that its target selects."""
    shape = list(against(kustomize.OPERATIONS, operations))
    yield from map(str, shape)
    if target is None:
        yield "a list of JSON 6902 operations needs a target; add target: with kind and name"
    if shape or target is None:
        return
    selected, wrong = _selected(target, base)
    yield from wrong
    kinds = {(each["apiVersion"], each["kind"]): each for each in selected}
    for each in kinds.values():
        if not schemas.unknown(each):
            for index, operation in enumerate(operations):
                for problem in _operation(schemas, each, operation):
                    yield f"{label(each)}: {problem} (operation {index})"


def _operation(
    schemas: Schemas, document: Mapping[str, Any], operation: Mapping[str, Any]
) -> Iterator[Problem]:
    name, path = operation["op"], operation["path"]
    sources = [operation.get("from", "")] if name in {"copy", "move"} else []
    for pointer in (path, *sources):
        if not pointer.startswith("/"):
            yield Problem((), f"{shown(pointer)} is no JSON pointer; write /spec/...")
            return
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
        value = (operation.get("value"),) if name in {"add", "replace"} else ()
        yield from schemas.operation(document, parts, *value)
