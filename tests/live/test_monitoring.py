"""Monitoring as it was deployed: what a region sends arrives, and nothing else gets in."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import yaml

from charts.monitoring import alertmanager, ingest, loki, secrets
from charts.monitoring.gateway import CLUSTER_HEADER
from charts.monitoring.log_limits import LONGEST_BODY, LONGEST_LINE
from charts.monitoring.names import COLLECTOR
from charts.scrape import MONITORING
from fleet.registry import Fleet
from tests.live.cluster import answered, ends_well, eventually, forwarded, kubectl, said
from tests.live.conftest import Bootstrapped
from tests.live.hub import (
    REFUSED,
    HubOverTls,
    Logs,
    Query,
    admin_password,
    sign_in,
    signs_in,
)

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("refused")]

RIGHT: Final = "us-east"
"""A region that sends."""

OUTAGE_SECONDS: Final = float(os.environ.get("LIVE_OUTAGE_SECONDS", "60"))
"""How long the hub's Prometheus is away in these tests."""
KNOCK: Final = """
for door in "$@"; do
  (
    for _ in 1 2 3 4 5; do
      echo | nc -w 2 ${door%:*} ${door#*:} >/dev/null 2>&1 && echo "$door" && break
      sleep 1
    done
  ) &
done
wait
"""
LINES: Final = 2000
QUICK: Final = bool(os.environ.get("LIVE_QUICK"))
STORES: Final = ("prometheus/k8s", "statefulset/loki")
KUBERNETES: Final = ("apiserver", "kubelet", "coredns", "node-exporter", "kube-state-metrics")
LONG: Final = 2_000_000
"""The length of one line of the outage."""
SPEECH: Final = """
i=0
speak() { while [ $i -lt $1 ]; do i=$((i+1)); echo "line $i of the outage"; done; }
speak $(($1 / 2))
head -c $2 /dev/zero | tr '\\0' y
echo
speak $1
"""
ROTATED: Final = """
for part in 1 2 3; do
  i=0
  while [ $i -lt $1 ]; do i=$((i+1)); echo "line $i of the outage in file $part"; done
  [ $part = 3 ] && break
  # More than a kubelet leaves in one file; it looks every ten seconds.
  head -c 11000000 /dev/zero | tr '\\0' z | fold -w 8000
  echo
  sleep 13
done
"""


@pytest.fixture(scope="module")
def fleet(up: Bootstrapped) -> Fleet:
    """The fleet as the fork has it."""
    return up.fork.fleet


@pytest.fixture(scope="module")
def sign_ins(fleet: Fleet) -> Mapping[str, tuple[str, str]]:
    """By which each region writes."""
    return {
        region.name: sign_in(region.name, secrets.INGEST_CREDENTIALS) for region in fleet.regions
    }


def test_series_of_every_kind_arrive(fleet: Fleet, query: Query) -> None:
    """From the hub's own cluster and from a region, each with the names of where it is from."""
    for cluster in (fleet.hub, fleet.cluster(RIGHT)):
        for job in (
            *KUBERNETES,
            "traefik",
            "cert-manager",
            "prometheus-operator",
            "opentelemetry-collector",
            "blackbox-exporter",
            "probes",
            *(("prometheus-k8s",) if cluster is fleet.hub else ("prometheus-agent", "foobar-api")),
        ):
            labels = f'cluster="{cluster.name}",region="{cluster.region_label}",job="{job}"'
            eventually(f"{job} of {cluster.name} is up", partial(query, f"up{{{labels}}} == 1"))
    for job in ("loki", "log-gateway", "alertmanager-main", "argocd-application-controller"):
        eventually(f"{job} is up", partial(query, f'up{{cluster="tooling",job="{job}"}} == 1'))
    assert query('container_memory_working_set_bytes{cluster="us-east",container!=""}')
    assert not query('up{cluster=""}'), "a series that belongs to no cluster"
    jobs = "|".join((*KUBERNETES, "prometheus.*", "alertmanager-main", "loki", "traefik"))
    down = f'up{{cluster=~"{fleet.hub.name}|{RIGHT}",job=~"{jobs}"}} == 0'
    eventually("every target of these is up", lambda: not query(down))


