"""What a render changes, by cluster, component, object and field."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml

Sign = Literal["+", "-", "~"]

_LONGEST: Final = 70
"""Characters of a value that a line shows."""


@dataclass(frozen=True)
class Change:
    """A file of dist that differs; ``fields`` are lines that tell how, if both sides exist."""

    sign: Sign
    cluster: str
    component: str
    file: str
    fields: Sequence[str] = ()


def compare(old: Path, new: Path, *, only: Collection[str] | None = None) -> list[Change]:
    """The changes from the tree ``old`` to ``new``, of all clusters or ``only`` of some."""
    before, after = _files(old, only), _files(new, only)
    changes = []
    for key in sorted({**before, **after}):
        cluster, component, file = key
        was, now = before.get(key), after.get(key)
        if was is None:
            changes.append(Change("+", cluster, component, file))
        elif now is None:
            changes.append(Change("-", cluster, component, file))
        elif (was_text := was.read_bytes()) != (now_text := now.read_bytes()):
            fields = tuple(_fields("", _parse(was_text), _parse(now_text)))
            changes.append(Change("~", cluster, component, file, fields or ("layout only",)))
    return changes


def describe(changes: Sequence[Change]) -> Iterator[str]:
    """Lines for a person: clusters, under them components, under them objects and fields."""
    place: tuple[str, ...] = ()
    for change in changes:
        if place[:1] != (change.cluster,):
            yield change.cluster
        if place != (change.cluster, change.component):
            yield f"  {change.component}"
        place = (change.cluster, change.component)
        yield f"    {change.sign} {_object(change.file)}"
        for field in change.fields:
            yield f"        {field}"
    if changes:
        counts = {sign: sum(change.sign == sign for change in changes) for sign in "+-~"}
        yield f"{counts['+']} to add, {counts['~']} to change, {counts['-']} to remove"


def _files(tree: Path, only: Collection[str] | None) -> dict[tuple[str, str, str], Path]:
    found = {}
    for path in tree.glob("*/*/**/*"):
        if path.is_file():
            cluster, component, *rest = path.relative_to(tree).parts
            if rest and (only is None or cluster in only):
                found[cluster, component, "/".join(rest)] = path
    return found


def _object(file: str) -> str:
    """Kind/name, from the file Kind.name.yaml."""
    folder, _, name = file.rpartition("/")
    kind, dot, rest = name.removesuffix(".yaml").partition(".")
    label = f"{kind}/{rest}" if dot else name
    return f"{label} (in {folder})" if folder else label


def _parse(text: bytes) -> Any:
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return text.decode("utf-8", "replace")


def _fields(path: str, old: Any, new: Any) -> Iterator[str]:
    """A line for each leaf that differs; items of lists go by their name, if they have one."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            inner = f"{path}.{key}" if path else str(key)
            if key not in new:
                yield f"- {inner}: {_short(old[key])}"
            elif key not in old:
                yield f"+ {inner}: {_short(new[key])}"
            else:
                yield from _fields(inner, old[key], new[key])
    elif isinstance(old, list) and isinstance(new, list):
        for key, was, now in _pairs(old, new):
            inner = path if key == (now or was) else f"{path}[{key}]"
            if now is None:
                yield f"- {inner}: {_short(was)}"
            elif was is None:
                yield f"+ {inner}: {_short(now)}"
            else:
                yield from _fields(inner, was, now)
    elif old != new:
        yield f"{path}: {_short(old)} → {_short(new)}"


def _pairs(old: list[Any], new: list[Any]) -> Iterator[tuple[object, Any, Any]]:
    was, now = _by_key(old), _by_key(new)
    if was is None or now is None:
        was, now = dict(enumerate(old)), dict(enumerate(new))
    for key in dict.fromkeys([*was, *now]):
        yield key, was.get(key), now.get(key)


def _by_key(items: list[Any]) -> dict[object, Any] | None:
    """The items by what names them: a ``name`` field, or themselves if all are distinct text."""
    names: list[Any]
    if all(isinstance(item, Mapping) and "name" in item for item in items):
        names = [item["name"] for item in items]
    elif all(isinstance(item, str) for item in items):
        names = items
    else:
        return None
    return dict(zip(names, items, strict=True)) if len(set(names)) == len(names) else None


def _short(value: Any) -> str:
    text = (
        value
        if isinstance(value, str)
        else yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
        .removesuffix("\n...\n")
        .strip()
    )
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
