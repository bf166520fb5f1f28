"""The parts of a Grafana dashboard that ours are made of, as its JSON has them.

A test checks them against Grafana's own schema, which has no types for Python: the ones that there
are (grafana-foundation-sdk) say of themselves that they are not stable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from charts.monitoring.rules.probes import SUCCEED
from charts.upstream import GRAFANA_VERSION

SCHEMA_VERSION: Final = 39
"""Grafana 13 reads this, and converts it to its own."""
COLUMNS: Final = 24
HEADING_HEIGHT: Final = 1

PROMETHEUS: Final = {"type": "prometheus", "uid": "prometheus"}
LOKI: Final = {"type": "loki", "uid": "loki"}

Json: TypeAlias = dict[str, Any]

Shape: TypeAlias = Literal["time_series", "table"]
"""How Prometheus's answer is arranged."""

# Thresholds: a colour from a value on; None is from the least on.
Steps: TypeAlias = Sequence[tuple[float | None, str]]
ANY_STEPS: Final[Steps] = ((None, "green"), (1, "orange"))
"""Of a number that should be 0."""
REACHED_STEPS: Final[Steps] = ((None, "red"), (SUCCEED, "orange"), (0.99, "green"))
"""Of the share of probes that succeed."""
BUDGET_STEPS: Final[Steps] = ((None, "red"), (0, "orange"), (0.5, "green"))
"""Of the share of a budget that is left."""
RESTART_STEPS: Final[Steps] = ((None, "green"), (1, "orange"), (10, "red"))
"""Of restarts in an hour."""
LIFE_STEPS: Final[Steps] = ((None, "red"), (172_800, "orange"), (604_800, "green"))
"""Of the seconds that a certificate has left: two days, and a week."""


@dataclass(frozen=True)
class Query:
    """A question to Prometheus, or with ``logs`` to Loki."""

    expression: str
    legend: str = ""
    logs: bool = False

    @property
    def source(self) -> Json:
        """The data source that answers it."""
        return LOKI if self.logs else PROMETHEUS

    def target(self, ref: str, *, instant: bool, shape: Shape) -> Json:
        return {
            "refId": ref,
            "datasource": self.source,
            "expr": self.expression,
            "legendFormat": self.legend,
            **(
                {"queryType": "range"}
                if self.logs
                else {"instant": instant, "range": not instant, "format": shape}
            ),
        }


@dataclass(frozen=True)
class Link:
    """From one place to another that knows more."""

    title: str
    url: str

    def json(self) -> Json:
        return {"title": self.title, "url": self.url}


@dataclass(frozen=True)
class Panel:
    """A panel without its place; ``dashboard`` puts those of a row side by side."""

    body: Json
    width: int
    height: int


def _steps(steps: Steps) -> Json:
    return {
        "mode": "absolute",
        "steps": [{"color": color, "value": value} for value, color in steps],
    }


def _ref(at: int) -> str:
    """What a panel calls its query number ``at``, counted from 0."""
    return chr(ord("A") + at)


def _panel(
    kind: str,
    title: str,
    description: str,
    *queries: Query,
    instant: bool = False,
    shape: Shape = "time_series",
    **more: Json | list[Json],
) -> Json:
    """What every panel has: its queries, and the data source that answers all of them.

    Grafana sends all queries of a panel to the panel's data source, whatever the queries name.
    Raises ``ValueError`` if they need more than one.
    """
    source, *others = [query.source for query in queries]
    if any(other != source for other in others):
        raise ValueError(f"{title}: split this panel, because its queries need two data sources")
    return {
        "type": kind,
        "title": title,
        "description": description,
        # Without it, Grafana would convert the options as those of an old version.
        "pluginVersion": GRAFANA_VERSION,
        "datasource": source,
        "targets": [
            query.target(_ref(at), instant=instant, shape=shape) for at, query in enumerate(queries)
        ],
        **more,
    }


