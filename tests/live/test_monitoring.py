"""Monitoring as rendered, on real clusters: what a region sends arrives, and nothing else gets in.

Needs the contexts named like the clusters, their images, and pods that can resolve the hub's
hostnames. Certificates are of an authority made here, for there is no ACME server to rely on.
"""

import copy
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import trustme
import yaml

from charts.monitoring import alertmanager, grafana, ingest, loki, prometheus, secrets
from charts.monitoring.collector import COLLECTOR
from charts.monitoring.dashboards import DASHBOARDS
from charts.scrape import MONITORING
from charts.traefik import TRAEFIK
from fleet.registry import Fleet, Hub
from tests.live.cluster import (
    DRY_ONLY,
    answered,
    apply,
    cannot_start,
    eventually,
    forwarded,
    kubectl,
    prepare,
    said,
    secret,
)
from tests.objects import Object
from tests.queries import filled, targets

pytestmark = pytest.mark.live

HUB_FOLDERS: Final = (
    "baseline",
    "traefik",
    "prometheus-operator",
    "node-exporter",
    "opentelemetry-collector",
    "prometheus",
    "alertmanager",
    "loki",
    "ingest",
    "rules",
)
REGION_FOLDERS: Final = (
    "baseline",
    "prometheus-operator",
    "node-exporter",
    "opentelemetry-collector",
    "prometheus-agent",
)
SIGN_IN: Final = "someone", "sign-in-of-the-tests"
RIGHT: Final = "us-east"
"""A region whose password is the hub's."""
WRONG: Final = "eu-west"
"""A region whose password is not."""

OUTAGE_SECONDS: Final = float(os.environ.get("LIVE_OUTAGE_SECONDS", "60"))
"""How long the hub's Prometheus is away in these tests."""
KNOCK: Final = "for _ in 1 2 3 4 5; do echo | nc -w 2 $1 $2 && exit; sleep 1; done; exit 1"
LINES: Final = 2000
KUBERNETES: Final = ("apiserver", "kubelet", "coredns", "node-exporter")
SPEECH: Final = 'i=0; while [ $i -lt $1 ]; do i=$((i+1)); echo "line $i of the outage"; done'


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


class HubOverTls:
    """The hub as the internet sees it: by hostname at its load balancer's address."""

    def __init__(self, address: str, authority: trustme.CA) -> None:
        self._address = address
        self._context = ssl.create_default_context(cadata=_pem(authority))

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
def authority() -> trustme.CA:
    """Who signs the hub's certificates in these tests."""
    return trustme.CA()


@pytest.fixture(scope="module")
def passwords(fleet: Fleet) -> Mapping[str, str]:
    """What the hub knows of each region."""
    return {region.name: f"password-of-{region.name}" for region in fleet.regions}


@pytest.fixture(scope="module")
def deployed(
    built: Sequence[Object], fleet: Fleet, authority: trustme.CA, passwords: Mapping[str, str]
) -> None:
    """Hub and regions with their monitoring; skips where images are not to be had."""
    hub = fleet.hub
    prepare(hub.name, built)
    # Who is here to serve certificates as well would have the Secrets for itself.
    kubectl(hub.name, "-n", "cert-manager", "scale", "deployment/cert-manager", "--replicas=0")
    apply(
        hub.name,
        [
            *(
                secret(MONITORING, name, _pair(authority, host), "kubernetes.io/tls")
                for name, host in (
                    (prometheus.TLS_SECRET, hub.prometheus_host),
                    (loki.TLS_SECRET, hub.loki_host),
                    (grafana.TLS_SECRET, hub.grafana_host),
                )
            ),
            *(
                _basic_auth(MONITORING, secrets.ingest_user(name), name, password)
                for name, password in passwords.items()
            ),
            _basic_auth(MONITORING, secrets.PROMETHEUS_SIGN_IN, *SIGN_IN),
            secret(
                MONITORING,
                secrets.ALERT_RECEIVERS,
                dict.fromkeys(("pages", "notices", "watchdog"), "https://receiver.invalid/"),
            ),
        ],
        "--force-conflicts",
    )
    # Traefik serves nothing before it may look into every namespace that it is told of.
    granted = [
        each.body
        for each in built
        if each.cluster == hub.name
        and each.kind in ("Role", "RoleBinding")
        and each.name == TRAEFIK
    ]
    apply(hub.name, granted)
    _bring(hub.name, HUB_FOLDERS, built, authority)
    for region in fleet.regions:
        prepare(region.name, built)
        password = passwords[region.name] if region.name != WRONG else "of yesterday"
        _bring_credentials(region.name, password)
        apply(region.name, [secret(MONITORING, "authority", {"ca.crt": _pem(authority)})])
        _bring(region.name, REGION_FOLDERS, built, authority)
    eventually(
        "Prometheus runs on the hub",
        lambda: _runs(hub.name, MONITORING, "statefulset/prometheus-k8s"),
        seconds=300,
    )
    for namespace, what in (
        ("traefik", "deployment/traefik"),
        (COLLECTOR, "daemonset/logs"),
        (MONITORING, "statefulset/loki"),
        (MONITORING, "statefulset/alertmanager-main"),
    ):
        eventually(
            f"{what} runs on the hub",
            partial(_runs, hub.name, namespace, what),
            seconds=300,
        )


