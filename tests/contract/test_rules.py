"""Rules: each alert fires when it has to and not otherwise, asks what exists, and is explained.

promtool, Prometheus's own, evaluates them: `make tools` builds it.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.monitoring.rules import NOT_TO_BE_SEEN
from fleet.registry import Fleet
from rendering.validation.objects import Object
from tests.objects import ROOT
from tests.queries import (
    SYNTHETIC,
    exported,
    names,
    of_bundles,
    promql_of_dashboards,
    recorded,
    rules,
)

RUNBOOKS = ROOT / "docs" / "runbooks"
METRIC = re.compile(
    r"(?<![/\w])(argocd|certmanager|foobar_api|http_request|kube|kubelet|loki|node|otelcol"
    r"|prometheus|traefik)s?_\w+"
)
"""As a metric that a runbook names begins; a path is none."""

Series = Mapping[str, str]
"""Series and their values, a value a minute, in promtool's notation."""

UP = 'up{cluster="us-east",job="%s"}'
ROUTER = (
    'traefik_router_requests_total{cluster="tooling",code="%s",'
    'router="monitoring_%s-us-east_0@kubernetescrd"}'
)
CERTIFICATE = (
    'certmanager_certificate_%s{cluster="us-east",namespace="foobar-api",name="foobar-api"}'
)
DAY = 86_400


@dataclass(frozen=True)
class Case:
    """Series by which an alert fires at a time, and others by which it does not."""

    alert: str
    at: str
    fires: Series
    quiet: Series
    labels: Mapping[str, str] = field(default_factory=lambda: {"cluster": "us-east"})
    severity: str = "warning"


def _app(name: str, code: str) -> str:
    return (
        f'{name}{{cluster="us-east",job="foobar-api",route="/api",method="GET",'
        f'protocol="HTTP/1.1",code="{code}"}}'
    )


def _slow(le: str) -> str:
    return (
        "http_request_duration_seconds_bucket"
        f'{{cluster="us-east",job="foobar-api",route="/api",le="{le}"}}'
    )


SLOW_COUNT = 'http_request_duration_seconds_count{cluster="us-east",job="foobar-api",route="/api"}'
APP = 'argocd_app_info{cluster="tooling",project="us-east",name="us-east-traefik",%s}'
VOLUME = (
    'kubelet_volume_stats_%s_bytes{cluster="tooling",namespace="monitoring",'
    'persistentvolumeclaim="data-loki-0"}'
)
QUEUE = 'otelcol_exporter_queue_%s{cluster="us-east",pod="logs-1"}'
SENT = (
    'prometheus_remote_storage_queue_highest_%s_seconds{cluster="us-east",job="prometheus-agent"}'
)
PARTS = (
    "apiserver",
    "kubelet",
    "traefik",
    "cert-manager",
    "prometheus-operator",
    "node-exporter",
    "kube-state-metrics",
    "opentelemetry-collector",
)
OTHER = {'up{cluster="eu-west",job="prometheus-agent"}': "1x60"}