def graph(
    title: str,
    *queries: Query,
    unit: str = "short",
    description: str = "",
    width: int = 12,
    stacked: bool = False,
    limit: float | None = None,
    least: float | None = 0,
    links: Sequence[Link] = (),
) -> Panel:
    """Values over time, from ``least`` on; ``limit`` draws where they become a concern."""
    custom: Json = {
        "lineWidth": 1,
        "fillOpacity": 20 if stacked else 5,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none"},
        # Two scrapes missed are a gap.
        "spanNulls": 90_000,
    }
    defaults: Json = {"unit": unit, "custom": custom}
    if least is not None:
        defaults["min"] = least
    if limit is not None:
        defaults["thresholds"] = _steps([(None, "transparent"), (limit, "red")])
        custom["thresholdsStyle"] = {"mode": "dashed"}
    if links:
        defaults["links"] = [link.json() for link in links]
    return Panel(
        _panel(
            "timeseries",
            title,
            description,
            *queries,
            fieldConfig={"defaults": defaults, "overrides": []},
            options={
                "legend": {
                    "displayMode": "list",
                    "placement": "bottom",
                    "showLegend": True,
                    "calcs": [],
                },
                "tooltip": {"mode": "multi", "sort": "desc"},
            },
        ),
        width,
        8,
    )


def number(
    title: str,
    query: Query,
    *,
    unit: str = "short",
    steps: Steps = ((None, "text"),),
    description: str = "",
    width: int = 4,
    decimals: int | None = None,
    links: Sequence[Link] = (),
) -> Panel:
    """One value, now, in the colour of its threshold."""
    defaults: Json = {"unit": unit, "thresholds": _steps(steps)}
    if decimals is not None:
        defaults["decimals"] = decimals
    if links:
        defaults["links"] = [link.json() for link in links]
    return Panel(
        _panel(
            "stat",
            title,
            description,
            query,
            instant=True,
            fieldConfig={"defaults": defaults, "overrides": []},
            options={
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "value",
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "percentChangeColorMode": "standard",
                "showPercentChange": False,
                "textMode": "auto",
                "wideLayout": True,
            },
        ),
        width,
        4,
    )


@dataclass(frozen=True)
class Column:
    """A column of a table: a query whose value it shows, one row for each ``key`` label."""

    title: str
    expression: str
    unit: str = "short"
    steps: Steps = ((None, "text"),)
    decimals: int | None = None
    values: Sequence[tuple[int, str, str]] = ()
    """Values that have a word and a colour."""


def table(
    title: str,
    *columns: Column,
    key: str,
    key_title: str,
    key_links: Sequence[Link] = (),
    description: str = "",
    width: int = COLUMNS,
    height: int = 8,
) -> Panel:
    """A row for each value of the label ``key``, joined over all columns."""
    return labelled_table(
        title,
        *columns,
        keys={key: key_title},
        key_links=key_links,
        description=description,
        width=width,
        height=height,
    )


def labelled_table(
    title: str,
    *columns: Column,
    keys: dict[str, str],
    key_links: Sequence[Link] = (),
    description: str = "",
    width: int = COLUMNS,
    height: int = 8,
) -> Panel:
    """A row for each combination of the labels ``keys``, by their titles."""
    overrides: list[Json] = []
    renamed = dict(keys)
    order = {key: at for at, key in enumerate(keys)}
    for at, column in enumerate(columns):
        # With one query Grafana calls its value so, with several it adds which.
        field = f"Value #{_ref(at)}" if len(columns) > 1 else "Value"
        renamed[field] = column.title
        order[field] = len(keys) + at
        properties: list[Json] = [
            {"id": "unit", "value": column.unit},
            {"id": "thresholds", "value": _steps(column.steps)},
            {"id": "custom.cellOptions", "value": {"type": "color-text"}},
        ]
        if column.decimals is not None:
            properties.append({"id": "decimals", "value": column.decimals})
        if column.values:
            options = {
                str(value): {"text": text, "color": color, "index": index}
                for index, (value, text, color) in enumerate(column.values)
            }
            properties.append({"id": "mappings", "value": [{"type": "value", "options": options}]})
        overrides.append(
            {
                "matcher": {"id": "byName", "options": column.title},
                "properties": properties,
            }
        )
    if key_links:
        overrides.append(
            {
                "matcher": {"id": "byName", "options": next(iter(keys.values()))},
                "properties": [{"id": "links", "value": [link.json() for link in key_links]}],
            }
        )
    return Panel(
        _panel(
            "table",
            title,
            description,
            *(Query(column.expression) for column in columns),
            instant=True,
            shape="table",
            transformations=[
                {"id": "merge", "options": {}},
                {
                    "id": "organize",
                    "options": {
                        "excludeByName": {"Time": True},
                        "indexByName": order,
                        "renameByName": renamed,
                    },
                },
            ],
            fieldConfig={"defaults": {}, "overrides": overrides},
            options={"frameIndex": 0, "showHeader": True, "cellHeight": "sm"},
        ),
        width,
        height,
    )