def _pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def _pair(authority: trustme.CA, host: str) -> dict[str, str]:
    """The data of a TLS Secret for ``host``."""
    issued = authority.issue_cert(host)
    (chain,) = issued.cert_chain_pems
    return {
        "tls.crt": chain.bytes().decode(),
        "tls.key": issued.private_key_pem.bytes().decode(),
    }


def _basic_auth(namespace: str, name: str, user: str, password: str) -> dict[str, Any]:
    data = {"username": user, "password": password}
    return secret(namespace, name, data, "kubernetes.io/basic-auth")


def _bring_credentials(cluster: str, password: str) -> None:
    apply(
        cluster,
        [
            _basic_auth(namespace, secrets.INGEST_CREDENTIALS, cluster, password)
            for namespace in (MONITORING, COLLECTOR)
        ],
    )


def _bring(
    cluster: str, folders: Sequence[str], built: Sequence[Object], authority: trustme.CA
) -> None:
    for folder in folders:
        objects = [
            _adapted(each.body, cluster, authority)
            for each in built
            if (each.cluster, each.component) == (cluster, folder)
            and each.kind not in DRY_ONLY
            # No image of it has the receiver of events.
            and (each.kind, each.name) != ("Deployment", "events")
        ]
        if folder == "prometheus-operator":
            apply(cluster, objects)
            eventually(
                f"the operator runs in {cluster}",
                lambda: _runs(cluster, MONITORING, "deployment/prometheus-operator"),
            )
        else:
            apply(cluster, objects)


def _adapted(body: Mapping[str, Any], cluster: str, authority: trustme.CA) -> Mapping[str, Any]:
    """What is changed of what is rendered: whom to trust for the hub's certificates.

    And where the queue is on a node: nodes of a test may be on one machine, and share its folders.
    """
    if body["kind"] == "DaemonSet" and body["metadata"]["name"] == "logs":
        changed: dict[str, Any] = copy.deepcopy(dict(body))
        for volume in changed["spec"]["template"]["spec"]["volumes"]:
            if volume["name"] == "queue":
                volume["hostPath"]["path"] += f"-{cluster}"
        return changed
    if body["kind"] == "PrometheusAgent":
        changed = copy.deepcopy(dict(body))
        changed["spec"]["remoteWrite"][0]["tlsConfig"] = {
            "ca": {"secret": {"name": "authority", "key": "ca.crt"}}
        }
        return changed
    if body["kind"] == "ConfigMap" and "collector.yaml" in body["data"]:
        changed = copy.deepcopy(dict(body))
        configuration = yaml.safe_load(body["data"]["collector.yaml"])
        configuration["exporters"]["otlp_http"]["tls"] = {"ca_pem": _pem(authority)}
        changed["data"]["collector.yaml"] = yaml.safe_dump(configuration)
        return changed
    return body


def _runs(cluster: str, namespace: str, what: str) -> bool:
    if why := cannot_start(cluster, namespace, what.rpartition("/")[2]):
        pytest.skip(f"needs the images of monitoring: {why}")
    result = kubectl(
        cluster, "-n", namespace, "rollout", "status", what, "--timeout=5s", timeout=30
    )
    return result.returncode == 0


@pytest.fixture(scope="module")
def hub(fleet: Fleet, deployed: None, authority: trustme.CA) -> HubOverTls:
    status = json.loads(said(fleet.hub.name, "-n", "traefik", "get", "service/traefik", "-ojson"))
    return HubOverTls(status["status"]["loadBalancer"]["ingress"][0]["ip"], authority)


