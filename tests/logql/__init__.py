"""LogQL, checked without Loki: parsed with Grafana's own grammar, then held to Loki's other rules.

The grammar is @grafana/lezer-logql, which Grafana's query editor uses. Some queries fit the grammar
and Loki still refuses them; ``faults`` knows these:

- a selector that could match every stream, such as ``{app=~".*"}``
- a regular expression or an escape sequence that does not compile
- ``topk`` and ``quantile_over_time`` without their number, or a number where none belongs
- ``unwrap`` missing where a function needs it, or present where a function cannot use it
- grouping by a function that cannot group, and arithmetic on log lines

It does not check the templates of ``line_format``, nor whether a label exists.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import promql_parser

from tests.npm import Packages

PACKAGES: Final = Packages("logql", Path(__file__).parent)
ERROR: Final = "error"

WITH_NUMBER: Final = frozenset({"topk", "bottomk", "approx_topk", "quantile_over_time"})
WITHOUT_UNWRAP: Final = frozenset(
    {"bytes_over_time", "bytes_rate", "count_over_time", "rate", "absent_over_time"}
)
EITHER_WAY: Final = frozenset({"rate", "absent_over_time"})
GROUPING: Final = frozenset(
    f"{name}_over_time"
    for name in ("avg", "first", "last", "max", "min", "quantile", "stddev", "stdvar")
)
NOT_GROUPING: Final = frozenset({"approx_topk", "sort", "sort_desc"})


@dataclass(frozen=True)
class Node:
    """A node of a syntax tree, named as in the grammar, and the part of the query it covers."""

    name: str
    text: str
    children: tuple["Node", ...]

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> "Node":
        return cls(plain["name"], plain["text"], tuple(map(cls.read, plain["children"])))

    def child(self, name: str) -> "Node | None":
        return next((each for each in self.children if each.name == name), None)

    def walk(self) -> Iterator["Node"]:
        yield self
        for each in self.children:
            yield from each.walk()

    @property
    def is_metric(self) -> bool:
        """Whether the query gives numbers, and not lines."""
        return any(each.name == "MetricExpr" for each in self.walk())


def parse(queries: Sequence[str]) -> list[Node]:
    """The syntax tree of each query; raises NotInstalledError if the grammar is not installed."""
    trees = PACKAGES.run("parse.cjs", given=list(queries))
    return [Node.read(each) for each in trees]


def faults(query: Node) -> list[str]:
    """Why Loki would refuse a query; empty if it would take it."""
    for node in query.walk():
        if node.name == ERROR:
            at = f"at {node.text!r}" if node.text else "where something is missing"
            return [f"syntax error {at} in {query.text!r}"]
    return [
        fault for node in query.walk() if node.name in _CHECKS for fault in _CHECKS[node.name](node)
    ]


def _selector(node: Node) -> Iterator[str]:
    """Prometheus has the same rule: one matcher at least must not match an empty value."""
    yield from _parsed_as_promql(node.text, node.text)


def _matcher(node: Node) -> Iterator[str]:
    _, operator, text = node.children
    yield from _string(text, pattern=operator.name in ("Re", "Nre"))


def _line_filter(node: Node) -> Iterator[str]:
    pattern = node.children[0].text in ("|~", "!~")
    for each in node.walk():
        if each.name == "String":
            yield from _string(each, pattern=pattern)


def _label_parser(node: Node) -> Iterator[str]:
    if node.children[0].name == "Regexp":
        yield from _string(node.children[1], pattern=True)


def _vector_aggregation(node: Node) -> Iterator[str]:
    function = node.children[0].text
    yield from _number(node, function)
    if node.child("Grouping") and function in NOT_GROUPING:
        yield f"{function} cannot group: {node.text}"


def _range_aggregation(node: Node) -> Iterator[str]:
    function = node.children[0].text
    yield from _number(node, function)
    unwraps = any(each.name == "UnwrapExpr" for each in node.walk())
    if unwraps and function in WITHOUT_UNWRAP - EITHER_WAY:
        yield f"{function} cannot use unwrap: {node.text}"
    if not unwraps and function not in WITHOUT_UNWRAP:
        yield f"{function} needs unwrap: {node.text}"
    if node.child("Grouping") and function not in GROUPING:
        yield f"{function} cannot group: {node.text}"


def _arithmetic(node: Node) -> Iterator[str]:
    for each in node.children:
        if each.name == "Expr" and each.child("LogExpr"):
            yield f"arithmetic on log lines, not on numbers: {each.text}"


_CHECKS: Final[Mapping[str, Callable[[Node], Iterator[str]]]] = {
    "Selector": _selector,
    "Matcher": _matcher,
    "LineFilter": _line_filter,
    "LabelParser": _label_parser,
    "VectorAggregationExpr": _vector_aggregation,
    "RangeAggregationExpr": _range_aggregation,
    "BinOpExpr": _arithmetic,
}


def _number(node: Node, function: str) -> Iterator[str]:
    number = node.child("Number")
    if function in WITH_NUMBER and not number:
        yield f"{function} needs a number first: {node.text}"
    if function not in WITH_NUMBER and number:
        yield f"{function} takes no number: {node.text}"


def _string(node: Node, *, pattern: bool) -> Iterator[str]:
    # promql_parser reads escapes between backticks too, where there are none.
    text = json.dumps(node.text[1:-1]) if node.text.startswith("`") else node.text
    yield from _parsed_as_promql(f'{{x{"=~" if pattern else "="}{text},y="z"}}', node.text)


def _parsed_as_promql(promql: str, text: str) -> Iterator[str]:
    try:
        promql_parser.parse(promql)
    except ValueError as error:
        yield f"{error}: {text}"
