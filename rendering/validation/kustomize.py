"""What a kustomization.yaml may say, and which objects its patches are for."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml

from fleet import documents
from fleet.diagnostics import redacted

FILE_NAME: Final = "kustomization.yaml"

_STRING: Final = {"type": "string"}
_STRINGS: Final = {"type": "array", "items": _STRING}
_STRING_MAP: Final = {"type": "object", "additionalProperties": _STRING}
_OBJECT: Final = {"type": "object"}
_OBJECTS: Final = {"type": "array", "items": _OBJECT}
_FLAG: Final = {"type": "boolean"}

SELECTORS: Final = ("group", "version", "kind", "name", "namespace")


def _only(*required: str, **fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": fields,
        "required": list(required),
        "additionalProperties": False,
    }


# kustomize's api/types (Kustomization, Patch, Selector), less what it calls deprecated.
_SHAPE: Final = _only(
    "kind",
    apiVersion=_STRING,
    kind=_STRING,
    metadata=_OBJECT,
    buildMetadata=_STRINGS,
    commonAnnotations=_STRING_MAP,
    components=_STRINGS,
    configMapGenerator=_OBJECTS,
    configurations=_STRINGS,
    crds=_STRINGS,
    generatorOptions=_OBJECT,
    generators=_STRINGS,
    helmCharts=_OBJECTS,
    helmGlobals=_OBJECT,
    images=_OBJECTS,
    labels=_OBJECTS,
    namePrefix=_STRING,
    nameSuffix=_STRING,
    namespace=_STRING,
    openapi=_STRING_MAP,
    patches={
        "type": "array",
        "items": _only(
            path=_STRING,
            patch=_STRING,
            target=_only(
                labelSelector=_STRING,
                annotationSelector=_STRING,
                **dict.fromkeys(SELECTORS, _STRING),
            ),
            options=_only(allowNameChange=_FLAG, allowKindChange=_FLAG),
        ),
    },
    replacements=_OBJECTS,
    replicas=_OBJECTS,
    resources=_STRINGS,
    secretGenerator=_OBJECTS,
    sortOptions=_OBJECT,
    transformers=_STRINGS,
    validators=_STRINGS,
)


def _of_kind(kind: str, version: str) -> dict[str, Any]:
    fields = {
        **_SHAPE["properties"],
        "apiVersion": {"const": f"kustomize.config.k8s.io/{version}"},
        "kind": {"const": kind},
    }
    return {**_SHAPE, "properties": fields}


SHAPE: Final[Mapping[str, Mapping[str, Any]]] = {
    "Kustomization": _of_kind("Kustomization", "v1beta1"),
    "Component": _of_kind("Component", "v1alpha1"),
}
"""What a kustomization.yaml may hold, by the kind that is needed: an overlay is a Component."""

MIRROR_REMEDY: Final = "run `make mirror`"

OPERATIONS: Final = {
    "type": "array",
    "items": _only(
        "op",
        "path",
        op={"enum": ["add", "copy", "move", "remove", "replace", "test"]},
        path=_STRING,
        value={},
        **{"from": _STRING},
    ),
}
"""A JSON 6902 patch."""


def is_remote(resource: str) -> bool:
    """Whether kustomize fetches it: a URL, or git's host:path and host//path?ref=."""
    marks = ("://", "//", "?ref=")
    return any(mark in resource for mark in marks) or resource.startswith(("git@", "github.com/"))


def files_named(value: object) -> Iterator[str]:
    """Every text in a kustomization that can name a file; generators write key=file."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from files_named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from files_named(inner)
    elif isinstance(value, str) and "\n" not in value:
        yield value.rpartition("=")[2].removeprefix("./")


def facts(document: Mapping[str, Any]) -> dict[str, str]:
    """What a selector can ask of an object, however malformed."""
    group, _, version = str(document.get("apiVersion", "")).rpartition("/")
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return {
        "group": group,
        "version": version,
        "kind": str(document.get("kind", "")),
        "name": str(metadata.get("name", "")),
        "namespace": str(metadata.get("namespace", "")),
    }


def selects(target: Mapping[str, str], document: Mapping[str, Any]) -> bool:
    """Whether the target of a patch takes in an object.

    A selector is a regular expression for the whole of a name (kustomize, types.SelectorRegex).
    """
    found = facts(document)
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return all(
        re.fullmatch(target[key], found[key]) for key in SELECTORS if target.get(key)
    ) and all(
        _has(metadata.get(f"{which}s") or {}, target.get(f"{which}Selector", ""))
        for which in ("label", "annotation")
    )


def _has(values: Mapping[str, str], selector: str) -> bool:
    """Whether labels meet a selector of equalities; a selector by sets is taken to be met."""
    if "(" in selector or "!" in selector:
        return True
    for part in filter(None, map(str.strip, selector.split(","))):
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.lstrip("=").strip()
        if key not in values or (equals and values[key] != value):
            return False
    return True


def objects_in(documents: Iterable[Any]) -> Iterator[Any]:
    """The objects of documents; kustomize takes a list of objects for its items."""
    for document in documents:
        items = document.get("items") if isinstance(document, dict) else None
        if isinstance(items, list) and str(document.get("kind")).endswith("List"):
            yield from items
        else:
            yield document


def loaded(text: bytes | str) -> list[Any] | str:
    """The documents of a text, or why it has none."""
    try:
        return documents.load_all(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return f"line {line}: {redacted(str(error.problem))}; correct the YAML"
    except (yaml.YAMLError, ValueError) as error:
        return f"{redacted(str(error).splitlines()[0])}; correct the YAML"
