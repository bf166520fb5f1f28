"""Published API schemas cut down to structure: fields, types, required keys, enums.

The kinds of a module and the objects in them become one table of named JSON Schemas, equal ones
under one name. Stubs for type checkers and schemas for ``--validate`` are two prints of that table.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

Schema = dict[str, Any]
Path = tuple[str, ...]
# What an object with fields at a path is replaced by, and what a reference to a definition is.
Extract = Callable[[Schema, Path], Schema]
Resolve = Callable[[str], Schema]

# Groups of the Kubernetes API that the platform models or that come with the bundles `vendor`
# writes. A kind in several versions is taken in its newest stable one.
KUBERNETES_GROUPS = {
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
}

# Fields of an object that are not its body: the first three every kind has, the cluster writes the
# fourth.
NOT_BODY = {"apiVersion", "kind", "metadata", "status"}

# Names that a generated module has for something else.
RESERVED = {"Any", "Construct", "Literal", "Mapping", "Required", "Resource", "Sequence", "Strings"}

# Parts of a path that say nothing of what is in it; alone they are no name.
VAGUE = {"spec", "metadata", "operation"}
UNDER_KIND = 2

# Fields by which references of every sort are alike.
TELLING_LITTLE = {"name", "namespace"}

OBJECT_META = "ObjectMeta"
INT_OR_STRING: Schema = {"type": ["integer", "string"]}

# Definitions of the swagger whose JSON differs from what they say (apimachinery, UnmarshalJSON).
SPECIAL: Mapping[str, Schema] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
}


@dataclass(frozen=True)
class Kind:
    name: str
    api_version: str
    body: Mapping[str, Schema]
    required: tuple[str, ...]


@dataclass
class Module:
    """Kinds, the structures that ``#/$defs/<name>`` refers to, and second names of structures."""

    kinds: list[Kind] = field(default_factory=list)
    structures: dict[str, Schema] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


def reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def reduced(schema: Schema, at: Path, extract: Extract, resolve: Resolve) -> Schema:
    """The structure of ``schema``."""
    if "$ref" in schema:
        return resolve(schema["$ref"].rsplit("/", 1)[-1])
    if schema.get("x-kubernetes-int-or-string"):
        return INT_OR_STRING
    result: Schema = {key: schema[key] for key in ("type", "enum") if key in schema}
    properties, values = schema.get("properties"), schema.get("additionalProperties")
    if schema.get("type") == "array":
        result["items"] = reduced(schema.get("items", {}), singular(at), extract, resolve)
    elif properties:
        result["properties"] = {
            key: reduced(value, (*at, key), extract, resolve)
            for key, value in sorted(properties.items())
        }
        result["required"] = required_keys(schema)
        result["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        result = extract(result, at)
    elif isinstance(values, dict):
        result["additionalProperties"] = reduced(values, at, extract, resolve)
    if schema.get("nullable"):
        return {"anyOf": [result, {"type": "null"}]}
    return result


def required_keys(schema: Schema) -> list[str]:
    """Keys to be given; the API server fills in defaults before it looks for required ones."""
    properties = schema.get("properties", {})
    return sorted(
        key for key in schema.get("required", ()) if "default" not in properties.get(key, {})
    )


def body_of(schema: Schema, at: Path, extract: Extract, resolve: Resolve) -> dict[str, Schema]:
    return {
        key: reduced(value, (*at, key), extract, resolve)
        for key, value in sorted(schema.get("properties", {}).items())
        if key not in NOT_BODY
    }


# Custom resources: structures are nameless, so they are collected first and named by their paths.


def from_crds(
    crds: Iterable[Mapping[str, Any]], kubernetes: Mapping[str, Schema] | None = None
) -> Module:
    """A module of the version of each custom resource that is stored.

    Where custom resources have a structure of ``kubernetes`` in them, it bears the name from there.
    """
    numbers: dict[str, int] = {}
    found: list[Schema] = []
    paths: defaultdict[int, set[Path]] = defaultdict(set)

    def extract(schema: Schema, at: Path) -> Schema:
        number = numbers.setdefault(json.dumps(schema, sort_keys=True), len(found))
        if number == len(found):
            found.append(schema)
        paths[number].add(at)
        return reference(str(number))

    def resolve(definition: str) -> Schema:
        raise ValueError(f"$ref to {definition} in a CRD")

    module = Module()
    for crd in sorted(crds, key=lambda crd: str(crd["spec"]["names"]["kind"])):
        spec, name = crd["spec"], crd["spec"]["names"]["kind"]
        version = next(version for version in spec["versions"] if version["storage"])
        schema = version["schema"]["openAPIV3Schema"]
        module.kinds.append(
            Kind(
                name,
                f"{spec['group']}/{version['name']}",
                body_of(schema, (name,), extract, resolve),
                tuple(key for key in required_keys(schema) if key not in NOT_BODY),
            )
        )
    taken = {OBJECT_META, *RESERVED, *(kind.name for kind in module.kinds)}
    names = named_as_in(kubernetes or {}, found, paths, taken)
    names = named(paths, names, taken)
    module.structures = {names[number]: renamed(found[number], names) for number in names}
    module.kinds = [
        Kind(kind.name, kind.api_version, renamed(dict(kind.body), names), kind.required)
        for kind in module.kinds
    ]
    module.aliases = {
        "".join(map(camel, path)): names[number]
        for number, places in paths.items()
        for path in places
        if len(path) == UNDER_KIND and "".join(map(camel, path)) != names[number]
    }
    return module


def renamed(schema: Schema, names: Mapping[int, str]) -> Schema:
    """``schema`` with the numbers in its references replaced by names."""
    text = re.sub(
        r'"#/\$defs/(\d+)"', lambda match: f'"#/$defs/{names[int(match[1])]}"', json.dumps(schema)
    )
    result: Schema = json.loads(text)
    return result


def named_as_in(
    kubernetes: Mapping[str, Schema],
    structures: Sequence[Schema],
    paths: Mapping[int, set[Path]],
    taken: Iterable[str],
) -> dict[int, str]:
    """Names of Kubernetes for structures that have exactly the fields of one of its own.

    Of several that differ in their enums or required keys, the one in most places has the name.
    """
    by_fields: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for name, schema in kubernetes.items():
        by_fields[frozenset(schema["properties"])].append(name)
    names: dict[int, str] = {}
    for number in sorted(paths, key=lambda number: (-len(paths[number]), number)):
        fields = frozenset(structures[number].get("properties", ()))
        candidates = by_fields[fields] if len(fields) > 1 and fields != TELLING_LITTLE else []
        kubernetes_name = most_called(candidates, paths[number])
        if kubernetes_name and kubernetes_name not in {*taken, *names.values()}:
            names[number] = kubernetes_name
    return names


def most_called(names: Sequence[str], places: Iterable[Path]) -> str | None:
    """The one of ``names`` that most places have in their path; None if two draw.

    Names are compared without the ending that they share: ``keySecret`` is for SecretKeySelector
    rather than ConfigMapKeySelector, and ``password`` for neither.
    """
    if len(names) < 2:
        return names[0] if names else None
    endings = zip(*map(reversed, names), strict=False)
    shared = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, endings))
    texts = ["".join(path).lower() for path in places]
    calls = Counter(
        {name: sum(name[: len(name) - shared].lower() in text for text in texts) for name in names}
    )
    (first, most), (_, second) = calls.most_common(2)
    return first if most > second else None


def named(
    paths: Mapping[int, set[Path]], known: Mapping[int, str], taken: set[str]
) -> dict[int, str]:
    """``known``, and for every other structure as many last parts of its path as no other has."""
    parts = {number: telling_path(places) for number, places in paths.items()}
    names = dict(known)
    used = {*taken, *names.values()}
    for length in range(1, max(map(len, parts.values()), default=0) + 1):
        wanted: defaultdict[str, list[int]] = defaultdict(list)
        for number, path in parts.items():
            if number not in names and (length > 1 or path[-1] not in VAGUE):
                wanted["".join(map(camel, path[-length:]))].append(number)
        for name, numbers in wanted.items():
            if len(numbers) == 1 and name not in used:
                names[numbers[0]] = name
                used.add(name)
    if nameless := {number: parts[number] for number in parts.keys() - names.keys()}:
        raise ValueError(f"structures without a name of their own: {nameless}")
    return dict(sorted(names.items(), key=lambda item: item[1]))


