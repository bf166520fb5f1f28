"""Every query of rules and dashboards, and which metrics there are to ask for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import promql_parser
import yaml
from prometheus_client import Counter, Gauge, Histogram

from charts.monitoring.dashboards import DASHBOARDS
from foobar_api import metrics
from rendering.validation.objects import Object
from tests.objects import ROOT

METRICS: Final = ROOT / "tests" / "fixtures" / "metrics"

VARIABLES: Final = {
    "$__rate_interval": "5m",
    "$__auto": "5m",
    "$__interval": "30m",
    "$cluster": "us-east",
    "$namespace": ".*",
    "${app:queryparam}": "var-app=foobar-api",
    "$app": ".*",
    "$metric": "process_open_fds",
    "$search": "",
}
"""What Grafana puts in for a variable, and a test may as well."""

SYNTHETIC: Final = frozenset(
    {
        # What Prometheus itself adds to every scrape, and to every alert.
        "up",
        "scrape_duration_seconds",
        "scrape_samples_post_metric_relabeling",
        "scrape_samples_scraped",
        "ALERTS",
        "ALERTS_FOR_STATE",
    }
)


def filled(query: str, values: Mapping[str, str] = VARIABLES) -> str:
    """``query`` with a value for each variable of Grafana's."""
    for name, value in values.items():
        query = query.replace(name, value)
    # What is left is a group of label_replace().
    assert not re.search(r"\$\D", query), query
    return query


def rules(objects: Sequence[Object]) -> list[Mapping[str, Any]]:
    """The rules of every PrometheusRule among ``objects``."""
    return [
        rule
        for each in objects
        if each.kind == "PrometheusRule"
        for group in each.body["spec"]["groups"]
        for rule in group["rules"]
    ]


def targets(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Panel or annotation, kind of data source and query, of each query of a dashboard.

    Grafana sends a query to the data source of its panel, and ignores the one that the query names.
    """
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            where = f"{panel['title']} {target['refId']}"
            yield where, panel["datasource"]["type"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        where = f"{annotation['name']}, annotation"
        yield where, annotation["datasource"]["type"], annotation["target"]["expr"]


def logql_of_dashboards() -> Iterator[tuple[str, str]]:
    """Where it stands, and the query: for one choice of the variables, and for *All* of each."""
    for dashboard in DASHBOARDS:
        variables = dashboard["templating"]["list"]
        everything = {
            # Without a value for all, Grafana puts in those that there are.
            f"${variable['name']}": variable.get("allValue", "(a|b-c)")
            for variable in variables
            if variable.get("includeAll")
        }
        asked = [(where, query) for where, kind, query in targets(dashboard) if kind == "loki"]
        for variable in variables:
            if variable.get("datasource", {}).get("type") == "loki":
                found = re.fullmatch(r"label_values\((?:(.*), )?\w+\)", variable["query"])
                assert found, variable["query"]
                if found[1]:
                    asked.append((f"${variable['name']}", found[1]))
        for where, query in asked:
            for choice, values in (("one", VARIABLES), ("All", {**VARIABLES, **everything})):
                yield f"{dashboard['uid']}: {where}, {choice}", filled(query, values)


def promql_of_dashboards() -> Iterator[tuple[str, str]]:
    """Where it stands, and the query with its variables filled in."""
    for dashboard in DASHBOARDS:
        for title, kind, query in targets(dashboard):
            if kind == "prometheus":
                yield f"{dashboard['uid']}: {title}", filled(query)
        for variable in dashboard["templating"]["list"]:
            if variable.get("datasource", {}).get("type") == "prometheus":
                found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
                assert found, variable["query"]
                # A query for names has none.
                if found[2] != "__name__":
                    yield f"{dashboard['uid']}: ${variable['name']}", filled(found[1])


def selectors(query: str) -> Iterator[promql_parser.VectorSelector]:
    """Each vector selector of a query, wherever it stands in it."""
    return (node for node in _nodes(query) if isinstance(node, promql_parser.VectorSelector))


def _nodes(query: str) -> Iterator[Any]:
    """Each part of a query, and their parts."""
    todo: list[Any] = [promql_parser.parse(query)]
    while todo:
        node = todo.pop()
        yield node
        match node:
            case promql_parser.VectorSelector():
                pass
            case promql_parser.MatrixSelector():
                todo.append(node.vector_selector)
            case promql_parser.BinaryExpr():
                todo += [node.lhs, node.rhs]
            case promql_parser.Call():
                todo += node.args
            case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
                pass
            case _:
                # Aggregations, parentheses, subqueries, and minus.
                todo.append(node.expr)


def ranges(query: str) -> Iterator[tuple[str, float]]:
    """Each metric that a query reads over a range, and the minutes of the range."""
    for node in _nodes(query):
        if isinstance(node, promql_parser.MatrixSelector):
            yield node.vector_selector.name or "", node.range.total_seconds() / 60


def names(query: str) -> set[str]:
    """The names of the metrics that a query asks for."""
    found = {each.name for each in selectors(query)}
    assert None not in found, f"{query}: a selector without a name"
    return found  # type: ignore[return-value] # as just checked


def exported() -> set[str]:
    """All names that exporters have: tests/fixtures/metrics/ lists them, the app declares them."""
    listed = {line for file in METRICS.glob("*.txt") for line in file.read_text().split()}
    return listed | set(_declared())


def _declared() -> Iterator[str]:
    for collector in vars(metrics).values():
        if isinstance(collector, Counter | Gauge | Histogram):
            for metric in collector.describe():
                endings = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
                for ending in endings.get(metric.type, ("",)):
                    yield f"{metric.name}{ending}"


def recorded(found: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names that ``found`` rules make."""
    return {rule["record"] for rule in found if "record" in rule}


def of_bundles(built: Sequence[Object]) -> Mapping[str, Mapping[str, Any]]:
    """Dashboards of kube-prometheus by name; it brings each in a ConfigMap."""
    return {
        each.name.removeprefix("grafana-dashboard-"): yaml.load(text, Loader=yaml.CSafeLoader)
        for each in built
        if each.kind == "ConfigMap" and each.name.startswith("grafana-dashboard-")
        for text in each.body["data"].values()
    }
