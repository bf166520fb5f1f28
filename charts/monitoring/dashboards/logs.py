"""Log lines of every cluster, by what they are of and what they say."""

from typing import Final

from charts.monitoring.dashboards.model import (
    Panel,
    Query,
    Row,
    Search,
    Variable,
    dashboard,
    graph,
    lines,
)


def _choice(name: str, label: str, within: str = "", *, everything: str = ".*") -> Variable:
    query = f"label_values({{{within}}}, {name})" if within else f"label_values({name})"
    return Variable(name, query, label, several=True, logs=True, everything=everything)


_CHOSEN: Final = 'cluster=~"$cluster",namespace=~"$namespace",app=~"$app"'
_FOUND: Final = f'{{{_CHOSEN}}} |~ "(?i)$search"'


def _counted(title: str, label: str) -> Panel:
    return graph(
        title,
        Query(
            f"sum by ({label}) (count_over_time({_FOUND} [$__auto]))", f"{{{{{label}}}}}", logs=True
        ),
        stacked=True,
    )


LOGS: Final = dashboard(
    "logs",
    "Logs",
    "Lines of every cluster. The details of a line have what was taken out of it: of a request its "
    "method, path, status, seconds and client.",
    Row([_counted("Lines by cluster", "cluster"), _counted("Lines by level", "detected_level")]),
    Row([lines("Lines", _FOUND, height=20)]),
    variables=[
        # Loki refuses a selector whose every matcher also matches an empty value.
        _choice("cluster", "Cluster", everything=".+"),
        _choice("namespace", "Namespace", 'cluster=~"$cluster"'),
        _choice("app", "App", 'cluster=~"$cluster",namespace=~"$namespace"'),
        Search("search", "Search"),
    ],
    since="now-1h",
)