def test_lines_arrive_with_the_labels_of_metrics(
    fleet: Fleet, up: Bootstrapped, logs: Logs
) -> None:
    for cluster in (fleet.hub.name, RIGHT):
        selector = f'{{cluster="{cluster}",namespace="monitoring",container="prometheus"}}'
        found = eventually(f"lines of {cluster}", partial(logs, selector))
        labels = found[0]["stream"]
        assert labels.keys() >= {"cluster", "namespace", "pod", "container", "app"}
        assert labels["app"] in ("prometheus", "prometheus-agent")
    # What has many values is beside the line, not in the index.
    path = "/asked-by-the-tests"
    status, _, _ = up.way(RIGHT).get(path)
    found = eventually(
        "a request to foobar-api",
        partial(logs, f'{{cluster="{RIGHT}",app="foobar-api"}} | path = "{path}"'),
    )
    taken = found[0]["stream"]
    line = json.loads(found[0]["values"][0][1])
    assert (line["method"], line["path"], line["status"]) == ("GET", path, status)
    assert (taken["method"], int(taken["status"])) == ("GET", status)
    assert float(taken["seconds"]) == line["seconds"]
    assert taken["region"] == fleet.cluster(RIGHT).region_label
    requests = eventually(
        "Traefik's requests",
        partial(logs, f'{{cluster="{fleet.hub.name}",app="traefik"}} | status = "204"'),
    )
    taken = requests[0]["stream"]
    assert taken["method"] == "POST"
    assert float(taken["seconds"]) < 60


def test_nobody_gets_in_without_a_password(
    fleet: Fleet, hub: HubOverTls, sign_ins: Mapping[str, tuple[str, str]]
) -> None:
    facts = fleet.hub
    path = ingest.METRICS.path(RIGHT)
    person = sign_in(facts.name, secrets.PROMETHEUS_SIGN_IN)
    ours, theirs = sign_ins[RIGHT], sign_ins[REFUSED]
    for user, expected in ((None, 401), ((ours[0], "wrong"), 401), (theirs, 401), (ours, 400)):
        answer = hub.ask(facts.prometheus_host, path, method="POST", user=user, body=b"nonsense")
        assert answer.status == expected, user
    path = ingest.LOGS.path(RIGHT)
    for user, expected in ((None, 401), ((ours[0], "wrong"), 401), (theirs, 401), (ours, 415)):
        answer = hub.ask(facts.loki_host, path, method="POST", user=user, body=b"nonsense")
        assert answer.status == expected, user
    # Pages are for people who sign in; a region's password is none.
    for user, expected in ((None, 401), (ours, 401), (person, 200)):
        asked = "/api/v1/query?query=up"
        assert hub.ask(facts.prometheus_host, asked, user=user).status == expected
    for path in ("/api/v1/write", "/api/v1/otlp/v1/metrics", "/-/reload", "/-/quit"):
        asked_by = hub.ask(facts.prometheus_host, path, method="POST", user=person, body=b"")
        assert asked_by.status == 404, path
    for path in ("/loki/api/v1/push", "/loki/api/v1/query?query={}", "/otlp/v1/logs", "/metrics"):
        assert hub.ask(facts.loki_host, path, method="POST", user=ours, body=b"").status == 404


def test_wrong_passwords_lock_nobody_out(fleet: Fleet, hub: HubOverTls) -> None:
    """Argo CD would refuse the right one as well after five; Traefik holds up who sends them."""
    host = fleet.hub.argocd_host
    # Each of Traefik's pods counts by itself.
    guesses = [signs_in(hub, host, "wrong") for _ in range(25)]
    assert set(guesses) == {401, 429}
    assert guesses.count(401) > 5
    # The client that guessed has to wait; another one would not.
    right = admin_password(fleet.hub.name)
    eventually("the administrator", lambda: signs_in(hub, host, right) == 200, seconds=60)
    for path in ("/api/webhook", "/api%2Fwebhook"):
        assert hub.ask(host, path, method="POST", body=b"{}").status == 404


