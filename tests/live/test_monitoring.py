"""Monitoring as it was deployed: what a region sends arrives, and nothing else gets in."""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import yaml

from charts.monitoring import alertmanager, ingest, loki, secrets
from charts.monitoring.collector import COLLECTOR
from charts.monitoring.dashboards import DASHBOARDS
from charts.scrape import MONITORING
from fleet.registry import Fleet, Hub
from operations import credentials
from tests.live.cluster import (
    answered,
    apply,
    eventually,
    forwarded,
    kubectl,
    said,
    secret,
)
from tests.live.conftest import Bootstrapped
from tests.queries import filled, targets

pytestmark = pytest.mark.live

RIGHT: Final = "us-east"
"""A region that sends."""
WRONG: Final = "eu-west"
"""A region whose password the hub does not take, while these tests run."""

OUTAGE_SECONDS: Final = float(os.environ.get("LIVE_OUTAGE_SECONDS", "60"))
"""How long the hub's Prometheus is away in these tests."""
KNOCK: Final = """
for door in "$@"; do
  (
    for _ in 1 2 3 4 5; do
      echo | nc -w 2 ${door%:*} ${door#*:} >/dev/null && echo "$door" && break
      sleep 1
    done
  ) &
done
wait
"""
LINES: Final = 2000
STORES: Final = ("prometheus/k8s", "statefulset/loki")
KUBERNETES: Final = ("apiserver", "kubelet", "coredns", "node-exporter")
SPEECH: Final = 'i=0; while [ $i -lt $1 ]; do i=$((i+1)); echo "line $i of the outage"; done'


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


class HubOverTls:
    """The hub as the internet sees it: by hostname at its load balancer's address."""

    def __init__(self, address: str, authority: Path) -> None:
        self._address = address
        self._context = ssl.create_default_context(cafile=str(authority))

    def ask(
        self,
        host: str,
        path: str,
        *,
        method: str = "GET",
        user: tuple[str, str] | None = None,
        body: bytes | None = None,
        length: int | None = None,
    ) -> Answer:
        """``length`` is what is said of the body, where that is not so."""
        headers = {"Host": host}
        if length is not None:
            headers["Content-Length"] = str(length)
        if user:
            headers["Authorization"] = "Basic " + b64encode(":".join(user).encode()).decode()
        raw = socket.create_connection((self._address, 443), timeout=10)
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.sock = self._context.wrap_socket(raw, server_hostname=host)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def fleet(up: Bootstrapped) -> Fleet:
    """The fleet as the fork has it."""
    return up.fork.fleet


@pytest.fixture(scope="module")
def passwords(fleet: Fleet) -> Mapping[str, str]:
    """By which each region writes."""
    return {
        region.name: secret_of(region.name, secrets.INGEST_CREDENTIALS)["password"]
        for region in fleet.regions
    }


@pytest.fixture(scope="module")
def sign_in(fleet: Fleet) -> tuple[str, str]:
    """To Prometheus's pages."""
    found = secret_of(fleet.hub.name, secrets.PROMETHEUS_SIGN_IN)
    return found["username"], found["password"]


def secret_of(cluster: str, name: str) -> dict[str, str]:
    data = json.loads(said(cluster, "-n", MONITORING, "get", "secret", name, "-ojson"))["data"]
    return {key: b64decode(value).decode() for key, value in data.items()}


@pytest.fixture(scope="module", autouse=True)
def refused(fleet: Fleet, up: Bootstrapped) -> None:
    """The hub takes another password from the region that is called WRONG."""
    other = credentials.users(fleet.regions[1], "of yesterday")
    assert fleet.regions[1].name == WRONG
    apply(
        fleet.hub.name,
        [secret(MONITORING, secrets.ingest_user(WRONG), other)],
        "--force-conflicts",
    )


@pytest.fixture(scope="module")
def hub(fleet: Fleet, up: Bootstrapped) -> HubOverTls:
    return HubOverTls(str(fleet.hub.address), up.fork.place.acme_root)


