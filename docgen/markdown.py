"""How a generated part is written in Markdown."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from fleet import diagnostics
from fleet.registry import Fleet

Part: TypeAlias = Callable[[Fleet], Iterable[str]]
"""The lines of a generated part."""

BAR: Final = r"\|"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table; a ``|`` within a cell is escaped, as GitHub wants it even in code."""
    yield _row(header)
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |"


def code(text: object) -> str:
    return f"`{text}`"


def listed(names: Sequence[object]) -> str:
    """Names as code in a sentence: `a`, `b` and `c`."""
    return diagnostics.listed(map(code, names))
