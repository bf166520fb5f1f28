"""Rules: each alert fires when it has to and not otherwise, asks what exists, and is explained.

promtool, Prometheus's own, evaluates them: `make tools` builds it.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from charts.catalogue import load
from charts.monitoring.rules import NOT_TO_BE_SEEN
from charts.monitoring.rules.app import WatchedApp
from charts.monitoring.rules.arrival import WatchedRegion, of_region
from charts.monitoring.rules.rule import Group
from charts.monitoring.rules.service_levels import EVALUATION_SECONDS
from charts.monitoring.rules.traffic import WatchedTraefik
from charts.tenant import apps
from fleet.registry import Fleet
from fleet.score import BEFORE_ROLLOUT
from rendering.validation.objects import Object
from tests import promtool
from tests.objects import FLEETS, FOOBAR_API, ROOT
from tests.promtool import Fired
from tests.queries import (
    SYNTHETIC,
    exported,
    names,
    of_bundles,
    promql_of_dashboards,
    ranges,
    recorded,
    rules,
)

RUNBOOKS = ROOT / "docs" / "runbooks"
METRIC = re.compile(
    r"(?<![/\w])(argocd|certmanager|foobar_api|http_request|kube|kubelet|loki|node|otelcol"
    r"|prometheus|traefik)s?_\w+"
)
"""As a metric that a runbook names begins; a path is none."""

COMMAND = re.compile(
    r"kubectl [^`\n]*-n (\S+) [^`\n]*?"
    r"\b(ingressroute|deployment|statefulset|daemonset)[ /]([\w<>-]+)"
)
"""A command of a runbook: the namespace, the kind and the name that it is about."""

CASES = Path(__file__).with_name("alerts.yaml")

Labels: TypeAlias = Mapping[str, str]
Series: TypeAlias = Mapping[str, str]
"""Series and their values, one value per interval, in promtool's notation."""


@dataclass(frozen=True)
class Case:
    """Series by which an alert fires at a time, and others by which it stays quiet."""

    alert: str
    severity: str
    labels: Labels
    at: str
    fires: Series
    quiet: Series
    why: str = ""
    """What tells the case from others of the same alert, severity and app."""
    interval: str = "1m"
    """Between two values, and between two evaluations: longer for what takes days."""

    def __str__(self) -> str:
        parts = (self.alert, self.severity, *map(self.labels.get, ("app", "signal")), self.why)
        return "-".join(filter(None, parts))

    @property
    def firing(self) -> Labels:
        """All labels of the alert that fires, but its name."""
        return {**self.labels, "severity": self.severity}

    def is_of(self, labels: Labels) -> bool:
        """Whether an alert is the one of this case, not of another severity, app or the like."""
        return all(
            labels.get(name) == self.firing[name]
            for name in ("severity", "app", "cluster", "window", "signal", "hostname")
            if name in self.firing
        )


def cases() -> list[Case]:
    found = [Case(**case) for case in yaml.safe_load(CASES.read_text("utf-8"))]
    # Each has a file.
    assert len({str(case) for case in found}) == len(found)
    return found


def groups_of_other_apps() -> Iterator[Group]:
    """What the sample fleet has not: apps behind the edge, and a Traefik of a cluster's own.

    Nothing scrapes one of the apps.
    """
    fleet = load(FLEETS / "three-apps.yaml")
    (north,) = (region for region in fleet.regions if region.name == "north")
    yield of_region(fleet.hub.name, WatchedRegion.of(north))
    for app in apps(north):
        if app.name != FOOBAR_API:
            yield WatchedApp.of(app).records()
    own = load(FLEETS / "own-traefik.yaml").cluster("k3s")
    if watched := WatchedTraefik.of(own):
        yield watched.down()


def alerts(objects: Sequence[Object]) -> list[Mapping[str, Any]]:
    return [rule for rule in rules(objects) if "alert" in rule]


@pytest.fixture(scope="module")
def fired(
    objects: Sequence[Object], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Sequence[Fired]]:
    """The alerts that fire, by the name of a case and which of its series they fire by.

    promtool evaluates every rule of a file each minute, for hours in some cases. A case therefore
    has a file with the recording rules and its own alert.
    """
    found = promtool.path()
    folder = tmp_path_factory.mktemp("rules")
    groups = [
        group
        for each in objects
        if each.kind == "PrometheusRule"
        for group in each.body["spec"]["groups"]
    ]
    groups += [group.spec("") for group in groups_of_other_apps()]
    tests = []
    for case in cases():
        rules_file, test = folder / f"{case}-rules.yaml", folder / f"{case}.yaml"
        rules_file.write_text(yaml.safe_dump({"groups": [_of_case(case, each) for each in groups]}))
        test.write_text(yaml.safe_dump(_promtool_test(case, rules_file)))
        tests.append(str(test))
    return dict(promtool.fired(promtool.run(found, "test", "rules", *tests)))


