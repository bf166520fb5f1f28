"""Reads a YAML file that a person wrote, and remembers where each value stands and how it is said.

What YAML lets pass in silence is a problem here: a key given twice, and a key without a value.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from fleet.diagnostics import (
    Location,
    Problem,
    as_written,
    listed,
    may_hold_a_credential,
    redacted,
    shown,
)
from fleet.errors import InputError

_TEXT: Final = "tag:yaml.org,2002:str"
_NULL: Final = "tag:yaml.org,2002:null"


class Place(NamedTuple):
    """Where a value stands, and a scalar as it is written: ``010``, which YAML reads as 8."""

    line: int
    written: str = ""


@dataclass(frozen=True)
class Source:
    """A document: its plain data, the place of each value, and what is wrong whatever it means."""

    path: Path
    data: Any
    places: Mapping[Location, Place]
    problems: tuple[Problem, ...]

    def report(self, problems: Iterable[Problem]) -> list[str]:
        """One line for each problem, in the order of the file."""
        lines = {problem: self._nearest(problem.location).line for problem in problems}
        return [
            f"{self.path}:{line}: {problem}"
            for problem, line in sorted(lines.items(), key=lambda item: item[1])
        ]

    def written(self, location: Location) -> str:
        """A scalar as it is in the file, fit to be shown."""
        place = self.places.get(location)
        return as_written(place.written) if place else "it"

    def _nearest(self, location: Location) -> Place:
        """The place of a location, or of the first thing above it that the file has."""
        while location not in self.places:
            location = location[:-1]
        return self.places[location]


def read(path: Path) -> Source:
    """Reads ``path``; raises InputError unless it is one YAML document of plain data."""
    text = _decoded(path)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None or node.tag == _NULL:
            raise InputError(f"{path}: is empty; docs/registry.md says what belongs in it")
        places: dict[Location, Place] = {}
        problems = tuple(_walk(node, (), places, set()))
        return Source(path, loader.construct_document(node), places, problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        told = redacted(", ".join(filter(None, (error.context, error.problem))))
        raise InputError(f"{path}{place}: not YAML: {told}; {_remedy(told)}") from None
    except yaml.reader.ReaderError as error:
        before = text[: int(error.position)].split("\n")
        raise InputError(
            f"{path}:{len(before)}:{len(before[-1]) + 1}: not YAML: character "
            f"U+{error.character:04X} is not allowed; remove it"
        ) from None
    except RecursionError:
        raise InputError(f"{path}: is nested too deep to be read; flatten it") from None


def _decoded(path: Path) -> str:
    """The text of a file, without the byte order mark that some editors begin it with."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; name one with --fleet") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        byte = error.object[error.start]
        raise InputError(
            f"{path}:{line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        ) from None


# The C loader of PyYAML ends the process on some ten thousand brackets; this one is asked for
# 200 clusters in 50 ms.
class _Loader(yaml.SafeLoader):
    """YAML of text, truths, numbers, lists and mappings: dates are text, all else is refused."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in PyYAML
        first: [
            (tag, pattern) for tag, pattern in resolvers if not tag.endswith(("stamp", "value"))
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {  # noqa: RUF012
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.endswith((":str", ":bool", ":int", ":float", ":null", ":seq", ":map"))
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Marks the place of what has the form of a number and is none that Python reads."""
        try:
            return super().construct_object(node, deep=deep)
        except (ArithmeticError, LookupError, ValueError):
            raise yaml.constructor.ConstructorError(
                None, None, f"{shown(str(node.value))} cannot be read", node.start_mark
            ) from None


def _walk(
    node: yaml.Node, location: Location, places: dict[Location, Place], seen: set[int]
) -> Iterator[Problem]:
    """Notes the place of everything under ``node``; yields what is wrong with its keys.

    What an alias repeats is noted once, so that no file grows beyond its size.
    """
    line = node.start_mark.line + 1
    places.setdefault(
        location, Place(line, node.value if isinstance(node, yaml.ScalarNode) else "")
    )
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        _refuse_surrogates(node)
        if node.tag == _NULL:
            yield Problem(location, "has no value; give one, or remove it")
        elif may_hold_a_credential(node.value):
            yield Problem(location, "may hold a credential; remove it here and make it a Secret")
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*location, index), places, seen)
    elif isinstance(node, yaml.MappingNode):
        yield from _walk_keys(node, location, places, seen)


def _walk_keys(
    node: yaml.MappingNode, location: Location, places: dict[Location, Place], seen: set[int]
) -> Iterator[Problem]:
    lines: dict[str, list[int]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                None, None, "a key is a list or a mapping, and keys are text", key.start_mark
            )
        _refuse_surrogates(key)
        line = key.start_mark.line + 1
        # No key is a number or a truth, so that `on` is an unknown key by its own name; nor does
        # `<<` merge another mapping.
        key.tag = _TEXT
        lines.setdefault(key.value, []).append(line)
        yield from _walk(value, (*location, key.value), places, seen)
        # What is said of a key points at the key, though its value may begin on the next line.
        places[*location, key.value] = Place(line, _written(value))
    for key, standing in lines.items():
        if len(standing) > 1:
            yield Problem(
                (*location, key), f"is on lines {listed(map(str, standing))}; keep one of them"
            )


def _written(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _refuse_surrogates(node: yaml.ScalarNode) -> None:
    r"""Refuses what no file can hold: PyYAML makes half a character of the escape ``\ud800``."""
    try:
        node.value.encode()
    except UnicodeEncodeError:
        raise yaml.constructor.ConstructorError(
            None, None, f"{shown(node.value)} has half a character", node.start_mark
        ) from None


def _remedy(told: str) -> str:
    if r"\t" in told:
        return "indent with spaces"
    if "another document" in told:
        return "keep one of the two"
    if "tag" in told:
        return "write plain text, without a tag"
    return "mend it there or just above"