def test_what_no_route_takes_is_to_be_sent_again(fleet: Fleet, hub: HubOverTls) -> None:
    """Such as that of a region which the hub does not know yet."""
    for host, signal in (
        (fleet.hub.prometheus_host, ingest.METRICS),
        (fleet.hub.loki_host, ingest.LOGS),
    ):
        answer = hub.ask(host, signal.path("of-nobody"), method="POST", body=b"-")
        assert answer.status == 503, host


def test_a_stolen_password_writes_under_its_own_name(
    fleet: Fleet, hub: HubOverTls, sign_ins: Mapping[str, tuple[str, str]], logs: Logs
) -> None:
    """Whatever its lines and headers claim; tests/contract/test_thief.py has what else is tried."""
    claims = {"cluster": REFUSED, "region": "fra", "namespace": "kube-system", "app": "thief"}
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": "not of this region"}}
    attributes = [{"key": key, "value": {"stringValue": text}} for key, text in claims.items()]
    sent = {
        "resourceLogs": [
            {"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": [record]}]}
        ]
    }
    answer = hub.ask(
        fleet.hub.loki_host,
        ingest.LOGS.path(RIGHT),
        method="POST",
        user=sign_ins[RIGHT],
        body=json.dumps(sent).encode(),
        headers={"Content-Type": "application/json", CLUSTER_HEADER: REFUSED},
    )
    assert answer.status == 200
    found = eventually("the line", partial(logs, f'{{cluster="{RIGHT}",app="thief"}}'))
    assert found[0]["stream"]["region"] == fleet.cluster(RIGHT).region_label
    assert not logs(f'{{cluster="{REFUSED}",app="thief"}}')


def test_a_request_too_large_is_refused(
    fleet: Fleet, hub: HubOverTls, sign_ins: Mapping[str, tuple[str, str]]
) -> None:
    answer = hub.ask(
        fleet.hub.prometheus_host,
        ingest.METRICS.path(RIGHT),
        method="POST",
        user=sign_ins[RIGHT],
        body=b"the first bytes of it",
        length=LONGEST_BODY + 1,
    )
    assert answer.status == 413


def test_too_many_requests_are_refused(
    fleet: Fleet, hub: HubOverTls, sign_ins: Mapping[str, tuple[str, str]]
) -> None:
    """Of one region and kind; what it sends of the other kind is taken as before."""
    times = 5 * ingest.REQUESTS_A_SECOND
    path = ingest.METRICS.path(RIGHT)
    found = hub.posted(fleet.hub.prometheus_host, path, sign_ins[RIGHT], b"nonsense", times)
    assert set(found) == {400, 429}
    assert found.index(429) > ingest.REQUESTS_A_SECOND
    path = ingest.LOGS.path(RIGHT)
    (status,) = hub.posted(fleet.hub.loki_host, path, sign_ins[RIGHT], b"nonsense", 1)
    assert status == 415


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
    """A pod of another namespace reaches none of these, and Traefik only what it routes to."""
    hub = fleet.hub.name
    doors = {
        name: said(hub, "-n", MONITORING, "get", f"service/{name}", "-o=jsonpath={.spec.clusterIP}")
        + f":{port}"
        for name, port in (
            ("prometheus-k8s", 9090),
            ("loki", 3100),
            ("log-gateway", 4318),
            ("alertmanager-main", 9093),
        )
    }
    with ThreadPoolExecutor() as pool:
        by_traefik = pool.submit(_opened, hub, "traefik", "traefik", list(doors.values()))
        by_stranger = pool.submit(_opened, hub, "kube-system", "stranger", list(doors.values()))
    assert by_traefik.result() == {doors["prometheus-k8s"], doors["log-gateway"]}
    assert not by_stranger.result()