def _of_case(case: Case, group: Mapping[str, Any]) -> Mapping[str, Any]:
    """A group without the alerts of other cases."""
    kept = [rule for rule in group["rules"] if rule.get("alert", case.alert) == case.alert]
    return {**group, "rules": kept}


def _promtool_test(case: Case, rules_file: Path) -> Mapping[str, Any]:
    """Promtool prints the alerts that it did not expect, so these cases expect none."""
    return {
        "rule_files": [str(rules_file)],
        # promtool ignores the interval of a group, which numbers of requests depend on.
        "evaluation_interval": f"{EVALUATION_SECONDS}s"
        if "window" in case.labels
        else case.interval,
        "tests": [
            {
                "name": f"{case} {expected}",
                "interval": case.interval,
                "input_series": [
                    {"series": name, "values": values} for name, values in series.items()
                ],
                "alert_rule_test": [
                    {"eval_time": case.at, "alertname": case.alert, "exp_alerts": []}
                ],
            }
            for expected, series in (("fires", case.fires), ("quiet", case.quiet))
        ],
    }


def test_promtool_takes_every_rule(
    objects: Sequence[Object], built: Sequence[Object], tmp_path: Path
) -> None:
    """Ours without a doubt of its linter, kube-prometheus's with those that they have."""
    for name, found, options in (
        ("ours", objects, ("--lint=all", "--lint-fatal")),
        ("all", built, ("--lint=none",)),
    ):
        groups = [
            {**group, "name": f"{each.name}: {group['name']}"}
            for each in found
            if each.kind == "PrometheusRule"
            for group in each.body["spec"]["groups"]
        ]
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"groups": groups}))
        said = promtool.run(promtool.path(), "check", "rules", *options, path)
        assert "FAILED" not in said, said
        assert f"SUCCESS: {len(rules(found))} rules found" in said, said


@pytest.mark.parametrize("case", cases(), ids=str)
def test_an_alert_fires_and_stays_quiet(case: Case, fired: Mapping[str, Sequence[Fired]]) -> None:
    fires, quiet = (
        [alert for alert in fired.get(f"{case} {when}", ()) if case.is_of(alert.labels)]
        for when in ("fires", "quiet")
    )
    assert [alert.labels for alert in fires] == [case.firing]
    assert not quiet


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_message_has_no_gap(case: Case, fired: Mapping[str, Sequence[Fired]]) -> None:
    """It names its cluster, at once, and nothing of it is empty: ``sum()`` drops labels."""
    sent = fired.get(f"{case} fires", ())
    assert sent
    for alert in sent:
        assert not promtool.gaps(alert), case
        assert alert.labels["cluster"] in alert.annotations["summary"], case


def test_every_alert_has_a_case_and_a_runbook(objects: Sequence[Object]) -> None:
    found = {(alert["alert"], alert["labels"]["severity"]) for alert in alerts(objects)}
    # The latency objective has the windows of the other.
    assert found - {(case.alert, case.severity) for case in cases()} == {("AppSlow", "warning")}
    books = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert {name for name, _ in found} == books


def test_every_alert_says_what_it_is(objects: Sequence[Object]) -> None:
    for alert in alerts(objects):
        said = alert["annotations"]
        assert said.keys() == {"summary", "description", "runbook_url"}, alert["alert"]
        assert said["summary"].endswith("."), alert["alert"]
        assert said["runbook_url"].endswith(f"/docs/runbooks/{alert['alert']}.md")
        assert said["runbook_url"].startswith("https://github.com/foobar-platform/")