@pytest.fixture(scope="module")
def query(fleet: Fleet, hub: HubOverTls) -> "Query":
    return Query(fleet.hub, hub)


class Query:
    """PromQL by way of the hub's own page, behind its sign-in."""

    def __init__(self, facts: Hub, hub: HubOverTls) -> None:
        self._host = facts.prometheus_host
        self._hub = hub

    def __call__(self, expression: str) -> list[dict[str, Any]]:
        path = "/api/v1/query?" + urlencode({"query": expression})
        answer = self._hub.ask(self._host, path, user=SIGN_IN)
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = json.loads(answer.body)["data"]["result"]
        return found

    def alerts(self) -> list[dict[str, str]]:
        answer = self._hub.ask(self._host, "/api/v1/alerts", user=SIGN_IN)
        assert answer.status == 200, answer
        return [
            each["labels"]
            for each in json.loads(answer.body)["data"]["alerts"]
            if each["state"] == "firing"
        ]


@pytest.fixture
def logs(fleet: Fleet, deployed: None) -> Iterator["Logs"]:
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
            "prometheus-operator",
            "opentelemetry-collector",
            "prometheus-k8s" if cluster is fleet.hub else "prometheus-agent",
        ):
            labels = f'cluster="{cluster.name}",region="{cluster.region_label}",job="{job}"'
            eventually(f"{job} of {cluster.name} is up", partial(query, f"up{{{labels}}} == 1"))
    for job in ("traefik", "loki", "alertmanager-main"):
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
    fleet: Fleet, hub: HubOverTls, passwords: Mapping[str, str]
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
    for user, expected in ((None, 401), (ours, 401), (SIGN_IN, 200)):
        asked = "/api/v1/query?query=up"
        assert hub.ask(facts.prometheus_host, asked, user=user).status == expected
    for path in ("/api/v1/write", "/api/v1/otlp/v1/metrics", "/-/reload", "/-/quit"):
        asked_by = hub.ask(facts.prometheus_host, path, method="POST", user=SIGN_IN, body=b"")
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


def test_alertmanager_has_the_configuration(fleet: Fleet, deployed: None, tmp_path: Path) -> None:
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
    for name, port in (("prometheus-k8s", 9090), ("loki", 3100), ("alertmanager-main", 9093)):
        address = said(
            hub, "-n", MONITORING, "get", f"service/{name}", "-o=jsonpath={.spec.clusterIP}"
        )
        assert _reach(hub, "traefik", "traefik", address, port) == (name != "alertmanager-main")
        assert not _reach(hub, "kube-system", "stranger", address, port), name


def test_an_outage_of_the_hub_loses_nothing(fleet: Fleet, query: Query) -> None:
    """Prometheus and Loki are away for OUTAGE_SECONDS: the region's series have no gap afterwards.

    Nor its lines, though its collectors were restarted meanwhile.
    """
    hub = fleet.hub.name
    expression = f'up{{cluster="{RIGHT}",job="apiserver"}}'
    eventually("samples arrive", partial(query, f"{expression} == 1"))
    start = time.time()
    _scale(hub, 0)
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
    _scale(hub, 1)
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


def _scale(hub: str, replicas: int) -> None:
    patch = json.dumps({"spec": {"replicas": replicas}})
    for what in ("prometheus/k8s", "statefulset/loki"):
        said(hub, "-n", MONITORING, "patch", what, "--type=merge", "-p", patch)


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


def test_a_password_made_right_brings_the_region_in(
    fleet: Fleet, query: Query, logs: Logs, passwords: Mapping[str, str]
) -> None:
    """With no restart of anything."""
    _bring_credentials(WRONG, passwords[WRONG])
    eventually(
        f"metrics of {WRONG}",
        partial(query, f'up{{cluster="{WRONG}",job="prometheus-agent"}} == 1'),
        seconds=300,
    )

    def lines() -> list[dict[str, Any]]:
        assert _run(WRONG, "kube-system", "speaker", ["echo", "what is said from now on"])
        return logs(f'{{cluster="{WRONG}",app="speaker"}}')

    eventually(f"lines of {WRONG}", lines, seconds=300)


def _reach(cluster: str, namespace: str, app: str, address: str, port: int) -> bool:
    """Whether a pod of ``namespace`` that calls itself ``app`` gets through to an address."""
    # Policies know a new pod a moment after it runs.
    return _run(cluster, namespace, app, ["sh", "-c", KNOCK, "knock", address, str(port)])


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