@pytest.fixture(scope="module")
def query(fleet: Fleet, hub: HubOverTls, sign_in: tuple[str, str]) -> "Query":
    return Query(fleet.hub, hub, sign_in)


class Query:
    """PromQL by way of the hub's own page, behind its sign-in."""

    def __init__(self, facts: Hub, hub: HubOverTls, sign_in: tuple[str, str]) -> None:
        self._host = facts.prometheus_host
        self._hub = hub
        self._sign_in = sign_in

    def __call__(self, expression: str) -> list[dict[str, Any]]:
        path = "/api/v1/query?" + urlencode({"query": expression})
        answer = self._hub.ask(self._host, path, user=self._sign_in)
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = json.loads(answer.body)["data"]["result"]
        return found

    def alerts(self) -> list[dict[str, str]]:
        answer = self._hub.ask(self._host, "/api/v1/alerts", user=self._sign_in)
        assert answer.status == 200, answer
        return [
            each["labels"]
            for each in json.loads(answer.body)["data"]["alerts"]
            if each["state"] == "firing"
        ]


@pytest.fixture
def logs(fleet: Fleet, up: Bootstrapped) -> Iterator["Logs"]:
    with forwarded(fleet.hub.name, MONITORING, "service/loki", loki.PORT) as url:
        yield Logs(url)


class Logs:
    """LogQL by way of kubectl: no hostname of the hub answers it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, expression: str) -> list[dict[str, Any]]:
        asked = urlencode({"query": expression, "limit": 100, "since": "1h"})
        answer = answered(f"{self._url}/loki/api/v1/query_range?{asked}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def count(self, expression: str, minutes: int) -> int:
        """How many lines an expression finds, each counted once though it came twice."""
        asked = urlencode(
            {"query": expression, "limit": 5000, "since": f"{minutes}m", "direction": "forward"}
        )
        streams = answered(f"{self._url}/loki/api/v1/query_range?{asked}")["data"]["result"]
        return len({line for stream in streams for _, line in stream["values"]})

    def formatted(self, expression: str) -> str:
        asked = urlencode({"query": expression})
        return str(answered(f"{self._url}/loki/api/v1/format_query?{asked}")["data"])


def test_series_of_every_kind_arrive(fleet: Fleet, query: Query) -> None:
    """From the hub's own cluster and from a region, each with the names of where it is from."""
    for cluster in (fleet.hub, fleet.cluster(RIGHT)):
        for job in (
            *KUBERNETES,
            "traefik",
            "cert-manager",
            "prometheus-operator",
            "opentelemetry-collector",
            *(("prometheus-k8s",) if cluster is fleet.hub else ("prometheus-agent", "foobar-api")),
        ):
            labels = f'cluster="{cluster.name}",region="{cluster.region_label}",job="{job}"'
            eventually(f"{job} of {cluster.name} is up", partial(query, f"up{{{labels}}} == 1"))
    for job in ("loki", "alertmanager-main", "argocd-application-controller"):
        eventually(f"{job} is up", partial(query, f'up{{cluster="tooling",job="{job}"}} == 1'))
    assert query('container_memory_working_set_bytes{cluster="us-east",container!=""}')
    assert not query('up{cluster=""}'), "a series that belongs to no cluster"
    jobs = "|".join((*KUBERNETES, "prometheus.*", "alertmanager-main", "loki", "traefik"))
    down = f'up{{cluster=~"{fleet.hub.name}|{RIGHT}",job=~"{jobs}"}} == 0'
    eventually("every target of these is up", lambda: not query(down))


