"""The table of outages in docs/monitoring.md is what happens: promtool plays each of them.

All rules take part, kube-prometheus's too, and what Alertmanager holds back does not count.
"""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from fleet.registry import Fleet
from rendering.validation.objects import Object
from tests import promtool
from tests.contract.outages import HEALTHY, OUTAGES, START, Outage, Series
from tests.contract.test_monitoring import one, silenced
from tests.objects import ROOT
from tests.queries import names, rules

DOCUMENT = ROOT / "docs" / "monitoring.md"
FIRED = 'min_over_time(timestamp(ALERTS{alertstate="firing"})[1h:1m])'
"""Of each alert, the time at which it fired first."""
SENT = ("critical", "warning")


class Sent(NamedTuple):
    """An alert that is sent, and how long after the outage began."""

    minutes: int
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.labels["alertname"]


class Row(NamedTuple):
    """A line of the table in docs/monitoring.md."""

    alert: str
    severity: str
    minutes: int


class RuleFile(NamedTuple):
    """Rules as promtool reads them."""

    path: Path
    groups: Sequence[str]
    """The names of the groups, in the order in which they are evaluated."""


def rows() -> dict[str, Row]:
    """The rows whose time somebody can look up: played ones have a number of minutes."""
    text = DOCUMENT.read_text("utf-8").partition("## Outages")[2].partition("\n## ")[0]
    found = re.findall(
        r"^\| ([^|]+) \| \[?(\w+)[^|]* \| (critical|warning) \| (\d+) min \|", text, re.MULTILINE
    )
    return {outage: Row(alert, severity, int(after)) for outage, alert, severity, after in found}


def play(rule_file: RuleFile, name: str, series: Series, until: int) -> list[Sent]:
    """All alerts that fire, by the time at which they do."""
    test = rule_file.path.with_name(f"{name}.yaml")
    end = f"{START + until}m"
    test.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(rule_file.path)],
                # Otherwise in any order, so that a record may be a minute late.
                "group_eval_order": list(rule_file.groups),
                "tests": [
                    {
                        "interval": "1m",
                        "input_series": [
                            {"series": key, "values": values}
                            for key, values in {**HEALTHY, **series}.items()
                        ],
                        "promql_expr_test": [
                            {
                                "expr": FIRED.replace("1h", end),
                                "eval_time": end,
                                "exp_samples": [],
                            }
                        ],
                    }
                ],
            }
        )
    )
    said = promtool.run(promtool.path(), "test", "rules", test)
    got = said.partition("got: ")[2]
    assert got, said
    return sorted(
        (
            Sent(round(float(value) / 60) - START, promtool.labels(labels))
            for labels, value in re.findall(r"\{(.*?)\} ([\d.]+(?:E[+]\d+)?)", got)
        ),
        key=lambda sent: (sent.minutes, sent.name),
    )


@pytest.fixture(scope="module")
def rule_file(built: Sequence[Object], tmp_path_factory: pytest.TempPathFactory) -> RuleFile:
    """Every alert in one file, and what is recorded for alerts."""
    path = tmp_path_factory.mktemp("outages") / "rules.yaml"
    groups: list[Mapping[str, Any]] = [
        {**group, "name": f"{each.name}: {group['name']}"}
        for each in built
        if each.kind == "PrometheusRule"
        for group in each.body["spec"]["groups"]
    ]
    asked = _asked(rules(built))
    for group in groups:
        group["rules"][:] = [rule for rule in group["rules"] if rule.get("record", "") in asked]
    kept = [group for group in groups if group["rules"]]
    path.write_text(yaml.safe_dump({"groups": kept}))
    return RuleFile(path, [group["name"] for group in kept])


def _asked(found: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names of the records that alerts are made of, or that such records are made of."""
    asked = {""}
    while True:
        more = {
            name
            for rule in found
            if rule.get("record", "") in asked
            for name in names(rule["expr"])
        } - asked
        if not more:
            return asked
        asked |= more


@pytest.fixture(scope="module")
def played(rule_file: RuleFile) -> Mapping[str, Sequence[Sent]]:
    """What fires in each outage, played two at a time."""
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(
            lambda number: play(
                rule_file, str(number), OUTAGES[number].series, OUTAGES[number].until
            ),
            range(len(OUTAGES)),
        )
        return dict(zip((outage.name for outage in OUTAGES), found, strict=True))


def first(fired: Sequence[Sent], inhibiting: Sequence[Any]) -> Sent:
    """The alert that tells: of those that are sent, the first of the highest severity."""
    sent = [
        each
        for each in fired
        if each.labels["severity"] in SENT
        and not any(
            other.minutes <= each.minutes and silenced(inhibiting, other.labels, each.labels)
            for other in fired
            if other is not each
        )
    ]
    return min(sent, key=lambda each: (SENT.index(each.labels["severity"]), each.minutes))


def test_nothing_fires_while_everything_is_well(rule_file: RuleFile) -> None:
    """Else what fires in an outage would tell nothing of it."""
    fired = play(rule_file, "well", {}, 30)
    assert {each.name for each in fired} == {"Watchdog"}


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.name)
def test_an_outage_is_told_as_the_table_says(
    outage: Outage,
    played: Mapping[str, Sequence[Sent]],
    objects: Sequence[Object],
    fleet: Fleet,
) -> None:
    config = one(objects, fleet.hub.name, "AlertmanagerConfig", "main")["spec"]
    told = first(played[outage.name], config["inhibitRules"])
    assert rows()[outage.name] == Row(told.name, told.labels["severity"], told.minutes)


def test_the_table_has_no_other_rows() -> None:
    assert rows().keys() == {outage.name for outage in OUTAGES}
    assert len(rows()) >= 20
