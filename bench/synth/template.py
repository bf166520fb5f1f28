"""What a peer is given: the objects of one region, and where its facts stand in them.

The places are found by comparing the rendered objects of two regions. A region's values are its
entry in the registry, as they would be in a chart or an overlay that a person writes.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from bench.synth import fleets
from bench.synth.objects import Components, rendered
from fleet.registry import Fleet

# No object of ours has it; Prometheus has labels between underscores.
_MARK: Final = re.compile(r"@@(\w+?)@@")


class Place(NamedTuple):
    """A text in an object, with a mark where each fact of the region stands."""

    location: tuple[str | int, ...]
    marked: str


Places: TypeAlias = Mapping[tuple[str, str], Sequence[Place]]
"""By component and file; objects without any are left out."""

Split: TypeAlias = Callable[[Components], Mapping[str, Components]]
"""How a cluster is cut into parts, of which a peer makes each in a process of its own."""


def whole(components: Components) -> Mapping[str, Components]:
    """All components of a cluster in one process."""
    return {"cluster": components}


def each(components: Components) -> Mapping[str, Components]:
    """A process a component, as Argo CD has an Application for each."""
    return {name: {name: files} for name, files in components.items()}


class Template:
    """A rendered fleet, of which one region stands for all."""

    def __init__(self, fleet: Fleet, dist: Path) -> None:
        self.dist = dist
        self.facts = {cluster.name: fleets.facts(cluster) for cluster in fleet.clusters}
        self._first, self._second = (each.name for each in (fleet.regions * 2)[:2])
        self._hub = fleet.hub.name

    def model(self, cluster: str) -> str:
        """The cluster whose objects those of ``cluster`` are made from; the hub is its own."""
        return self._hub if cluster == self._hub else self._first

    def objects(self, model: str) -> Components:
        return self._models[model]

    def places(self, model: str) -> Places:
        return self._places if model == self._first else {}

    @cached_property
    def _models(self) -> Mapping[str, Components]:
        return {name: rendered(self.dist / name) for name in (self._hub, self._first)}

    @cached_property
    def _places(self) -> Places:
        others = rendered(self.dist / self._second)
        found = {
            (component, file): list(
                places(
                    body, others[component][file], self.facts[self._first], self.facts[self._second]
                )
            )
            for component, files in self._models[self._first].items()
            for file, body in files.items()
        }
        return {key: value for key, value in found.items() if value}


def places(
    one: Any,
    other: Any,
    facts: Mapping[str, str],
    others: Mapping[str, str],
    location: tuple[str | int, ...] = (),
) -> Iterator[Place]:
    """Where ``one`` object differs from the ``other``, each a region's with these facts.

    Raises ValueError at a difference that the facts do not explain.
    """
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from places(one[key], other[key], facts, others, (*location, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            yield from places(*pair, facts, others, (*location, index))
    elif one != other:
        marked = str(one)
        for key in sorted(facts, key=lambda key: -len(facts[key])):
            marked = marked.replace(facts[key], f"@@{key}@@")
        if fill(marked, others) != other:
            where = ".".join(map(str, location))
            raise ValueError(f"{where}: no fact tells {one!r} from {other!r}")
        yield Place(location, marked)


def fill(marked: str, facts: Mapping[str, str]) -> str:
    return _MARK.sub(lambda mark: facts[mark[1]], marked)


def rewrite_marks(marked: str, by: str) -> str:
    r"""``marked`` with each mark as ``by``, in which ``\1`` is the fact's key."""
    return _MARK.sub(by, marked)
