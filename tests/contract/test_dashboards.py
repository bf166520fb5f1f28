"""Dashboards ask only what is there to be answered, and lead only to what is there."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.monitoring.dashboards import DASHBOARDS, UPSTREAM
from charts.monitoring.dashboards.model import COLUMNS, Json, Query, graph
from charts.monitoring.grafana import DATA_SOURCES
from rendering.validation.objects import Object
from tests.queries import (
    SYNTHETIC,
    VARIABLES,
    exported,
    filled,
    names,
    of_bundles,
    promql_of_dashboards,
    recorded,
    rules,
    targets,
)

SERIES = Path(__file__).with_name("dashboards.yaml")
QUERIES = list(promql_of_dashboards())
BY_UID = {dashboard["uid"]: dashboard for dashboard in DASHBOARDS}
PROVIDED = [
    {"type": source["type"], "uid": source["uid"]} for source in DATA_SOURCES["datasources"]
]
DEFAULT = {"default"} | {
    source[key]
    for source in DATA_SOURCES["datasources"]
    if source.get("isDefault")
    for key in ("name", "uid")
}
"""Whatever leads to the default data source."""
MIXED = {"type": "datasource", "uid": "-- Mixed --"}
"""What a panel has whose queries name their own data sources."""
OF_GRAFANA = (MIXED, {"type": "datasource", "uid": "grafana"})
BUILT_IN = {
    *("__all", "__auto", "__data", "__field", "__from", "__to", "__value"),
    *("__interval", "__range", "__rate_interval"),
}
"""Variables, and values of variables, that Grafana itself has."""
UNDECLARED = {"k8s-resources-node": {"namespace"}}
"""Variables that kube-prometheus forgets: this one leaves a link without a namespace."""


def walk(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Each part of a dashboard, with its path."""
    yield where, value
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from walk(part, f"{where}.{key}")
    elif isinstance(value, list):
        for at, part in enumerate(value):
            yield from walk(part, f"{where}[{at}]")


def variables(text: str) -> set[str]:
    """The variables of Grafana's that a text uses; ``$1`` is a group of label_replace()."""
    return set(re.findall(r"\$\{?([A-Za-z_]\w*)", text))


def test_there_are_as_many_as_are_named() -> None:
    assert len(QUERIES) >= 80