def lines(title: str, query: str, *, description: str = "", height: int = 12) -> Panel:
    """Log lines, the newest first."""
    return Panel(
        _panel(
            "logs",
            title,
            description,
            Query(query, logs=True),
            options={
                "showTime": True,
                "wrapLogMessage": True,
                "prettifyLogMessage": False,
                "showLabels": False,
                "showCommonLabels": False,
                "showLogContextToggle": False,
                "enableLogDetails": True,
                "sortOrder": "Descending",
                "dedupStrategy": "none",
            },
        ),
        COLUMNS,
        height,
    )


@dataclass(frozen=True)
class Variable:
    """A choice at the top of a dashboard, of the values that a label has."""

    name: str
    query: str
    label: str
    several: bool = False
    logs: bool = False
    everything: str | None = ".*"
    """The regular expression that *All* stands for; without one, the values that there are."""

    def json(self) -> Json:
        return {
            "type": "query",
            "name": self.name,
            "label": self.label,
            "datasource": LOKI if self.logs else PROMETHEUS,
            "query": self.query,
            "refresh": 2,
            "sort": 1,
            "multi": self.several,
            "includeAll": self.several,
            **({"allValue": self.everything} if self.several and self.everything else {}),
            **({"current": {"text": "All", "value": "$__all"}} if self.several else {}),
        }


@dataclass(frozen=True)
class Search:
    """A field at the top of a dashboard that anything may be typed into."""

    name: str
    label: str

    def json(self) -> Json:
        return {"type": "textbox", "name": self.name, "label": self.label, "query": ""}


@dataclass(frozen=True)
class Annotation:
    """Moments that every graph of a dashboard marks: those at which a query has a value above 0."""

    name: str
    expression: str
    title: str
    """What a mark says, with ``{{label}}`` for a label of its series."""
    color: str

    def json(self) -> Json:
        query = Query(self.expression)
        return {
            "name": self.name,
            "datasource": query.source,
            "enable": True,
            "iconColor": self.color,
            "titleFormat": self.title,
            "target": query.target("Anno", instant=False, shape="time_series"),
        }


@dataclass(frozen=True)
class Row:
    """Panels side by side, under a heading of their own if there is one."""

    panels: Sequence[Panel]
    heading: str = ""


_LINK: Final[Json] = {
    "icon": "external link",
    "tooltip": "",
    "tags": [],
    "asDropdown": False,
    "includeVars": False,
    "keepTime": True,
    "targetBlank": False,
}
"""What every link at the top of a dashboard has."""

Range: TypeAlias = Literal["now-1h", "now-6h", "now-24h", "now-7d"]


def dashboard(
    uid: str,
    title: str,
    description: str,
    *rows: Row,
    variables: Sequence[Variable | Search] = (),
    links: Sequence[Link] = (),
    annotations: Sequence[Annotation] = (),
    since: Range = "now-6h",
) -> Json:
    """A dashboard of rows, one under the other, each as high as its highest panel."""
    panels: list[Json] = []
    y = 0
    for row in rows:
        if row.heading:
            panels.append(
                {
                    "id": len(panels) + 1,
                    "type": "row",
                    "title": row.heading,
                    "collapsed": False,
                    "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": HEADING_HEIGHT},
                    "panels": [],
                }
            )
            y += HEADING_HEIGHT
        x = 0
        for panel in row.panels:
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            panels.append({"id": len(panels) + 1, **panel.body, "gridPos": place})
            x += panel.width
        y += max(panel.height for panel in row.panels)
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["fleet"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": since, "to": "now"},
        "timezone": "utc",
        "templating": {"list": [variable.json() for variable in variables]},
        "annotations": {"list": [annotation.json() for annotation in annotations]},
        "links": [
            {
                **_LINK,
                "type": "dashboards",
                "title": "Fleet",
                "tags": ["fleet"],
                "asDropdown": True,
                "includeVars": True,
            },
            *({**_LINK, "type": "link", "title": link.title, "url": link.url} for link in links),
        ],
        "panels": panels,
    }


CLUSTER: Final = Variable(
    "cluster", 'label_values(up{job=~"prometheus-agent|prometheus-k8s"}, cluster)', "Cluster"
)
CLUSTERS: Final = Variable("cluster", CLUSTER.query, "Cluster", several=True)


def to_logs(selector: str, title: str = "Log lines of this time") -> Link:
    """A link from a panel to the log lines of the time that it shows."""
    return Link(
        title,
        "/d/logs/logs?${cluster:queryparam}&" + selector + "&from=${__from}&to=${__to}",
    )