@pytest.mark.parametrize("name", sorted({case.alert for case in cases()}))
def test_a_runbook_says_what_to_do(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text("utf-8")
    assert text.startswith(f"# {name}\n")
    for heading in ("What it means", "What to look at", "What to do"):
        assert f"\n## {heading}\n" in text


def test_runbooks_ask_for_metrics_that_exist(objects: Sequence[Object]) -> None:
    """What they tell to type is PromQL, and has an answer."""
    known = exported() | SYNTHETIC | recorded(rules(objects))
    seen = 0
    for path in RUNBOOKS.glob("*.md"):
        for typed in re.findall(r"`([^`\n]+)`", path.read_text("utf-8")):
            if METRIC.search(typed):
                assert names(typed) <= known, f"{path.name}: {typed}"
                seen += 1
    assert seen >= 12


def test_runbooks_look_for_objects_in_their_namespaces(objects: Sequence[Object]) -> None:
    places: dict[tuple[str, str], set[str | None]] = {}
    for each in objects:
        places.setdefault((each.kind.lower(), each.name), set()).add(each.namespace)
    seen = 0
    for path in RUNBOOKS.glob("*.md"):
        text = path.read_text("utf-8").replace("<cluster>", "us-east")
        for namespace, kind, name in COMMAND.findall(text):
            if known := places.get((kind, name)):
                assert namespace in known, f"{path.name}: {kind} {name}"
                seen += 1
    assert seen >= 8


def test_every_expression_asks_for_metrics_that_exist(objects: Sequence[Object]) -> None:
    ours = [
        *rules(objects),
        *(rule for group in groups_of_other_apps() for rule in group.spec("")["rules"]),
    ]
    known = exported() | SYNTHETIC | recorded(ours)
    for rule in ours:
        asked = names(rule["expr"])
        assert asked <= known, rule
    assert len(ours) >= 45


def test_long_windows_are_sums_of_records(objects: Sequence[Object]) -> None:
    """What a query over days costs grows with the series: with pods, routes and answers."""
    ours = rules(objects)
    seen = 0
    for rule in ours:
        for name, minutes in ranges(rule["expr"]):
            assert minutes <= 60 or name in recorded(ours), rule
            seen += minutes > 60
    assert seen >= 10


def test_every_region_has_alerts_of_its_own_name(objects: Sequence[Object], fleet: Fleet) -> None:
    """Silence of metrics and logs, refused credentials, and the app: by the cluster's name."""
    for region in fleet.regions:
        mine = {
            alert["alert"]
            for alert in alerts(objects)
            if alert["labels"].get("cluster") == region.name
        }
        assert mine >= {
            "ClusterMetricsSilent",
            "ClusterLogsSilent",
            "IngestRefused",
            "IngestRejected",
            "AppDown",
        }


def test_upstream_rules_are_less_what_cannot_be_seen(built: Sequence[Object]) -> None:
    """No alert asks for a scheduler or a controller manager, which a managed cluster hides."""
    for rule in rules(built):
        assert not re.search(r"kube-(scheduler|controller-manager)", rule["expr"]), rule
    groups = [
        group["name"]
        for each in built
        if each.kind == "PrometheusRule"
        for group in each.body["spec"]["groups"]
    ]
    assert not set(groups) & set(NOT_TO_BE_SEEN.values())
    assert {"general.rules", "kubernetes-apps", "node-exporter", "kubelet.rules"} <= set(groups)


def test_a_job_of_an_app_that_failed_has_one_alert(built: Sequence[Object]) -> None:
    """Ours, which ends when a run succeeds; upstream's lasts until somebody deletes the Job."""
    (upstream,) = (rule for rule in rules(built) if rule.get("alert") == "KubeJobFailed")
    assert f'job_name!~".+-{BEFORE_ROLLOUT}"' in upstream["expr"]
    assert (
        'unless on (cluster, namespace, job_name) kube_job_owner{owner_kind="CronJob"}'
        in (upstream["expr"])
    )


def test_nothing_that_is_asked_for_is_dropped(
    objects: Sequence[Object], built: Sequence[Object]
) -> None:
    """What monitors drop at the source is in no rule and on no dashboard, upstream's included."""
    patterns = [
        (each.name, re.compile(relabeling["regex"]))
        for each in objects
        for relabeling in _metric_relabelings(each.body)
        if relabeling["action"] == "drop" and relabeling["sourceLabels"] == ["__name__"]
    ]
    assert len(patterns) >= 8
    asked = {name for rule in rules(built) for name in names(rule["expr"])}
    asked |= {name for _, query in promql_of_dashboards() for name in names(query)}
    text = json.dumps(of_bundles(built))
    asked |= set(re.findall(r"\b[a-z]+(?:_[a-zA-Z]+)+(?=[{\[(), ])", text))
    dropped = {
        (monitor, name)
        for name in asked
        for monitor, pattern in patterns
        # A kubelet has some of them as well; the API server tells its own.
        if pattern.fullmatch(name) and not (monitor == "kubelet" and name.startswith("apiserver"))
    }
    # Of its service levels alone, which tell it a second time.
    assert dropped <= {("kubelet", "process_start_time_seconds")}


def _metric_relabelings(body: Any) -> list[Mapping[str, Any]]:
    if isinstance(body, dict):
        return [
            *body.get("metricRelabelings", ()),
            *(each for value in body.values() for each in _metric_relabelings(value)),
        ]
    if isinstance(body, list):
        return [each for value in body for each in _metric_relabelings(value)]
    return []