@pytest.mark.parametrize(("where", "query"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_query_asks_for_metrics_that_exist(
    where: str, query: str, objects: Sequence[Object]
) -> None:
    """It is PromQL; an exporter has each name, or a rule of ours makes it."""
    known = exported() | SYNTHETIC | recorded(rules(objects))
    assert names(query) <= known, where


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: str(dashboard["uid"]))
def test_panels_lie_side_by_side(dashboard: Json) -> None:
    """Within the width, none over another, each with an id and a title of its own."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    titles = [panel["title"] for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: str(dashboard["uid"]))
def test_variables_are_declared(dashboard: Json) -> None:
    """In queries, titles and links alike."""
    declared = {variable["name"] for variable in dashboard["templating"]["list"]}
    for where, value in walk(dashboard):
        if isinstance(value, str):
            assert variables(value) <= declared | BUILT_IN, where


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: str(dashboard["uid"]))
def test_queries_go_to_the_data_source_of_their_panel(dashboard: Json) -> None:
    """Grafana has each data source that is named, and sends a query where the query wants to go."""
    places = [*dashboard["panels"], *dashboard["annotations"]["list"]]
    for place in places:
        for target in place.get("targets", ()):
            assert target["datasource"] == place["datasource"], place["title"]
    named = [value for where, value in walk(dashboard) if where.endswith(".datasource")]
    assert len(named) >= len([place for place in places if place.get("type") != "row"])
    assert [source for source in named if source not in PROVIDED] == []


def test_a_panel_has_one_data_source() -> None:
    with pytest.raises(ValueError, match="Mixed: split this panel"):
        graph("Mixed", Query("up"), Query('rate({app="a"}[5m])', logs=True))


@pytest.mark.parametrize("name", UPSTREAM)
def test_kube_prometheus_dashboards_use_what_we_provide(name: str, built: Sequence[Object]) -> None:
    """Their data sources are ours, or a choice among ours, and they declare their variables."""
    dashboard = of_bundles(built)[name]
    declared = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    undeclared = set()
    sources = 0
    for where, value in walk(dashboard):
        if isinstance(value, str):
            undeclared |= variables(value) - declared.keys() - BUILT_IN
        if where.endswith(".datasource") and value not in (*PROVIDED, *OF_GRAFANA):
            uid = value if isinstance(value, str) else value["uid"]
            choice = declared[uid.strip("${}")]
            assert (choice["type"], choice["query"]) == ("datasource", "prometheus"), where
            assert choice.get("current", {}).get("value", "default") in DEFAULT, where
            assert not choice.get("regex"), where
            sources += 1
    assert sources >= 5
    assert undeclared == UNDECLARED.get(name, set())
    for panel in dashboard["panels"]:
        if panel.get("datasource") == MIXED:
            assert all(target.get("datasource") for target in panel.get("targets", ())), panel


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What Prometheus answers to each query, for all apps and clusters of dashboards.yaml."""
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("needs promtool on the PATH (`make tools` builds it)")
    values = {**VARIABLES, "$cluster": ".+", "$app": "(foobar-api|shop-api)"}
    asked = {
        f"{uid}: {title}": filled(query, values)
        for uid, dashboard in BY_UID.items()
        for title, kind, query in targets(dashboard)
        if kind == "prometheus"
    }
    # What is expected is always wrong, so promtool prints what it gets.
    wrong = {"labels": '{none="none"}', "value": 0}
    test = {
        "interval": "1m",
        "input_series": [
            {"series": series, "values": values}
            for series, values in yaml.safe_load(SERIES.read_text("utf-8")).items()
        ],
        "promql_expr_test": [
            {"expr": query, "eval_time": "1h", "exp_samples": [wrong]} for query in asked.values()
        ],
    }
    path = tmp_path_factory.mktemp("apps") / "test.yaml"
    path.write_text(yaml.safe_dump({"tests": [test]}))
    result = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    printed = re.split(r"^\s*expr: ", result.stdout + result.stderr, flags=re.MULTILINE)[1:]
    return dict(zip(asked, printed, strict=True))


def test_prometheus_can_answer(answers: Mapping[str, str]) -> None:
    """Also where several apps and clusters have to be matched to one another."""
    assert [answer for answer in answers.values() if "err:" in answer] == []


def test_apps_are_shown_whoever_measures_them(answers: Mapping[str, str]) -> None:
    """Each panel has data, and of apps alone."""
    for where, answer in answers.items():
        if where.startswith("apps: "):
            got = answer.partition("got:")[2]
            assert not got.startswith(" nil"), answer
            assert "monitoring" not in got, answer


def test_graphs_mark_rollouts_and_syncs(answers: Mapping[str, str]) -> None:
    """New ones alone, and neither what an autoscaler does nor a sync that failed."""
    rollouts = answers["apps: Rollouts, annotation"].partition("got:")[2]
    assert sorted(re.findall(r'\{cluster="(\w+)", namespace="([\w-]+)"', rollouts)) == [
        ("north", "foobar-api"),
        ("north", "shop-api"),
    ]
    syncs = answers["fleet: Syncs, annotation"]
    assert set(re.findall(r'project="([\w-]+)"', syncs.partition("got:")[2])) == {"north", "south"}


def test_alerts_of_an_app_are_those_of_its_namespace_too(answers: Mapping[str, str]) -> None:
    assert re.search(r"got:\s*\{\} 2E\+00", answers["apps: Alerts A"]), answers["apps: Alerts A"]


def test_links_lead_to_dashboards(built: Sequence[Object]) -> None:
    """Ours by name, kube-prometheus's by the uid that theirs have."""
    theirs = {dashboard["uid"] for dashboard in of_bundles(built).values()}
    found = re.findall(r'"url": "/d/([\w-]+)/', json.dumps(list(DASHBOARDS)))
    assert len(found) >= 15
    assert set(found) <= BY_UID.keys() | theirs


def test_links_from_metrics_to_logs() -> None:
    """The issue of a panel is one click from its lines, in the same cluster and time."""
    for uid, chosen in (
        ("apps", "${app:queryparam}"),
        ("region", "var-namespace="),
        ("traefik", "var-namespace="),
        ("cert-manager", "var-namespace="),
    ):
        text = json.dumps(BY_UID[uid])
        assert f"/d/logs/logs?${{cluster:queryparam}}&{chosen}" in text, uid
        assert "&from=${__from}&to=${__to}" in text, uid


def test_kube_prometheus_dashboards_are_there_and_know_clusters(built: Sequence[Object]) -> None:
    """Each that is mounted is brought along, and asks for the label that all series have."""
    brought = {name: json.dumps(dashboard) for name, dashboard in of_bundles(built).items()}
    assert set(UPSTREAM) <= brought.keys()
    assert len(brought) == 33
    without = {name for name in UPSTREAM if "$cluster" not in brought[name]}
    # Of the hub alone; and one that shows all clusters at once.
    assert without == {"alertmanager-overview", "grafana-overview", "k8s-resources-multicluster"}
