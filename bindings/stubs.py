"""Prints a module of structures as Python: a stub for type checkers, and the kinds behind it."""

import json
import keyword

from bindings.structures import OBJECT_META, Kind, Module, Schema

SCALARS = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "Mapping[str, Any]",
}

STUB_IMPORTS = f"""\
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

from cdk8s import ApiObject
from constructs import Construct

from bindings.kinds import {OBJECT_META} as {OBJECT_META}
from bindings.kinds import Strings
"""


def stub(module: Module) -> str:
    """The .pyi: every structure as a TypedDict, every kind with the fields it takes."""
    structures = [
        _typed_dict(name, schema)
        for name, schema in module.structures.items()
        if name != OBJECT_META  # what a caller may set of it is in bindings/kinds.py
    ]
    aliases = [f"{name} = {of}\n" for name, of in sorted(module.aliases.items())]
    return "\n".join([STUB_IMPORTS, *structures, *aliases, *map(_signature, module.kinds)])


def classes(module: Module) -> str:
    """The .py: at run time a structure is a dict, so a name and its call stay usable."""
    names = sorted({*module.structures, *module.aliases} - {OBJECT_META})
    aliases = "".join(f"{name} = dict\n" for name in names)
    kinds = "".join(
        f'{kind.name} = Kind("{kind.api_version}", "{kind.name}")\n' for kind in module.kinds
    )
    imports = f"from bindings.kinds import Kind, {OBJECT_META}  # noqa: F401\n"
    return f"{imports}\n{aliases}\n{kinds}" if aliases else f"{imports}\n{kinds}"


def _typed_dict(name: str, schema: Schema) -> str:
    if schema["additionalProperties"]:
        # A TypedDict has no place for fields that the schema does not name.
        return f"{name} = Mapping[str, Any]\n"
    fields = {key: _field(key, schema) for key in schema["properties"]}
    if all(map(_is_name, fields)):
        lines = "".join(f"    {key}: {kind}\n" for key, kind in fields.items())
        return f"class {name}(TypedDict, total=False):\n{lines}"
    lines = "".join(f"        {json.dumps(key)}: {kind},\n" for key, kind in fields.items())
    return f'{name} = TypedDict(\n    "{name}",\n    {{\n{lines}    }},\n    total=False,\n)\n'


def _field(key: str, schema: Schema) -> str:
    kind = _type(schema["properties"][key])
    return f"Required[{kind}]" if key in schema["required"] else kind


def _type(schema: Schema) -> str:
    match schema:
        case {"$ref": target}:
            return str(target.rsplit("/", 1)[-1])
        case {"anyOf": options}:
            return " | ".join(map(_type, options))
        case {"enum": values}:
            return f"Literal[{', '.join(map(json.dumps, values))}]"
        case {"type": [*options]}:
            return " | ".join(SCALARS[option] for option in options)
        case {"type": "array", "items": item}:
            return "Strings" if _type(item) == "str" else f"Sequence[{_type(item)}]"
        case {"type": "object", "additionalProperties": values}:
            return f"Mapping[str, {_type(values)}]"
        case _:
            return SCALARS.get(schema.get("type", ""), "Any")


def _signature(kind: Kind) -> str:
    fields = "".join(
        f"    {key}: {_type(schema)}{'' if key in kind.required else ' = ...'},\n"
        for key, schema in kind.body.items()
    )
    return (
        f"def {kind.name}(\n"
        "    scope: Construct,\n"
        "    id: str,\n"
        "    *,\n"
        f"    metadata: {OBJECT_META} = ...,\n"
        f"{fields}"
        ") -> ApiObject: ...\n"
    )


def _is_name(key: str) -> bool:
    return key.isidentifier() and not keyword.iskeyword(key)