CASES = [
    Case(
        "ClusterMetricsSilent",
        "17m",
        {UP % "prometheus-agent": "1x10", **OTHER},
        {UP % "prometheus-agent": "1x60", **OTHER},
        {"cluster": "us-east", "job": "prometheus-agent"},
        "critical",
    ),
    Case(
        "ClusterPartMissing",
        "50m",
        {UP % part: "1x60" for part in PARTS if part != "kubelet"},
        # One that is there and down is not missing.
        {UP % part: "0x60" for part in PARTS},
        {"cluster": "us-east", "job": "kubelet"},
    ),
    Case(
        "ClusterLogsSilent",
        "50m",
        {ROUTER % (204, "logs"): "0+5x10 50x50"},
        {ROUTER % (204, "logs"): "0+5x60"},
    ),
    Case(
        "IngestRefused",
        "10m",
        {ROUTER % (401, "metrics"): "0+2x60"},
        {ROUTER % (204, "metrics"): "0+2x60"},
        severity="critical",
    ),
    Case(
        "IngestRejected",
        "30m",
        {ROUTER % (400, "metrics"): "0+2x60"},
        {ROUTER % (400, "metrics"): "3x60"},
    ),
    Case(
        "IngestLimited",
        "50m",
        {ROUTER % (429, "logs"): "0+2x60"},
        # An hour's catching up after an outage is no lasting limit.
        {ROUTER % (429, "logs"): "0+2x15 30x45"},
    ),
    Case(
        "RemoteWriteBehind",
        "40m",
        {SENT % "timestamp": "0+60x60", SENT % "sent_timestamp": "0+60x10 600x50"},
        {SENT % "timestamp": "60+60x60", SENT % "sent_timestamp": "0+60x60"},
    ),
    Case(
        "RemoteWriteFailing",
        "20m",
        {
            "prometheus_remote_storage_samples_failed_total"
            '{cluster="us-east",job="prometheus-agent"}': "0+100x60"
        },
        {
            "prometheus_remote_storage_samples_failed_total"
            '{cluster="us-east",job="prometheus-agent"}': "100x60"
        },
        severity="critical",
    ),
    Case(
        "LogLinesLost",
        "20m",
        {'otelcol_exporter_send_failed_log_records{cluster="us-east",pod="a"}': "0+5x60"},
        {'otelcol_exporter_send_failed_log_records{cluster="us-east",pod="a"}': "5x60"},
    ),
    Case(
        "LogQueueFilling",
        "20m",
        {QUEUE % "size": "60x60", QUEUE % "capacity": "100x60"},
        {QUEUE % "size": "40x60", QUEUE % "capacity": "100x60"},
        {"cluster": "us-east", "pod": "logs-1"},
    ),
    Case(
        "CertificateExpiring",
        "20m",
        {
            CERTIFICATE % "not_before_timestamp_seconds": f"-{85 * DAY}x60",
            CERTIFICATE % "not_after_timestamp_seconds": f"{15 * DAY}x60",
        },
        # Renewal is due, and not late.
        {
            CERTIFICATE % "not_before_timestamp_seconds": f"-{70 * DAY}x60",
            CERTIFICATE % "not_after_timestamp_seconds": f"{30 * DAY}x60",
        },
        {"cluster": "us-east", "namespace": "foobar-api", "name": "foobar-api"},
    ),
    Case(
        "CertificateExpiring",
        "20m",
        {
            CERTIFICATE % "not_before_timestamp_seconds": f"-{95 * DAY}x60",
            CERTIFICATE % "not_after_timestamp_seconds": f"{5 * DAY}x60",
        },
        {
            CERTIFICATE % "not_before_timestamp_seconds": f"-{85 * DAY}x60",
            CERTIFICATE % "not_after_timestamp_seconds": f"{15 * DAY}x60",
        },
        {"cluster": "us-east", "namespace": "foobar-api", "name": "foobar-api"},
        "critical",
    ),
    Case(
        "CertificateNotReady",
        "30m",
        {CERTIFICATE.replace("}", ',condition="True"}') % "ready_status": "0x60"},
        {CERTIFICATE.replace("}", ',condition="True"}') % "ready_status": "0x10 1x50"},
        {
            "cluster": "us-east",
            "namespace": "foobar-api",
            "name": "foobar-api",
            "condition": "True",
        },
    ),
    Case(
        "CertificateServedIsOld",
        "45m",
        {
            CERTIFICATE % "not_after_timestamp_seconds": f"{60 * DAY}x60",
            'foobar_api_certificate_not_after_timestamp_seconds{cluster="us-east",pod="a"}': (
                f"{60 * DAY}x60"
            ),
            'foobar_api_certificate_not_after_timestamp_seconds{cluster="us-east",pod="b"}': (
                f"{30 * DAY}x60"
            ),
        },
        {
            CERTIFICATE % "not_after_timestamp_seconds": f"{60 * DAY}x60",
            'foobar_api_certificate_not_after_timestamp_seconds{cluster="us-east",pod="a"}': (
                f"{60 * DAY}x60"
            ),
        },
    ),
    Case(
        "AppErrors",
        "90m",
        {
            _app("http_requests_total", "200"): "0+98x100",
            _app("http_requests_total", "500"): "0+2x100",
        },
        {
            _app("http_requests_total", "200"): "0+9999x100",
            _app("http_requests_total", "500"): "0+1x100",
        },
        {"cluster": "us-east", "window": "1h"},
        "critical",
    ),
    Case(
        "AppErrors",
        "9h",
        # Four in a thousand: for the day, not for the night.
        {
            _app("http_requests_total", "200"): "0+996x600",
            _app("http_requests_total", "500"): "0+4x600",
        },
        {_app("http_requests_total", "200"): "0+1000x600"},
        {"cluster": "us-east", "window": "1d"},
    ),
    Case(
        "AppSlow",
        "90m",
        {_slow("0.25"): "0+80x100", SLOW_COUNT: "0+100x100"},
        {_slow("0.25"): "0+99.5x100", SLOW_COUNT: "0+100x100"},
        {"cluster": "us-east", "window": "1h"},
        "critical",
    ),
    Case(
        "AppDown",
        "20m",
        {'up{cluster="us-east",job="foobar-api",pod="a"}': "0x60"},
        {
            'up{cluster="us-east",job="foobar-api",pod="a"}': "0x60",
            'up{cluster="us-east",job="foobar-api",pod="b"}': "1x60",
        },
        severity="critical",
    ),
    Case(
        "TraefikErrors",
        "30m",
        {
            'traefik_entrypoint_requests_total{cluster="us-east",entrypoint="web",code="200"}': (
                "0+90x60"
            ),
            'traefik_entrypoint_requests_total{cluster="us-east",entrypoint="web",code="502"}': (
                "0+10x60"
            ),
        },
        {
            'traefik_entrypoint_requests_total{cluster="us-east",entrypoint="web",code="200"}': (
                "0+99x60"
            ),
            'traefik_entrypoint_requests_total{cluster="us-east",entrypoint="web",code="404"}': (
                "0+50x60"
            ),
        },
        {"cluster": "us-east", "entrypoint": "web"},
    ),
    Case(
        "ArgoCdOutOfSync",
        "50m",
        {APP % 'sync_status="OutOfSync",health_status="Healthy"': "1x60"},
        {APP % 'sync_status="Synced",health_status="Healthy"': "1x60"},
        {
            "cluster": "us-east",
            "project": "us-east",
            "name": "us-east-traefik",
            "sync_status": "OutOfSync",
            "health_status": "Healthy",
        },
    ),
    Case(
        "ArgoCdUnhealthy",
        "30m",
        {APP % 'sync_status="Synced",health_status="Degraded"': "1x60"},
        {APP % 'sync_status="Synced",health_status="Progressing"': "1x60"},
        {
            "cluster": "us-east",
            "project": "us-east",
            "name": "us-east-traefik",
            "sync_status": "Synced",
            "health_status": "Degraded",
        },
    ),
    Case(
        "ArgoCdClusterUnreachable",
        "20m",
        {'argocd_cluster_connection_status{cluster="tooling",server="https://a"}': "0x60"},
        {'argocd_cluster_connection_status{cluster="tooling",server="https://a"}': "1x60"},
        {"cluster": "tooling", "server": "https://a"},
        "critical",
    ),
    Case(
        "ArgoCdSilent",
        "30m",
        {},
        {APP % 'sync_status="Synced",health_status="Healthy"': "1x60"},
        {"cluster": "tooling"},
        "critical",
    ),
    Case(
        "HubVolumeFilling",
        "30m",
        {VOLUME % "available": "15x60", VOLUME % "capacity": "100x60"},
        {VOLUME % "available": "30x60", VOLUME % "capacity": "100x60"},
        {"cluster": "tooling", "persistentvolumeclaim": "data-loki-0"},
    ),
    Case(
        "HubVolumeFilling",
        "30m",
        {VOLUME % "available": "4x60", VOLUME % "capacity": "100x60"},
        {VOLUME % "available": "15x60", VOLUME % "capacity": "100x60"},
        {"cluster": "tooling", "persistentvolumeclaim": "data-loki-0"},
        "critical",
    ),
    Case(
        "HubSeriesNearLimit",
        "80m",
        {'prometheus_tsdb_head_series{cluster="tooling",job="prometheus-k8s"}': "410000x90"},
        {'prometheus_tsdb_head_series{cluster="tooling",job="prometheus-k8s"}': "390000x90"},
        {"cluster": "tooling", "job": "prometheus-k8s"},
    ),
    Case(
        "LokiNotStoring",
        "40m",
        {'loki_ingester_chunks_flush_failures_total{cluster="tooling"}': "0+1x60"},
        # Once is not for long: it tries again.
        {'loki_ingester_chunks_flush_failures_total{cluster="tooling"}': "0x10 1x50"},
        {"cluster": "tooling"},
        severity="critical",
    ),
    Case(
        "LokiErrors",
        "30m",
        {
            'loki_request_duration_seconds_count{route="otlp_v1_logs",status_code="500"}': (
                "0+10x60"
            ),
            'loki_request_duration_seconds_count{route="otlp_v1_logs",status_code="204"}': (
                "0+90x60"
            ),
        },
        {
            'loki_request_duration_seconds_count{route="otlp_v1_logs",status_code="204"}': (
                "0+90x60"
            ),
        },
        {"cluster": "tooling", "route": "otlp_v1_logs"},
    ),
]


