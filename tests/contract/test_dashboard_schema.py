"""Our dashboards have no field, option or value that Grafana's own schema does not know."""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from charts.monitoring.dashboards import DASHBOARDS
from charts.monitoring.dashboards.model import (
    Column,
    Query,
    Row,
    Variable,
    dashboard,
    graph,
    lines,
    number,
    table,
)
from charts.upstream import GRAFANA_VERSION
from tests import grafana
from tests.npm import NotInstalledError

SAMPLE = dashboard(
    "sample",
    "Sample",
    "",
    Row(
        [
            graph("Graph", Query("up"), limit=1),
            number("Number", Query("up")),
            table(
                "Table", Column("Up", "up", values=((1, "yes", "green"),)), key="job", key_title="J"
            ),
            lines("Lines", '{app="a"}'),
        ],
        heading="Heading",
    ),
    variables=[Variable("job", "label_values(up, job)", "Job")],
)
"""One of each part."""

MISTAKES: Mapping[str, tuple[Sequence[str | int], Any, str]] = {
    "an option that the panel does not have": (
        ["panels", 1, "options", "legend", "showlegend"],
        True,
        "panels[1].options.legend.showlegend: Object literal may only specify known properties",
    ),
    "a value of the wrong type": (
        ["panels", 1, "fieldConfig", "defaults", "custom", "lineWidth"],
        "1",
        "panels[1].fieldConfig.defaults.custom.lineWidth: Type 'string' is not assignable",
    ),
    "a value that is none of those there are": (
        ["panels", 2, "options", "colorMode"],
        "values",
        "panels[2].options.colorMode: Type '\"values\"' is not assignable",
    ),
    "an option of another panel": (
        ["panels", 4, "options", "textMode"],
        "auto",
        "panels[4].options.textMode: Object literal may only specify known properties",
    ),
    "a field of the dashboard": (
        ["refreshs"],
        "1m",
        "refreshs: Object literal may only specify known properties",
    ),
    "a kind of panel": (["panels", 1, "type"], "graph", "panels[1].type: Type '\"graph\"' is not"),
    "a query for another data source": (
        ["panels", 1, "datasource", "type"],
        "loki",
        "panels[1]",
    ),
    "an override": (
        ["panels", 3, "fieldConfig", "overrides", 0, "properties", 0, "value"],
        1,
        "panels[3].fieldConfig.overrides[0].properties[0]: ",
    ),
    "a variable": (
        ["templating", "list", 0, "refresh"],
        7,
        "templating.list[0].refresh: Type '7' is not assignable",
    ),
}


def checked(*dashboards: Any) -> list[list[str]]:
    try:
        return grafana.faults(dashboards)
    except NotInstalledError as error:
        pytest.skip(str(error))


def test_grafana_knows_every_field_and_value() -> None:
    faults = checked(*DASHBOARDS)
    assert {
        each["uid"]: found for each, found in zip(DASHBOARDS, faults, strict=True) if found
    } == {}


def test_a_mistake_is_found_where_it_is() -> None:
    planted = []
    for path, value, _ in MISTAKES.values():
        wrong = copy.deepcopy(SAMPLE)
        place: Any = wrong
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        planted.append(wrong)
    sound, *faults = checked(SAMPLE, *planted)
    assert sound == []
    for (mistake, (*_, message)), found in zip(MISTAKES.items(), faults, strict=True):
        assert any(fault.startswith(message) for fault in found), (mistake, found)


def test_the_schema_is_of_the_grafana_that_the_hub_runs() -> None:
    packages = json.loads((grafana.FOLDER / "package.json").read_text("utf-8"))
    assert packages["dependencies"]["@grafana/schema"] == GRAFANA_VERSION
