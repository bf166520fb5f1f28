"""The check of LogQL queries accepts what Loki accepts and rejects what Loki rejects.

Loki's rules are those of its parser (pkg/logql/syntax at 3.7).
"""

import pytest

from tests import logql
from tests.npm import NotInstalledError

RIGHT = (
    '{app="foobar-api"}',
    '{app=~".+"}',
    '{app=~".*", cluster="us-east"}',
    '{app="foobar-api"} |= "certificate" != `probe` |~ "(?i)error|fatal" !~ "\\\\d+"',
    '{app="foobar-api"} | json | status >= 500',
    '{app="foobar-api"} | path="/api" | seconds > 1.5 or method != "GET"',
    '{app="foobar-api"} | duration > 5s and size < 20MB',
    '{app="foobar-api"} | logfmt | line_format "{{.message}}" | keep level',
    '{app="foobar-api"} | regexp "(?P<code>[0-9]+)"',
    'sum by (app) (count_over_time({cluster=~"us-east|eu-west"} |= "x" [5m]))',
    'topk(5, sum by (namespace) (bytes_rate({cluster="us-east"}[5m])))',
    'quantile_over_time(0.99, {app="traefik"} | unwrap seconds [5m]) by (cluster)',
    'rate({app="traefik"} | unwrap seconds [5m])',
    'sum(rate({app="a"}[5m])) / sum(rate({app="b"}[5m] offset 1h)) > 0.5',
    'absent_over_time({app="foobar-api"}[15m])',
    '{app="foobar-api"} |= ip("192.0.2.0/24") or "a"',
)

WRONG = {
    # Syntax
    "": "syntax error",
    "up": "syntax error",
    "{}": "syntax error",
    '{app="a"': "syntax error",
    "{app=a}": "syntax error",
    "{app='a'}": "syntax error",
    '{app="a" cluster="b"}': "syntax error",
    '{app="a"} and more': "syntax error",
    '{app="a"} |=': "syntax error",
    '{app="a"} | no-such-stage': "syntax error",
    '{app="a"} | status >= five': "syntax error",
    '{app="a"} | unwrap seconds': "syntax error",
    '{app="a"}[5m]': "syntax error",
    'rate({app="a"})': "syntax error",
    'rate({app="a"}[5])': "syntax error",
    'rate({app="a"}[five minutes])': "syntax error",
    'count_over_time({app="$app"} [$__auto])': "syntax error",
    'nosuch_over_time({app="a"}[5m])': "syntax error",
    'sum by (app) ({app="a"})': "syntax error",
    'sum(rate({app="a"}[5m])': "syntax error",
    'sum by app (rate({app="a"}[5m]))': "syntax error",
    'rate({app="a"}[5m]) >': "syntax error",
    # Selectors that could match everything
    '{app=~".*"}': "at least one non-empty matcher",
    '{app=""}': "at least one non-empty matcher",
    '{app!="a"}': "at least one non-empty matcher",
    'sum(rate({cluster=~".*",app=~".*"}[5m]))': "at least one non-empty matcher",
    # Patterns and strings
    '{app=~"("}': "illegal regex",
    '{app="a"} |~ "("': "illegal regex",
    '{app="a"} !~ "[a"': "illegal regex",
    '{app="a"} |~ "a" or "("': "illegal regex",
    '{app="a"} |~ "(?=a)"': "illegal regex",
    '{app="a"} | level=~"*"': "illegal regex",
    '{app="a"} | regexp "("': "illegal regex",
    r'{app="a"} |= "\d"': "unknown escape",
    r'{app="\d"}': "unknown escape",
    # Numbers and unwrap
    'topk(sum by (app) (rate({app="a"}[5m])))': "topk needs a number",
    'sum(5, rate({app="a"}[5m]))': "sum takes no number",
    'quantile_over_time({app="a"} | unwrap seconds [5m])': "quantile_over_time needs a number",
    'rate(5, {app="a"}[5m])': "rate takes no number",
    'avg_over_time({app="a"}[5m])': "avg_over_time needs unwrap",
    'quantile_over_time(0.9, {app="a"}[5m])': "quantile_over_time needs unwrap",
    'count_over_time({app="a"} | unwrap seconds [5m])': "count_over_time cannot use unwrap",
    'count_over_time({app="a"}[5m]) by (cluster)': "count_over_time cannot group",
    'sort by (app) (rate({app="a"}[5m]))': "sort cannot group",
    # Lines are no numbers
    '{app="a"} == 1': "arithmetic on log lines",
    'rate({app="a"}[5m]) / {app="a"}': "arithmetic on log lines",
}


@pytest.fixture(scope="module")
def trees() -> dict[str, logql.Node]:
    queries = [*RIGHT, *WRONG]
    try:
        return dict(zip(queries, logql.parse(queries), strict=True))
    except NotInstalledError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("query", RIGHT)
def test_a_right_query_is_accepted(trees: dict[str, logql.Node], query: str) -> None:
    assert logql.faults(trees[query]) == []


@pytest.mark.parametrize(("query", "expected"), WRONG.items(), ids=WRONG)
def test_a_wrong_query_is_rejected(trees: dict[str, logql.Node], query: str, expected: str) -> None:
    found = logql.faults(trees[query])
    assert found
    assert expected in found[0]