def test_lines_arrive_with_the_labels_of_metrics(fleet: Fleet, logs: Logs) -> None:
    for cluster in (fleet.hub.name, RIGHT):
        selector = f'{{cluster="{cluster}",namespace="monitoring",container="prometheus"}}'
        found = eventually(f"lines of {cluster}", partial(logs, selector))
        labels = found[0]["stream"]
        assert labels.keys() >= {"cluster", "namespace", "pod", "container", "app"}
        assert labels["app"] in ("prometheus", "prometheus-agent")
    # What has many values is beside the line, not in the index.
    line = {"level": "INFO", "method": "GET", "path": "/api", "status": 200, "seconds": 0.25}
    assert _run(RIGHT, "kube-system", "foobar-api", ["echo", json.dumps(line)])
    found = eventually(
        "a request to foobar-api",
        partial(logs, f'{{cluster="{RIGHT}",app="foobar-api"}} | status = "200"'),
    )
    taken = found[0]["stream"]
    assert (taken["method"], taken["path"], float(taken["seconds"])) == ("GET", "/api", 0.25)
    assert taken["region"] == fleet.cluster(RIGHT).region_label
    assert taken["detected_level"] == "info"
    assert json.loads(found[0]["values"][0][1]) == line
    requests = eventually(
        "Traefik's requests",
        partial(logs, f'{{cluster="{fleet.hub.name}",app="traefik"}} | status = "204"'),
    )
    taken = requests[0]["stream"]
    assert taken["method"] == "POST"
    assert float(taken["seconds"]) < 60


def test_loki_takes_the_queries_of_dashboards(fleet: Fleet, logs: Logs) -> None:
    """By its own grammar, variables filled in."""
    asked = [
        query for dashboard in DASHBOARDS for _, kind, query in targets(dashboard) if kind == "loki"
    ]
    assert len(asked) >= 6
    for query in asked:
        assert logs.formatted(filled(query))


def test_nobody_gets_in_without_a_password(
    fleet: Fleet, hub: HubOverTls, passwords: Mapping[str, str], sign_in: tuple[str, str]
) -> None:
    facts = fleet.hub
    path = ingest.METRICS.path(RIGHT)
    ours, theirs = (RIGHT, passwords[RIGHT]), (WRONG, passwords[WRONG])
    for user, expected in ((None, 401), ((RIGHT, "wrong"), 401), (theirs, 401), (ours, 400)):
        answer = hub.ask(facts.prometheus_host, path, method="POST", user=user, body=b"nonsense")
        assert answer.status == expected, user
    path = ingest.LOGS.path(RIGHT)
    for user, expected in ((None, 401), ((RIGHT, "wrong"), 401), (theirs, 401), (ours, 400)):
        answer = hub.ask(facts.loki_host, path, method="POST", user=user, body=b"nonsense")
        assert answer.status == expected, user
    # Pages are for people who sign in; a region's password is none.
    for user, expected in ((None, 401), (ours, 401), (sign_in, 200)):
        asked = "/api/v1/query?query=up"
        assert hub.ask(facts.prometheus_host, asked, user=user).status == expected
    for path in ("/api/v1/write", "/api/v1/otlp/v1/metrics", "/-/reload", "/-/quit"):
        asked_by = hub.ask(facts.prometheus_host, path, method="POST", user=sign_in, body=b"")
        assert asked_by.status == 404, path
    for path in ("/loki/api/v1/push", "/loki/api/v1/query?query={}", "/otlp/v1/logs", "/metrics"):
        assert hub.ask(facts.loki_host, path, method="POST", user=ours, body=b"").status == 404


def test_a_request_too_large_is_refused(
    fleet: Fleet, hub: HubOverTls, passwords: Mapping[str, str]
) -> None:
    answer = hub.ask(
        fleet.hub.prometheus_host,
        ingest.METRICS.path(RIGHT),
        method="POST",
        user=(RIGHT, passwords[RIGHT]),
        body=b"the first bytes of it",
        length=ingest.LONGEST_BODY + 1,
    )
    assert answer.status == 413


