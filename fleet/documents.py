"""Reads YAML the way Kubernetes does, and writes it so that every reader finds the same strings."""

import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]
    """YAML 1.1 without what Go's YAML leaves a string: timestamps, base 60, a lone ``=``.

    A key given twice is an error, as it is to kustomize; PyYAML keeps the last.
    """

    yaml_implicit_resolvers: ClassVar = {
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag.rsplit(":", 1)[-1] not in {"timestamp", "value", "int", "float"}
        ]
        for first, resolvers in _BASE.yaml_implicit_resolvers.items()
    }

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002  (as in PyYAML)
    ) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen and key.tag == "tag:yaml.org,2002:str":
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


_INT = r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)$"
_FLOAT = (
    r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$"
    r"|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(_INT), list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(_FLOAT), list("-+0123456789."))


class BundleLoader(yaml.CSafeLoader):
    """A fast reader for what kustomize or upstream wrote.

    Leaves the lone ``=`` of prometheus-operator's CRDs a string, as Kubernetes does.
    """


BundleLoader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def load_all(text: str | bytes) -> list[Any]:
    """The documents of a YAML text, empty ones left out. Raises yaml.YAMLError."""
    return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]


def read_all(path: Path) -> list[Any]:
    return load_all(path.read_bytes())


AMBIGUOUS: Final = (
    r"^(?:[yYnN]|[Yy]es|YES|[Nn]o|NO|[Oo]n|ON|[Oo]ff|OFF|[Tt]rue|TRUE|[Ff]alse|FALSE"
    r"|~|[Nn]ull|NULL|=|<<"
    # Go ignores underscores and accepts prefixes in capitals, even with a sign behind: 0X1F, 0o-7.
    r"|[-+]?_*0_*(?:[xX][0-9a-fA-F_]+|[oO]_*[-+]?[0-7_]+|[bB]_*[-+]?[01_]+)"
    # Decimal, octal as 017, base 60 as 12:30:45.
    r"|[-+]?[0-9_]*(?::[0-5]?[0-9])*(?:\.[0-9_]*)?(?:[eE]_*[-+]?[0-9_]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?)$"
)
"""Strings that some reader of YAML takes for another type when they are not quoted.

The readers are those of YAML 1.1 (PyYAML; sigs.k8s.io/yaml, which kubectl and kustomize use) and of
YAML 1.2 (the core schema, js-yaml, Go's yaml.v3). The syntax is what Python and JavaScript share.
"""


class _Dumper(yaml.CSafeDumper):
    """Quotes what is ambiguous, and keeps multi-line text, such as Lua, legible in a diff.

    What several places share is written in each, without YAML's anchors and aliases.
    """

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _range(dumper: _Dumper, value: range) -> yaml.SequenceNode:
    """As a list that fills its lines: a line for each number would be hundreds."""
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(range, _range)
# PyYAML quotes a string where the plain form would resolve to another type.
_Dumper.add_implicit_resolver("!ambiguous", re.compile(AMBIGUOUS), None)


def dump(value: Mapping[str, Any] | Sequence[Any], *, width: int = 100) -> str:
    """``value`` as YAML, keys in the order given."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=width)
    return text