def alerts(objects: Sequence[Object]) -> list[Mapping[str, Any]]:
    return [rule for rule in rules(objects) if "alert" in rule]


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if not found:
        pytest.skip("needs promtool on the PATH (`make tools` builds it)")
    return found


@pytest.fixture(scope="module")
def file(objects: Sequence[Object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our rules as Prometheus reads them."""
    groups = [
        group
        for each in objects
        if each.kind == "PrometheusRule"
        for group in each.body["spec"]["groups"]
    ]
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


def test_promtool_takes_every_rule(
    promtool: str, objects: Sequence[Object], built: Sequence[Object], tmp_path: Path
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
        result = subprocess.run(
            [promtool, "check", "rules", *options, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert f"{len(rules(found))} rules found" in result.stdout


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}-{case.severity}")
def test_an_alert_fires_and_does_not(case: Case, promtool: str, file: Path, tmp_path: Path) -> None:
    fired = {"exp_labels": {**case.labels, "severity": case.severity}}
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [
                {"eval_time": case.at, "alertname": case.alert, "exp_alerts": expected}
            ],
        }
        for name, series, expected in (
            ("fires", case.fires, [fired]),
            ("does not", case.quiet, []),
        )
    ]
    # Of two severities one may fire without the other; and of two clusters.
    for at, test in enumerate(tests):
        found = _evaluate(promtool, file, test, tmp_path / f"{at}.yaml")
        mine = [labels for labels in found if _is(labels, case)]
        assert mine == ([fired["exp_labels"]] if at == 0 else []), found


def _is(labels: Mapping[str, str], case: Case) -> bool:
    return (
        labels["severity"] == case.severity
        and all(
            labels.get(name) == value for name, value in case.labels.items() if name == "cluster"
        )
        and ("window" not in case.labels or labels.get("window") == case.labels["window"])
    )


def _evaluate(promtool: str, file: Path, test: dict[str, Any], path: Path) -> list[dict[str, str]]:
    """The labels of the alerts that fire.

    promtool tells what it got where that is not what it was to expect, so it is first told to
    expect nothing.
    """
    (asked,) = test["alert_rule_test"]
    nothing = {**test, "alert_rule_test": [{**asked, "exp_alerts": []}]}
    path.write_text(yaml.safe_dump({"rule_files": [str(file)], "tests": [nothing]}))
    result = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    if result.returncode == 0:
        return []
    got = result.stdout + result.stderr
    assert "got:[" in got, got
    found = re.findall(r"Labels:\{(.*?)\}\s+Annotations:\{(.*)\}", got.split("got:[", 1)[1])
    assert found, got
    for _, annotations in found:
        assert "no value" not in annotations, annotations
    return [
        {
            name: json.loads(value)
            for name, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', labels)
            if name != "alertname"
        }
        for labels, _ in found
    ]


def test_every_alert_has_a_case_and_a_runbook(objects: Sequence[Object]) -> None:
    found = {(alert["alert"], alert["labels"]["severity"]) for alert in alerts(objects)}
    # The latency objective has the windows of the other.
    assert found - {(case.alert, case.severity) for case in CASES} == {("AppSlow", "warning")}
    books = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert {name for name, _ in found} == books


def test_every_alert_says_what_it_is(objects: Sequence[Object]) -> None:
    for alert in alerts(objects):
        said = alert["annotations"]
        assert said.keys() == {"summary", "description", "runbook_url"}, alert["alert"]
        assert said["summary"].endswith("."), alert["alert"]
        assert said["runbook_url"].endswith(f"/docs/runbooks/{alert['alert']}.md")
        assert said["runbook_url"].startswith("https://github.com/foobar-platform/")
        assert "{{ $labels." in said["summary"] or alert["alert"] in (
            "ArgoCdSilent",
            "HubSeriesNearLimit",
            "LokiErrors",
        )


@pytest.mark.parametrize("name", sorted({case.alert for case in CASES}))
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


def test_every_expression_asks_for_metrics_that_exist(objects: Sequence[Object]) -> None:
    ours = rules(objects)
    known = exported() | SYNTHETIC | recorded(ours)
    for rule in ours:
        asked = names(rule["expr"])
        assert asked <= known, rule
    assert len(ours) >= 45


def test_every_region_has_its_own(objects: Sequence[Object], fleet: Fleet) -> None:
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
    text = json.dumps(list(of_bundles(built)))
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