def test_alertmanager_has_the_configuration(fleet: Fleet, up: Bootstrapped, tmp_path: Path) -> None:
    """The operator has taken it, secrets by reference included, and silence holds back parts."""
    with forwarded(fleet.hub.name, MONITORING, "service/alertmanager-main", alertmanager.PORT) as u:
        text = answered(f"{u}/api/v2/status")["config"]["original"]
    configuration = yaml.safe_load(text)
    assert configuration["route"]["receiver"].endswith("notices")
    assert [each["name"].rpartition("/")[2] for each in configuration["receivers"]] == [
        "nobody",
        "pages",
        "notices",
        "watchdog",
    ]
    # Its address and its matchers are those of the object: nothing was added to them.
    (watchdog,) = (
        route for route in configuration["route"]["routes"] if "watchdog" in route["receiver"]
    )
    assert watchdog["matchers"] == ['alertname="Watchdog"']
    assert "receiver.invalid" not in text

    amtool = shutil.which("amtool")
    if not amtool:
        pytest.skip("needs amtool on the PATH for the rest")
    path = tmp_path / "alertmanager.yaml"
    path.write_text(text)
    for labels, receiver in (
        ("alertname=Watchdog severity=none", "watchdog"),
        ("alertname=ClusterMetricsSilent severity=critical cluster=us-east", "pages"),
        ("alertname=ClusterLogsSilent severity=warning cluster=us-east", "notices"),
        ("alertname=CPUThrottlingHigh severity=info", "nobody"),
    ):
        told = subprocess.run(
            [amtool, "config", "routes", "test", f"--config.file={path}", *labels.split()],
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        assert told.stdout.strip().endswith(f"/{receiver}"), labels


def test_policies_hold(fleet: Fleet, query: Query) -> None:
    """A pod of another namespace reaches neither Prometheus nor Loki nor Alertmanager."""
    hub = fleet.hub.name
    doors = {
        name: said(hub, "-n", MONITORING, "get", f"service/{name}", "-o=jsonpath={.spec.clusterIP}")
        + f":{port}"
        for name, port in (("prometheus-k8s", 9090), ("loki", 3100), ("alertmanager-main", 9093))
    }
    by_traefik = _opened(hub, "traefik", "traefik", list(doors.values()))
    assert by_traefik == {doors["prometheus-k8s"], doors["loki"]}
    assert not _opened(hub, "kube-system", "stranger", list(doors.values()))


def test_an_outage_of_the_hub_loses_nothing(fleet: Fleet, query: Query, report: list[str]) -> None:
    """Prometheus and Loki are away for OUTAGE_SECONDS: the region's series have no gap afterwards.

    Nor its lines, though its collectors were restarted meanwhile.
    """
    hub = fleet.hub.name
    expression = f'up{{cluster="{RIGHT}",job="apiserver"}}'
    eventually("samples arrive", partial(query, f"{expression} == 1"))
    start = time.time()
    # Argo CD would bring back at once what is taken away.
    _scale(hub, "argocd", "statefulset/argocd-application-controller", 0)
    for what in STORES:
        _scale(hub, MONITORING, what, 0)
    eventually(
        "Prometheus and Loki are gone",
        lambda: (
            not {"pod/prometheus-k8s-0", "pod/loki-0"}
            & set(said(hub, "-n", MONITORING, "get", "pods", "-oname").split())
        ),
    )
    assert _run(RIGHT, "kube-system", "speaker", ["sh", "-c", SPEECH, "speak", str(LINES)])
    time.sleep(10)
    said(RIGHT, "-n", COLLECTOR, "delete", "pods", "--all", "--now")
    time.sleep(max(0, OUTAGE_SECONDS - (time.time() - start)))
    for what in STORES:
        _scale(hub, MONITORING, what, 1)
    _scale(hub, "argocd", "statefulset/argocd-application-controller", 1)
    for what in ("prometheus-k8s", "loki"):
        eventually(
            f"{what} is back",
            partial(_runs, hub, MONITORING, f"statefulset/{what}"),
            seconds=300,
        )
    away = time.time() - start
    # A scrape each half minute, whoever was listening.
    minutes = int(away // 60) + 1

    def counted() -> list[dict[str, Any]]:
        return query(f"count_over_time({expression}[{minutes}m]) >= {2 * minutes - 1}")

    eventually("every sample is there", counted, seconds=300)
    failed = query(
        "sum(increase(prometheus_remote_storage_samples_failed_total"
        f'{{cluster="{RIGHT}"}}[{minutes}m]))'
    )
    assert float(failed[0]["value"][1]) == 0
    with forwarded(hub, MONITORING, "service/loki", loki.PORT) as url:
        spoken = f'{{cluster="{RIGHT}",app="speaker"}} |= "of the outage"'
        eventually(
            "every line is there",
            lambda: Logs(url).count(spoken, minutes + 5) == LINES,
            seconds=300,
        )
    report.append(f"hub without Prometheus and Loki for {away:.0f} s: no sample lost, no line lost")


def _scale(cluster: str, namespace: str, what: str, replicas: int) -> None:
    patch = json.dumps({"spec": {"replicas": replicas}})
    said(cluster, "-n", namespace, "patch", what, "--type=merge", "-p", patch)


def _runs(cluster: str, namespace: str, what: str) -> bool:
    result = kubectl(
        cluster, "-n", namespace, "rollout", "status", what, "--timeout=5s", timeout=30
    )
    return result.returncode == 0


def test_a_wrong_password_raises_the_alert_of_its_region(query: Query) -> None:
    """And of no other; the region itself can say nothing."""
    fired = eventually(
        "IngestRefused fires",
        lambda: [each for each in query.alerts() if each["alertname"] == "IngestRefused"],
        seconds=400,
    )
    # The test before this one has knocked at the other region's door.
    assert WRONG in {each["cluster"] for each in fired}
    eventually(
        "ClusterMetricsSilent fires",
        lambda: [
            each
            for each in query.alerts()
            if each["alertname"] == "ClusterMetricsSilent" and each["cluster"] == WRONG
        ],
        seconds=400,
    )
    assert "Watchdog" in {each["alertname"] for each in query.alerts()}


def test_bootstrap_brings_the_region_in_again(
    up: Bootstrapped, fleet: Fleet, query: Query, logs: Logs
) -> None:
    """It finds what is not as it should be, and nothing has to be restarted."""
    result = up.bootstrap()
    assert result.returncode == 0, result.stdout + result.stderr
    changed = [line for line in result.stdout.splitlines() if line.startswith("+ ")]
    assert changed == [f"+ {fleet.hub.name}  Secret {MONITORING}/{secrets.ingest_user(WRONG)}"]
    eventually(
        f"metrics of {WRONG}",
        partial(query, f'up{{cluster="{WRONG}",job="prometheus-agent"}} == 1'),
        seconds=300,
    )

    def lines() -> list[dict[str, Any]]:
        assert _run(WRONG, "kube-system", "speaker", ["echo", "what is said from now on"])
        return logs(f'{{cluster="{WRONG}",app="speaker"}}')

    eventually(f"lines of {WRONG}", lines, seconds=300)


def _opened(cluster: str, namespace: str, app: str, doors: Sequence[str]) -> set[str]:
    """Which addresses a pod of ``namespace`` that calls itself ``app`` gets through to."""
    # Several times: policies know a new pod a moment after it runs.
    assert _run(cluster, namespace, app, ["sh", "-c", KNOCK, "knock", *doors])
    return set(said(cluster, "-n", namespace, "logs", f"test-{app}").split())


def _run(cluster: str, namespace: str, app: str, command: Sequence[str]) -> bool:
    """Whether a command ends well in a pod that calls itself ``app``, and its container too."""
    name = f"test-{app}"
    kubectl(cluster, "-n", namespace, "delete", "pod", name, "--ignore-not-found", "--now")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": app},
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": app,
                    "image": "docker.io/library/busybox:1.36",
                    "command": list(command),
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
    apply(cluster, [pod])

    def phase() -> str | None:
        found = said(cluster, "-n", namespace, "get", "pod", name, "-o=jsonpath={.status.phase}")
        return found if found in ("Succeeded", "Failed") else None

    return eventually(f"{name} ends", phase, seconds=60) == "Succeeded"
