"""Reads a YAML file that a person wrote, and remembers on which line each value stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from fleet.errors import InputError

Location: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the top of a document to a value."""


@dataclass(frozen=True)
class Source:
    """A document: its plain data, and where each value of it stands."""

    path: Path
    data: Any
    lines: dict[Location, int]

    def problem(self, location: Location, text: str) -> str:
        """One line that points at ``location``, or at the nearest thing above it that is there."""
        known = location
        while known not in self.lines:
            known = known[:-1]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
        told = f"{where.removeprefix('.')}: {text}" if where else text
        return f"{self.path}:{self.lines[known]}: {told}"


def read(path: Path) -> Source:
    """Reads ``path``; raises InputError unless it is one YAML document of plain data.

    A key that stands twice in a mapping is a problem, and so is every further one: PyYAML would
    keep the last and say nothing.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        byte = error.object[error.start]
        raise InputError(
            f"{path}:{line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            raise InputError(f"{path}: is empty; docs/registry.md says what belongs in it")
        lines: dict[Location, int] = {}
        twice = list(_walk(node, (), lines, ()))
        if twice:
            raise InputError(*(f"{path}:{problem}" for problem in twice))
        return Source(path, loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise InputError(f"{path}{place}: not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text[: int(error.position)].count("\n") + 1
        raise InputError(
            f"{path}:{line}: character U+{ord(error.character):04X} is not allowed in YAML"
        ) from None
    except (ValueError, RecursionError) as error:
        # A date such as 2026-13-45, or collections nested a thousand deep.
        raise InputError(f"{path}: a value cannot be read: {error}") from None


def _walk(
    node: yaml.Node, location: Location, lines: dict[Location, int], above: Sequence[yaml.Node]
) -> Iterator[str]:
    """Notes the line of everything under ``node``; yields what is wrong with its keys."""
    lines[location] = node.start_mark.line + 1
    if node in above:
        yield f"{lines[location]}: an alias contains itself"
        return
    above = (*above, node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*location, index), lines, above)
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                yield f"{line}: a key is a list or a mapping; keys are text"
                continue
            if key.value in first:
                yield (
                    f"{line}: key {key.value} stands on line {first[key.value]} already; "
                    "keep one of the two"
                )
            first.setdefault(key.value, line)
            yield from _walk(value, (*location, key.value), lines, above)
            # A missing or unknown key is told by the line of the key, not of its value.
            lines[*location, key.value] = line