def telling_path(places: Iterable[Path]) -> Path:
    """The path a structure is named by: straight under a kind, or else as most places call it."""
    calls = Counter(path[-1] for path in places)
    kind, *between, last = min(
        places, key=lambda path: (len(path) > UNDER_KIND, -calls[path[-1]], len(path), path)
    )
    return (kind, *(part for part in between if part not in VAGUE), last)


def singular(at: Path) -> Path:
    """``at`` with the last part in the singular, which is what one item of that list is called."""
    for plural, one in ((r"ies$", "y"), (r"(ss|x|ch|sh|ias)es$", r"\1"), (r"(?<=[^su])s$", "")):
        if re.search(plural, at[-1]):
            return (*at[:-1], re.sub(plural, one, at[-1]))
    return at


def camel(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^0-9A-Za-z]+", text))


# The Kubernetes API: structures are definitions, which refer to one another by name.


def from_swagger(swagger: Mapping[str, Any]) -> Module:
    """A module of the newest stable version of each kind in KUBERNETES_GROUPS."""
    definitions: Mapping[str, Schema] = swagger["definitions"]
    newest = newest_kinds(definitions)
    module = Module()
    names = {
        f"io.k8s.apimachinery.pkg.apis.meta.v1.{OBJECT_META}": OBJECT_META,
        # A kind inside another object (a StatefulSet's claim templates) is no construct.
        **{definition: f"{kind}Object" for kind, (_, definition, _) in newest.items()},
    }

    def extract(_schema: Schema, at: Path) -> Schema:
        raise ValueError(f"{'.'.join(at)}: an object that is no definition")

    def resolve(definition: str) -> Schema:
        schema = definitions[definition]
        if definition in SPECIAL or not schema.get("properties"):
            return SPECIAL.get(definition) or reduced(schema, (definition,), extract, resolve)
        if definition not in names:
            names[definition] = short_name(definition, {*names.values(), *newest, *RESERVED})
        name = names[definition]
        if name not in module.structures:
            module.structures[name] = {}  # a definition may refer to itself
            module.structures[name] = {
                "type": "object",
                "properties": {
                    key: reduced(value, (name, key), extract, resolve)
                    for key, value in sorted(schema["properties"].items())
                },
                "required": required_keys(schema),
                "additionalProperties": False,
            }
        return reference(name)

    # Core first: where two groups use one name, the core one has it unprefixed.
    for kind, (_, definition, api_version) in sorted(
        newest.items(), key=lambda item: ("/" in item[1][2], item[0])
    ):
        schema = definitions[definition]
        required = tuple(key for key in required_keys(schema) if key not in NOT_BODY)
        body = body_of(schema, (kind,), extract, resolve)
        module.kinds.append(Kind(kind, api_version, body, required))
    resolve(f"io.k8s.apimachinery.pkg.apis.meta.v1.{OBJECT_META}")
    module.kinds.sort(key=lambda kind: kind.name)
    module.structures = dict(sorted(module.structures.items()))
    return module


def newest_kinds(definitions: Mapping[str, Schema]) -> dict[str, tuple[int, str, str]]:
    """The newest stable version, its definition and apiVersion of each kind in the groups above."""
    newest: dict[str, tuple[int, str, str]] = {}
    for definition, schema in definitions.items():
        # Lists have another metadata; DeleteOptions and the like, which each group has, none.
        metadata = schema.get("properties", {}).get("metadata", {}).get("$ref", "")
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            group, version, kind = gvk["group"], gvk["version"], gvk["kind"]
            stable = re.fullmatch(r"v(\d+)", version)
            if stable and group in KUBERNETES_GROUPS and metadata.endswith(f".{OBJECT_META}"):
                found = (int(stable[1]), definition, f"{group}/{version}".lstrip("/"))
                newest[kind] = max(newest.get(kind, found), found)
    return newest


def short_name(definition: str, taken: set[str]) -> str:
    group, _, name = definition.split(".")[-3:]
    return name if name not in taken else camel(group) + name
