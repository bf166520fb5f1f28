"""What ``fleet status`` reports of a fleet, and of each way in which one can fail."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from cryptography import x509

from fleet.registry import Fleet
from operations import credentials, status
from operations.cluster import NoContextError
from operations.credentials import SecretRef
from operations.hub import Unknown
from operations.probes import Outside, ProbeError, Served
from operations.status import Cell, Row
from tests.operations.conftest import Result
from tests.operations.world import World

Command = Callable[..., Result]


@dataclass
class Hub:
    """Prometheus and Loki: when each cluster's newest sample and line came, and what fires."""

    samples: dict[str, float] = field(default_factory=dict)
    lines: dict[str, float] = field(default_factory=dict)
    alerts: dict[str, list[str]] = field(default_factory=dict)
    broken: bool = False
    other: object = None
    """What comes instead of results."""

    def answer(self, path: str, query: str) -> list[dict[str, Any]]:
        if path == "/loki/api/v1/query_range":
            return [
                {"values": [[str(int(time * 1e9)), "a line"]]}
                for cluster, time in self.lines.items()
                if f'"{cluster}"' in query
            ]
        if query.startswith("ALERTS"):
            return [
                {"metric": {"cluster": cluster, "alertname": name}}
                for cluster, names in self.alerts.items()
                for name in names
            ]
        return [
            {"metric": {"cluster": cluster}, "values": [[time - 60, "1"], [time, "1"]]}
            for cluster, time in self.samples.items()
        ]


@dataclass
class Users:
    """What is seen from outside: certificates, and the serial that foobar-api reports."""

    authority: trustme.CA = field(default_factory=trustme.CA)
    certificates: dict[str, x509.Certificate] = field(default_factory=dict)
    distrust: str = ""
    dead: set[str] = field(default_factory=set)
    answer: tuple[int, Any] | None = None

    def issue(self, host: str, left: timedelta = timedelta(days=365 * 40)) -> x509.Certificate:
        issued = self.authority.issue_cert(host, not_after=datetime.now(UTC) + left)
        found = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
        self.certificates[host] = found
        return found

    def certificate(self, host: str) -> Served:
        if host in self.dead:
            raise ProbeError(f"{host} gives no answer")
        return Served(host, self.certificates[host], self.distrust)

    def get(self, host: str) -> tuple[int, Any, str]:
        serial = self.certificate(host).serial
        state, body = self.answer or (200, {"tls": {"certificate": {"serial": serial}}})
        return state, body, serial


@pytest.fixture
def users(world: World, monkeypatch: pytest.MonkeyPatch) -> Users:
    seen = Users()
    for cluster in world.fleet.clusters:
        for host in cluster.hosts:
            seen.issue(host)
    monkeypatch.setattr(Outside, "certificate", lambda outside, host: seen.certificate(host))
    monkeypatch.setattr(Outside, "get", lambda outside, host, path: seen.get(host))
    return seen


