"""Checks objects against the schemas in imports/schemas, in words for the person who wrote them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fleet.diagnostics import HIDDEN, Location, Problem, choice, did_you_mean, redacted, shown

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

FOLDER: Final = Path(__file__).resolve().parents[2] / "imports" / "schemas"

DIRECTIVES: Final = ("$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/")
"""Keys of a strategic merge patch that are instructions (Kubernetes: api-machinery, strategic merge
patch)."""


class Schemas:
    """The schemas of all kinds the platform has bindings for."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, Any] = {
            file.name: json.loads(file.read_bytes()) for file in sorted(folder.glob("*.json"))
        }
        self._kinds = {
            (api_version, kind): f"{name}{reference}"
            for name, content in self._files.items()
            for api_version, kinds in content["kinds"].items()
            for kind, reference in kinds.items()
        }
        self._validators: dict[str, Draft202012Validator] = {}

    def unknown(self, document: Mapping[str, Any]) -> Problem | None:
        """What is wrong with the apiVersion and kind of a document, if it has no schema."""
        api_version, kind = document.get("apiVersion"), document.get("kind")
        for key, value in (("apiVersion", api_version), ("kind", kind)):
            if not isinstance(value, str) or not value:
                return Problem((key,), f"{shown(value)} is no name; every object has one here")
        if (api_version, kind) in self._kinds:
            return None
        versions = sorted(known for known, name in self._kinds if name == kind)
        if versions:
            return Problem(
                ("apiVersion",),
                f"{shown(api_version)} is not a version of {kind} known here"
                f"{choice(api_version, versions)}",
            )
        kinds = {name for _, name in self._kinds}
        remedy = did_you_mean(kind, kinds) or (
            "; if it is meant, add the URL of its CRD to imports: in cdk8s.yaml "
            "and run python -m fleet import"
        )
        return Problem(("kind",), f"no schema of {api_version} {kind} is known here{remedy}")

    def whole(self, document: Mapping[str, Any]) -> Iterator[Problem]:
        """What is wrong with an object of a known kind."""
        for error in self._errors(document, document):
            yield from _explained(error, secret=_is_secret(document))

    def partial(self, patch: Mapping[str, Any]) -> Iterator[Problem]:
        """What is wrong with a strategic merge patch of a known kind.

        Keys may be missing and a null deletes. Lists of a custom resource are replaced as a whole,
        since nothing tells kustomize how to merge them, so what is in these is checked in full.
        """
        lists_are_replaced = not self._kinds[patch["apiVersion"], patch["kind"]].startswith("k8s.")
        for error in self._errors(patch, patch):
            in_list = any(isinstance(part, int) for part in error.absolute_path)
            if error.validator == "required" and not (in_list and lists_are_replaced):
                continue
            if error.instance is not None:
                yield from _explained(error, ignored=DIRECTIVES, secret=_is_secret(patch))

    def operation(
        self, kind: Mapping[str, Any], pointer: Sequence[str], *value: Any
    ) -> Iterator[Problem]:
        """What is wrong with a JSON pointer into an object of a known kind, and with a value there.

        The value is checked as part of an otherwise empty object, in which only what is missing
        inside the value counts.
        """
        steps, problem = self._steps(kind, pointer)
        if problem:
            yield problem
            return
        document: Any = value[0] if value else None
        for step in reversed(steps):
            document = [document] if isinstance(step, int) else {step: document}
        for error in self._errors(kind, document):
            outside = len(error.absolute_path) < len(steps)
            if (error.validator == "required" and outside) or (not value and not outside):
                continue
            for location, text in _explained(error, secret=_is_secret(kind)):
                # In the document a list has one item, whichever the pointer names.
                yield Problem(_restored(location, steps, pointer), text)

    def _steps(
        self, kind: Mapping[str, Any], pointer: Sequence[str]
    ) -> tuple[list[str | int], Problem | None]:
        """The pointer as keys and, where the schema has a list, positions."""
        steps: list[str | int] = []
        schema, file = self._deref({"$ref": self._kinds[kind["apiVersion"], kind["kind"]]}, "")
        for part in pointer:
            if schema.get("type") != "array":
                steps.append(part)
                inner = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
            elif part == "-" or part.isdecimal():
                steps.append(0)
                inner = schema.get("items")
            else:
                return steps, Problem(
                    (*_restored(steps, steps, pointer), part),
                    f"{shown(part)} is no position in a list; give a number, or - for its end",
                )
            schema, file = self._deref(inner if isinstance(inner, dict) else {}, file)
        return steps, None

    def _deref(self, schema: Mapping[str, Any], file: str) -> tuple[Mapping[str, Any], str]:
        if "$ref" not in schema:
            return schema, file
        name, _, pointer = schema["$ref"].partition("#")
        return self._files[name or file]["$defs"][pointer.rsplit("/", 1)[-1]], name or file

    def _errors(self, kind: Mapping[str, Any], document: object) -> "Iterator[ValidationError]":
        target = self._kinds[kind["apiVersion"], kind["kind"]]
        if target not in self._validators:
            self._validators[target] = _validator({"$ref": target}, self._files)
        return self._validators[target].iter_errors(document)


