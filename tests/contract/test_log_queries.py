"""Every LogQL query of the project: dashboards, documents, and what `fleet status` asks Loki."""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from charts.monitoring.dashboards import DASHBOARDS
from charts.monitoring.loki import INDEX_LABELS
from operations import hub
from tests import logql
from tests.npm import NotInstalledError
from tests.objects import ROOT
from tests.queries import logql_of_dashboards, targets

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

BARE_SELECTOR = re.compile(r'(?<![\w:])\{(?!__name__)\w+(?:=~|!~|!=|=)"')
"""One without the name of a metric, so LogQL: PromQL in our documents always names one."""


def of_documents() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        where = str(document.relative_to(ROOT))
        for block in re.findall(r"```logql\n(.*?)```", text, re.DOTALL):
            yield from ((where, line) for line in block.splitlines())
        text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for code in re.findall(r"`([^`\n]+)`", text):
            if BARE_SELECTOR.search(code):
                yield where, code


def of_status() -> Iterator[tuple[str, str]]:
    """What `fleet status` really sends."""
    urls: list[str] = []

    def results(url: str) -> Sequence[Any]:
        urls.append(url)
        return ()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "_results", results)
        hub._newest_lines("http://loki.invalid", ("hub", "north"))
    for url in urls:
        yield "operations/hub.py", parse_qs(urlsplit(url).query)["query"][0]


QUERIES = sorted({*logql_of_dashboards(), *of_documents(), *of_status()})


@pytest.fixture(scope="module")
def trees() -> list[logql.Node]:
    try:
        return logql.parse([query for _, query in QUERIES])
    except NotInstalledError as error:
        pytest.skip(str(error))


def test_every_source_has_queries() -> None:
    """A walk that finds nothing would prove nothing."""
    places = {where.partition(":")[0].split("/")[0] for where, _ in QUERIES}
    assert places >= {"docs", "operations", "logs", "region", "apps", "traefik"}
    assert {where for where, _ in QUERIES if where.startswith("docs/runbooks/")}


def test_loki_would_take_every_query(trees: list[logql.Node]) -> None:
    """By the grammar of Grafana's editor, and Loki's rules beyond it."""
    faults = {
        where: found
        for (where, _), tree in zip(QUERIES, trees, strict=True)
        if (found := logql.faults(tree))
    }
    assert faults == {}


def test_selectors_are_of_index_labels(trees: list[logql.Node]) -> None:
    """By any other label Loki would look through everything."""
    labels = {
        (where, matcher.children[0].text)
        for (where, _), tree in zip(QUERIES, trees, strict=True)
        for selector in tree.walk()
        if selector.name == "Selector"
        for matcher in selector.walk()
        if matcher.name == "Matcher"
    }
    assert {(where, label) for where, label in labels if label not in INDEX_LABELS} == set()


def test_panels_ask_for_what_they_draw(trees: list[logql.Node]) -> None:
    """A panel of lines asks for lines, a graph for numbers."""
    types = {
        f"{dashboard['uid']}: {where}": panel["type"]
        for dashboard in DASHBOARDS
        for panel in dashboard["panels"]
        for where, kind, _ in targets({"panels": [panel], "annotations": {"list": []}})
        if kind == "loki"
    }
    by_place = {where: tree for (where, _), tree in zip(QUERIES, trees, strict=True)}
    for where, panel_type in types.items():
        assert by_place[f"{where}, one"].is_metric == (panel_type != "logs"), where