def test_an_outage_of_the_hub_loses_nothing(fleet: Fleet, query: Query, report: list[str]) -> None:
    """Prometheus and Loki are away for OUTAGE_SECONDS: the region's series have no gap afterwards.

    Nor its lines, though one of them is long, and though the collectors are restarted meanwhile and
    miss files that are rotated.
    """
    hub = fleet.hub.name
    expression = f'up{{cluster="{RIGHT}",job="apiserver"}}'
    eventually("samples arrive", partial(query, f"{expression} == 1"))
    start = time.time()
    before = _failed(query, RIGHT)
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
    speech = ["sh", "-c", SPEECH, "speak", str(LINES), str(LONG)]
    assert ends_well(RIGHT, "kube-system", "speaker", speech)
    time.sleep(10)
    said(RIGHT, "-n", COLLECTOR, "delete", "pods", "--all", "--now")
    if not QUICK:
        # Two files are rotated, one of them compressed, while nothing reads them.
        with _no_collector(RIGHT):
            rotated = ["sh", "-c", ROTATED, "speak", str(LINES // 4)]
            assert ends_well(RIGHT, "kube-system", "rotated", rotated)
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
    end = time.time()
    away = end - start
    eventually("every sample is there", partial(query.whole, expression, start, end), seconds=300)
    # Compared rather than taken as an increase(), which needs two samples between two times.
    after = eventually("the agent tells", partial(_failed, query, RIGHT, since=end))
    assert after == before
    with forwarded(hub, MONITORING, "service/loki", loki.PORT) as url:
        spoken = f'{{cluster="{RIGHT}",app="speaker"}} |= "of the outage"'
        eventually(
            "every line is there",
            lambda: Logs(url).count(spoken, int(away // 60) + 6) == LINES,
            seconds=300,
        )
        long = f'{{cluster="{RIGHT}",app="speaker"}} |= "yyyyyyyy"'
        eventually(
            "every part of the long line is there",
            lambda: sum(map(len, _lines(Logs(url), long))) == LONG,
        )
        assert max(map(len, _lines(Logs(url), long))) == LONGEST_LINE
        if not QUICK:
            spoken = f'{{cluster="{RIGHT}",app="rotated"}} |= "of the outage"'
            eventually(
                "every line of rotated files is there",
                lambda: Logs(url).count(spoken, int(away // 60) + 6) == 3 * (LINES // 4),
                seconds=300,
            )
    report.append(f"hub without Prometheus and Loki for {away:.0f} s: no sample lost, no line lost")


def _lines(logs: Logs, expression: str) -> list[str]:
    return [line for stream in logs(expression) for _, line in stream["values"]]


@contextmanager
def _no_collector(cluster: str) -> Iterator[None]:
    """No collector of logs runs on any node of ``cluster``."""

    def only_on(nodes: str | None) -> None:
        patch = {"spec": {"template": {"spec": {"nodeSelector": {"collector": nodes}}}}}
        said(
            cluster,
            "-n",
            COLLECTOR,
            "patch",
            "daemonset/logs",
            "--type=merge",
            "-p",
            json.dumps(patch),
        )

    only_on("none")
    try:
        eventually(
            "the collectors are gone",
            lambda: (
                not said(
                    cluster,
                    "-n",
                    COLLECTOR,
                    "get",
                    "pods",
                    "-l=app.kubernetes.io/component=logs",
                    "-oname",
                )
            ),
        )
        yield
    finally:
        only_on(None)


def _failed(query: Query, region: str, since: float = 0) -> dict[str, str]:
    """How many samples each agent gave up sending, as it told the hub after ``since``."""
    counter = f'prometheus_remote_storage_samples_failed_total{{cluster="{region}"}}'
    found = query(f"{counter} and timestamp({counter}) > {since:.0f}")
    return {each["metric"]["pod"]: each["value"][1] for each in found}


def _scale(cluster: str, namespace: str, what: str, replicas: int) -> None:
    patch = json.dumps({"spec": {"replicas": replicas}})
    said(cluster, "-n", namespace, "patch", what, "--type=merge", "-p", patch)


def _runs(cluster: str, namespace: str, what: str) -> bool:
    result = kubectl(
        cluster, "-n", namespace, "rollout", "status", what, "--timeout=5s", timeout=30
    )
    return result.returncode == 0


def _opened(cluster: str, namespace: str, app: str, doors: Sequence[str]) -> set[str]:
    """Which addresses a pod of ``namespace`` that calls itself ``app`` gets through to."""
    # Several times: policies know a new pod a moment after it runs.
    assert ends_well(cluster, namespace, app, ["sh", "-c", KNOCK, "knock", *doors])
    return set(said(cluster, "-n", namespace, "logs", f"test-{app}").split())