def _validator(
    schema: Mapping[str, Any], files: Mapping[str, Any] | None = None
) -> "Draft202012Validator":
    # A render without --validate does not pay for this import, which takes a tenth of a second.
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415
    from referencing.jsonschema import DRAFT202012  # noqa: PLC0415

    resources = [(name, DRAFT202012.create_resource(file)) for name, file in (files or {}).items()]
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft202012Validator(schema, registry=registry)


def _restored(
    location: Sequence[str | int], steps: Sequence[str | int], pointer: Sequence[str]
) -> Location:
    """``location`` with the positions that the pointer has where ``steps`` are in a list."""
    positions = [
        int(part) if isinstance(step, int) and part.isdecimal() else part
        for step, part in zip(steps, pointer, strict=False)
    ]
    return (*positions[: len(location)], *location[len(positions) :])


def against(schema: Mapping[str, Any], document: object) -> Iterator[Problem]:
    """What is wrong with a document by a schema of our own."""
    for error in _validator(schema).iter_errors(document):
        yield from _explained(error)


def _is_secret(document: Mapping[str, Any]) -> bool:
    return document.get("kind") == "Secret"


def _explained(
    error: "ValidationError", *, ignored: tuple[str, ...] = (), secret: bool = False
) -> Iterator[Problem]:
    """An error of jsonschema in our words, with what to do about it.

    Keys that begin with one of ``ignored`` are no problem. Of a ``secret`` no data is shown.
    """
    at = tuple(error.absolute_path)
    value: Any = error.instance
    written = HIDDEN if secret and at[:1] in {("data",), ("stringData",)} else shown(value)
    rule: Any = error.validator_value
    schema = error.schema if isinstance(error.schema, dict) else {}
    match error.validator:
        case "additionalProperties":
            known = schema.get("properties", {})
            for key in value:
                if key not in known and not str(key).startswith(ignored or ("\0",)):
                    others = [name for name in known if name not in value]
                    yield Problem((*at, key), f"no such field{choice(key, others)}")
        case "required":
            # One error a missing key, which only the message names.
            for key in rule:
                if key not in value and error.message.startswith(repr(key)):
                    yield Problem(at, f"{key} is missing, and is required; add it")
        case "enum":
            yield Problem(at, f"{written} is not allowed{choice(value, rule)}")
        case "const":
            yield Problem(at, f"{written} is not allowed; write {rule}")
        case "type":
            kinds = [rule] if isinstance(rule, str) else rule
            wanted = " or ".join(KIND_NAMES[kind] for kind in kinds)
            yield Problem(at, f"{written} is not {wanted}; {_type_remedy(value, kinds)}")
        case "anyOf":
            best = min(error.context or (), key=lambda each: -len(each.absolute_path))
            yield from _explained(best, ignored=ignored, secret=secret)
        case _:
            yield Problem(at, redacted(error.message))


KIND_NAMES: Final = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "null",
}


def _type_remedy(value: object, kinds: Iterable[str]) -> str:
    if value is None:
        return "give it a value, or leave the field out"
    if "string" in kinds and not isinstance(value, dict | list):
        return "put it in quotes"
    if isinstance(value, str) and _reads_as(value, kinds):
        return "write it without quotes"
    if "array" in kinds:
        return "write a list, of one item if need be"
    if "object" in kinds:
        return "write a mapping of fields"
    return "give a value of that type"


def _reads_as(text: str, kinds: Iterable[str]) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return (isinstance(value, bool) and "boolean" in kinds) or (
        isinstance(value, int | float) and bool({"integer", "number"} & set(kinds))
    )