@pytest.fixture
def hub(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Reached by port-forward."""
    known = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            self.send_response(500 if known.broken else 200)
            self.end_headers()
            results = known.answer(url.path, parse_qs(url.query)["query"][0])
            answer = known.other or {"data": {"result": results}}
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        world.hub.endpoints = {
            "monitoring/service/prometheus-k8s:9090": url,
            "monitoring/service/loki:3100": url,
        }
        yield known
        server.shutdown()
        thread.join()


@pytest.fixture
def well(world: World, users: Users, hub: Hub, command: Command) -> World:
    """A fleet of which everything is well."""
    assert command("bootstrap").status == 0
    now = datetime.now(UTC).timestamp()
    for cluster in world.fleet.names:
        hub.samples[cluster] = now - 20
        hub.lines[cluster] = now - 20
    store_certificate(world, users.certificates[world.fleet.regions[0].host("foobar-api")])
    return world


def store_certificate(world: World, certificate: x509.Certificate) -> None:
    """In the Secret that the pod mounts."""
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    pem = certificate.public_bytes(Encoding.PEM).decode()
    ref = SecretRef("edge", "foobar-api", "foobar-api-tls")
    world.clusters["edge"].put(credentials.manifest(ref, {"tls.crt": pem}))


@dataclass(frozen=True)
class Report:
    status: int
    rows: dict[str, Any]

    def why(self, cluster: str, column: str) -> str:
        return str(self.rows[cluster][column]["why"])

    @property
    def wrong(self) -> list[tuple[str, str]]:
        return [
            (cluster, column)
            for cluster, row in self.rows.items()
            for column, cell in row.items()
            if isinstance(cell, dict) and not cell["good"]
        ]


@pytest.fixture
def look(command: Command) -> Callable[[], Report]:
    def look() -> Report:
        result = command("status", "--json")
        rows = {row["cluster"]: row for row in json.loads(result.out)}
        return Report(result.status, rows)

    return look


Look = Callable[[], Report]


def test_a_fleet_that_is_well_is_green(well: World, look: Look) -> None:
    report = look()
    assert report.wrong == []
    assert report.status == 0
    assert report.rows["edge"]["app"]["text"] == "passthrough"
    assert report.rows["hub"]["app"]["text"] == "-"


def test_nodes_that_traefik_would_not_believe_are_reported(well: World, look: Look) -> None:
    hub, edge = well.fleet.clusters
    proxied = edge.model_copy(update={"provider": "vultr"})
    well.fleet = well.fleet.model_copy(update={"clusters": (hub, proxied)})
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-1"},
        "status": {"addresses": [{"type": "InternalIP", "address": "203.0.113.4"}]},
    }
    well.clusters["edge"].put(node)
    report = look()
    assert report.wrong == [("edge", "nodes")]
    assert report.rows["edge"]["nodes"]["text"] == "1"
    assert report.why("edge", "nodes") == (
        "nodes have addresses outside `nodeNetworks`, 203.0.113.4; add their networks, or Traefik "
        "takes every client for a node"
    )
    node["status"] = {"addresses": [{"type": "InternalIP", "address": "10.0.0.4"}]}
    well.clusters["edge"].put(node)
    assert look().wrong == []


def test_people_get_a_table_and_a_sentence_for_each_problem(
    well: World, hub: Hub, command: Command
) -> None:
    hub.alerts["edge"] = ["IngestRefused"]
    result = command("status")
    assert result.status == 1
    assert "edge: alerts: firing: IngestRefused" in result.out.splitlines()
    assert sum(line.split()[:1] in (["hub"], ["edge"]) for line in result.out.splitlines()) == 2


def test_status_changes_nothing(well: World, look: Look) -> None:
    well.journal.go_on()
    look()
    assert well.journal.changing == []


def test_a_dead_api_server_is_reported_and_asked_once(well: World, look: Look) -> None:
    """The hub's word on the region is there all the same."""
    well.clusters["edge"].down = True
    well.journal.go_on()
    report = look()
    assert report.status == 1
    assert report.why("edge", "reachable").startswith("The connection to the server 192.0.2.100")
    assert report.wrong == [("edge", "reachable"), ("edge", "app")]
    assert [call for call in well.journal.calls if call.startswith("edge")] == ["edge: readyz"]


def test_a_cluster_without_a_context_is_reported(well: World, look: Look) -> None:
    fault = NoContextError("edge", "kubectl has no context edge; name one")
    well.clusters["edge"] = well.clusters["edge"].failing(fault)
    assert look().why("edge", "reachable") == "kubectl has no context edge; name one"


def test_a_dead_hub_is_not_called_silent(well: World, look: Look) -> None:
    well.hub.down = True
    report = look()
    for cluster in well.fleet.names:
        assert report.why(cluster, "applications").startswith("Argo CD cannot be asked: hub: ")
        for column in ("newest_sample", "newest_line", "alerts"):
            assert report.why(cluster, column).startswith("the hub cannot be asked: hub: ")


def test_a_prometheus_that_fails_is_not_called_silent(well: World, hub: Hub, look: Look) -> None:
    hub.broken = True
    report = look()
    assert report.why("edge", "newest_sample") == (
        "the hub cannot be asked: HTTP Error 500: Internal Server Error"
    )
    assert report.rows["edge"]["applications"]["good"]


@pytest.mark.parametrize("other", [{"status": "success"}, ["login"], {"data": {"result": "x"}}])
def test_an_answer_of_something_else_is_reported(
    well: World, hub: Hub, look: Look, other: object
) -> None:
    hub.other = other
    report = look()
    why = "the hub cannot be asked: /api/v1/query answers without a result"
    assert report.why("edge", "newest_sample") == why
    assert report.why("edge", "alerts") == why


def test_a_loki_that_is_missing_leaves_the_rest_known(well: World, look: Look) -> None:
    del well.hub.endpoints["monitoring/service/loki:3100"]  # type: ignore[attr-defined]
    report = look()
    assert report.wrong == [("hub", "newest_line"), ("edge", "newest_line")]
    assert 'services "loki" not found' in report.why("edge", "newest_line")


@pytest.mark.parametrize(
    ("kind", "age", "why"),
    [
        ("samples", None, "no sample of the last hour is at the hub"),
        ("samples", 300, "the newest sample at the hub is 5 min old"),
        ("lines", None, "no log line of the last hour is at the hub"),
        ("lines", 1500, "the newest log line at the hub is 25 min old"),
    ],
)
def test_silence_is_reported(
    well: World, hub: Hub, look: Look, *, kind: str, age: float | None, why: str
) -> None:
    times = getattr(hub, kind)
    if age is None:
        del times["edge"]
    else:
        times["edge"] = datetime.now(UTC).timestamp() - age
    column = f"newest_{kind.removesuffix('s')}"
    report = look()
    assert report.wrong == [("edge", column)]
    assert report.why("edge", column) == why


def test_an_application_that_is_not_healthy_is_explained(well: World, look: Look) -> None:
    well.hub.edit(
        "applications.argoproj.io",
        "edge-foobar-api",
        "argocd",
        status={
            "sync": {"status": "Synced"},
            "health": {"status": "Degraded"},
            "resources": [
                {"kind": "Deployment", "group": "apps", "name": "none", "namespace": "a"}
            ],
        },
    )
    report = look()
    assert report.wrong == [("edge", "applications")]
    assert report.why("edge", "applications") == (
        "edge-foobar-api is Synced and Degraded (Deployment none does not exist)"
    )


def test_alerts_are_reported_by_name(well: World, hub: Hub, look: Look) -> None:
    hub.alerts["edge"] = ["B", "A", "A"]
    report = look()
    assert report.wrong == [("edge", "alerts")]
    assert report.why("edge", "alerts") == "firing: A, B"


def test_a_certificate_that_is_overdue_is_reported(well: World, users: Users, look: Look) -> None:
    """By the share of its life that is left, whoever issued it for however long."""
    host = well.fleet.regions[0].host("foobar-api")
    store_certificate(well, users.issue(host, timedelta(days=365 * 40)))
    assert look().wrong == []
    store_certificate(well, users.issue(host, timedelta(days=1)))
    report = look()
    assert report.wrong == [("edge", "certificate")]
    assert "renewal is overdue" in report.why("edge", "certificate")


def test_a_host_that_serves_nothing_is_reported(well: World, users: Users, look: Look) -> None:
    users.dead.add(well.fleet.regions[0].host("foobar-api"))
    report = look()
    assert report.wrong == [("edge", "certificate"), ("edge", "app")]
    assert report.rows["edge"]["certificate"]["text"] == "none"


def test_distrust_is_wrong_in_production_only(
    well: World, users: Users, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    users.distrust = "clients refuse its certificate: self-signed"
    assert look().wrong == []
    production = [
        cluster.model_copy(update={"issuer": "production"}) for cluster in well.fleet.clusters
    ]
    monkeypatch.setattr(well, "fleet", well.fleet.model_copy(update={"clusters": (*production,)}))
    assert {column for _, column in look().wrong} == {"certificate"}


@pytest.mark.parametrize(
    ("answer", "told", "why"),
    [
        ((503, {}), "503", "answers 503 to GET /api"),
        ((200, None), "200", "answers 200 to GET /api"),
        ((200, {"tls": {}}), "not passed", "TLS does not end in the pod"),
        ((200, {"tls": [None]}), "not passed", "TLS does not end in the pod"),
        ((200, {"tls": {"certificate": "no"}}), "not passed", "TLS does not end in the pod"),
    ],
)
def test_an_app_that_is_not_well_is_reported(
    well: World, users: Users, look: Look, *, answer: tuple[int, Any], told: str, why: str
) -> None:
    users.answer = answer
    report = look()
    assert report.wrong == [("edge", "app")]
    assert report.rows["edge"]["app"]["text"] == told
    assert why in report.why("edge", "app")


def test_a_pod_that_serves_an_old_certificate_is_reported(
    well: World, users: Users, look: Look
) -> None:
    store_certificate(well, trustme_certificate())
    assert "another certificate than its Secret has" in look().why("edge", "app")
    well.clusters["edge"].remove("secret", "foobar-api-tls", "foobar-api")
    assert "cannot be read" in look().why("edge", "app")


def trustme_certificate() -> x509.Certificate:
    return x509.load_pem_x509_certificate(trustme.CA().cert_pem.bytes())


def test_an_authority_that_is_missing_is_reported(world: World, command: Command) -> None:
    result = command("status", "--ca", "/none.pem")
    assert result.status == 2
    assert result.err.strip() == "/none.pem: no such file; --ca takes a file of certificates"


def test_a_watch_looks_again(
    well: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def pause(seconds: float) -> None:
        nonlocal looks
        looks += 1
        assert seconds == 7
        if looks == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("operations.waiting.pause", pause)
    assert command("status", "--watch", "7").status == 130
    assert looks == 3


# How it is shown


def row(**cells: Cell) -> Row:
    good = dict.fromkeys(
        (
            *("reachable", "nodes", "applications", "certificate", "app"),
            *("newest_sample", "newest_line"),
        ),
        Cell("yes"),
    )
    return Row("us-east", **{**good, "alerts": Cell("0"), **cells})


def test_each_thing_that_is_wrong_has_a_sentence() -> None:
    assert row().good
    bad = row(alerts=Cell("1", "firing: IngestRefused"), newest_sample=Cell("none", "no sample"))
    assert not bad.good
    assert list(status.reasons([row(), bad])) == [
        "us-east: newest sample: no sample",
        "us-east: alerts: firing: IngestRefused",
    ]
    plain = status._plain(bad)
    assert plain["alerts"] == {"text": "1", "why": "firing: IngestRefused", "good": False}
    assert not plain["good"]
    json.dumps(plain)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(5, "5 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (86_400 * 61, "61 d")],
)
def test_spans_are_in_the_unit_that_people_would_choose(seconds: float, told: str) -> None:
    assert status._span(seconds) == told


def test_what_is_in_brackets_is_shown(fleet: Fleet) -> None:
    """An issuer or a message may have what rich takes for markup."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as shown:
        console.print(status.table([row(certificate=Cell("[bold]CA"))]))
    assert "[bold]CA" in shown.get()


def test_an_answer_that_is_missing_has_its_reason(fleet: Fleet) -> None:
    cell = status._age(Unknown("tooling: no answer"), fleet.hub, 120, "sample")
    assert cell == Cell("?", "the hub cannot be asked: tooling: no answer")
