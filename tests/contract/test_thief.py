"""What a stolen password of a region can do at the hub: Traefik and the log gateway really run.

The routes, middlewares and configuration are those that are rendered, but for addresses, files and
the encoding in which the gateway sends on.
"""

import gzip
import http.client
import json
import socket
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from charts.ingress import leading_to
from charts.monitoring import gateway, ingest, loki
from charts.monitoring.log_limits import LONGEST_BODY, LONGEST_LINE, MOST_METADATA
from charts.monitoring.names import LOG_GATEWAY
from charts.monitoring.opentelemetry import HEALTH, METRICS
from fleet.registry import Fleet
from operations import credentials
from rendering.validation.objects import Object
from tests.programs import program

OURS: Final = "us-east"
"""The region whose password is stolen."""
THEIRS: Final = "eu-west"
PASSWORD: Final = "stolen"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def eventually(look: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not look():
        assert time.monotonic() < end
        time.sleep(0.05)


@dataclass
class Store:
    """Stands in for Loki: keeps what it is sent, or answers ``status(body)``."""

    status: Callable[[str], int] = lambda _: 200
    bodies: list[str] = field(default_factory=list)

    @property
    def resources(self) -> list[dict[str, str]]:
        """The attributes of each group of lines that it took."""
        return [
            {each["key"]: each["value"]["stringValue"] for each in group["resource"]["attributes"]}
            for body in self.bodies
            for group in json.loads(body)["resourceLogs"]
        ]

    @property
    def lines(self) -> list[str]:
        return [
            record["body"]["stringValue"]
            for body in self.bodies
            for group in json.loads(body)["resourceLogs"]
            for scope in group["scopeLogs"]
            for record in scope["logRecords"]
        ]

    @contextmanager
    def listening(self) -> Iterator[int]:
        store = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status = store.status(body)
                if status == 200:
                    store.bodies.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join()


@dataclass(frozen=True)
class HubSide:
    """What of the hub is between a region and Loki."""

    traefik: int
    otlp: int
    store: Store
    host: str

    def send(
        self,
        body: bytes,
        *,
        route: str = OURS,
        user: tuple[str, str] | None = (OURS, PASSWORD),
        headers: Mapping[str, str] = {},
    ) -> int:
        """The answer to a request by way of Traefik."""
        sent = {
            "Host": self.host,
            "Content-Type": "application/json",
            **headers,
        }
        if user:
            sent["Authorization"] = basic(*user)
        return _posted(self.traefik, ingest.LOGS.path(route), body, sent)

    def knock(self, body: bytes) -> int:
        """The answer to a request that does not come by way of Traefik."""
        return _posted(self.otlp, gateway.PUSH_PATH, body, {"Content-Type": "application/json"})


def basic(user: str, password: str = PASSWORD) -> str:
    """The header of a sign-in."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _posted(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", path, body, dict(headers))
        return connection.getresponse().status


def lines(text: str, *texts: str, **attributes: str) -> bytes:
    """A request with these lines, whose sender claims the labels ``attributes``."""
    now = str(time.time_ns())
    return json.dumps(
        {
            "resourceLogs": [
                {
                    "resource": {
                        "attributes": [
                            {"key": key, "value": {"stringValue": value}}
                            for key, value in attributes.items()
                        ]
                    },
                    "scopeLogs": [
                        {
                            "logRecords": [
                                {"timeUnixNano": now, "body": {"stringValue": each}}
                                for each in (text, *texts)
                            ]
                        }
                    ],
                }
            ]
        }
    ).encode()


def one(objects: Sequence[Object], cluster: str, kind: str, name: str) -> Mapping[str, Any]:
    (found,) = (
        each for each in objects if (each.cluster, each.kind, each.name) == (cluster, kind, name)
    )
    return found.body


def dynamic(objects: Sequence[Object], hub: str, otlp: int) -> dict[str, Any]:
    """The routes for lines and their middlewares, for Traefik's provider of files."""
    routers: dict[str, Any] = {}
    middlewares: dict[str, Any] = {}
    for region in (OURS, THEIRS):
        (rule,) = one(objects, hub, "IngressRoute", ingest.LOGS.route(region))["spec"]["routes"]
        names = [each["name"] for each in rule["middlewares"]]
        assert [each["name"] for each in rule["services"]] == [leading_to(LOG_GATEWAY)]
        routers[region] = {"rule": rule["match"], "middlewares": names, "service": "gateway"}
        for name in names:
            spec = dict(one(objects, hub, "Middleware", name)["spec"])
            if basic := spec.get("basicAuth"):
                spec["basicAuth"] = {
                    "users": [
                        credentials.htpasswd_line({"username": region, "password": PASSWORD})
                    ],
                    "removeHeader": basic["removeHeader"],
                }
            middlewares[name] = spec
    server = {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{otlp}"}]}}
    return {
        "http": {"routers": routers, "middlewares": middlewares, "services": {"gateway": server}}
    }


def collector(
    objects: Sequence[Object], hub: str, folder: Path, ports: Mapping[int, int], store: int
) -> dict[str, Any]:
    """The gateway's configuration, with other ports and without compression."""
    text = one(objects, hub, "ConfigMap", LOG_GATEWAY)["data"]["collector.yaml"]
    (folder / gateway.QUEUE[1:]).mkdir(parents=True)
    content: dict[str, Any] = yaml.safe_load(
        text.replace(gateway.QUEUE, str(folder / gateway.QUEUE[1:])).replace(
            f"{loki.URL}", f"http://127.0.0.1:{store}"
        )
    )
    content["extensions"]["health_check"]["endpoint"] = f"127.0.0.1:{ports[HEALTH]}"
    http = content["receivers"]["otlp"]["protocols"]["http"]
    http["endpoint"] = f"127.0.0.1:{ports[gateway.PORT]}"
    exporter = content["exporters"]["otlp_http"]
    exporter.update({"encoding": "json", "compression": "none"})
    (reader,) = content["service"]["telemetry"]["metrics"]["readers"]
    reader["pull"]["exporter"]["prometheus"].update({"host": "127.0.0.1", "port": ports[METRICS]})
    return content


@pytest.fixture
def change() -> Callable[[dict[str, Any]], None]:
    """What a test changes in the gateway's configuration: nothing."""
    return lambda _: None


@pytest.fixture
def hub(
    objects: Sequence[Object],
    fleet: Fleet,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], None],
) -> Iterator[HubSide]:
    otelcol, traefik = program("otelcol"), program("traefik")
    name = fleet.hub.name
    store = Store()
    ports = {each: free_port() for each in (HEALTH, METRICS, gateway.PORT, 80)}
    with ExitStack() as stack:
        at = stack.enter_context(store.listening())
        content = collector(objects, name, tmp_path, ports, at)
        change(content)
        (tmp_path / "collector.yaml").write_text(yaml.safe_dump(content))
        (tmp_path / "dynamic.yaml").write_text(
            yaml.safe_dump(dynamic(objects, name, ports[gateway.PORT]))
        )
        for command in (
            [otelcol, f"--config={tmp_path / 'collector.yaml'}"],
            [
                traefik,
                f"--entryPoints.web.address=127.0.0.1:{ports[80]}",
                "--entryPoints.web.http.aliasHeadersStrategy=delete",
                f"--providers.file.filename={tmp_path / 'dynamic.yaml'}",
                "--global.checkNewVersion=false",
                "--global.sendAnonymousUsage=false",
            ],
        ):
            log = stack.enter_context((tmp_path / f"{Path(command[0]).name}.log").open("w"))
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        side = HubSide(ports[80], ports[gateway.PORT], store, fleet.hub.loki_host)
        eventually(lambda: _up(lambda: side.knock(b"{}")) and _up(lambda: side.send(b"{}")))
        yield side


def _up(ask: Callable[[], int]) -> bool:
    try:
        return ask() == 200
    except OSError:
        return False


def test_lines_are_those_of_the_region_whose_password_was_used(hub: HubSide, fleet: Fleet) -> None:
    """Whatever they claim, in their labels or in headers."""
    claims = {"cluster": THEIRS, "region": "fra", "namespace": "shop", "app": "till"}
    for number, headers in enumerate(
        (
            {},
            {gateway.CLUSTER_HEADER: THEIRS, gateway.REGION_HEADER: "fra"},
            {"Connection": f"close, {gateway.CLUSTER_HEADER}", gateway.CLUSTER_HEADER: THEIRS},
            {gateway.CLUSTER_HEADER.replace("-", "_"): THEIRS},
        )
    ):
        assert hub.send(lines(f"lie {number}", **claims), headers=headers) == 200
    eventually(lambda: len(hub.store.lines) == 4)
    for found in hub.store.resources:
        assert found == {**claims, "cluster": OURS, "region": fleet.cluster(OURS).region_label}


def test_a_region_that_claims_nothing_is_named_all_the_same(hub: HubSide) -> None:
    assert hub.send(lines("here", namespace="shop")) == 200
    eventually(lambda: bool(hub.store.lines))
    (found,) = hub.store.resources
    assert (found["cluster"], found["namespace"]) == (OURS, "shop")


def test_what_has_not_passed_traefik_is_dropped(hub: HubSide) -> None:
    assert hub.knock(lines("from within", cluster=THEIRS)) == 200
    assert hub.send(lines("from without", cluster=THEIRS)) == 200
    eventually(lambda: bool(hub.store.lines))
    time.sleep(1.5)
    assert hub.store.lines == ["from without"]


def test_a_password_opens_no_other_path(hub: HubSide) -> None:
    body = lines("hello", cluster=THEIRS)
    assert hub.send(body, user=None) == 401
    assert hub.send(body, user=(OURS, "guessed")) == 401
    assert hub.send(body, route=THEIRS) == 401
    assert not hub.store.lines


def test_labels_are_few_and_short(hub: HubSide, fleet: Fleet) -> None:
    """A label more is another stream, and Loki has room for 20 000."""
    claims = {f"label_{number}": "x" for number in range(20)}
    assert hub.send(lines("hello", pod="p" * 3000, **claims)) == 200
    eventually(lambda: bool(hub.store.lines))
    (found,) = hub.store.resources
    assert found == {
        "cluster": OURS,
        "region": fleet.cluster(OURS).region_label,
        "pod": "p" * gateway.LONGEST_LABEL,
    }


def test_lines_and_fields_are_cut_to_what_loki_takes(hub: HubSide) -> None:
    """Of whatever type they are: a record above a batch takes along those behind it."""
    sent = json.loads(lines("x" * 2_000_000, "neighbour", "other"))
    (scope,) = sent["resourceLogs"][0]["scopeLogs"]
    records = scope["logRecords"]
    nested = {"key": "deep", "value": {"stringValue": "y" * 500_000}}
    records[1]["attributes"] = [
        {"key": "path", "value": {"stringValue": "/" * 70_000}},
        {"key": "map", "value": {"kvlistValue": {"values": [nested]}}},
        *({"key": f"field{n}", "value": {"stringValue": "z" * 5_000}} for n in range(100)),
    ]
    records[2]["body"] = {"kvlistValue": {"values": [nested]}}
    assert hub.send(json.dumps(sent).encode()) == 200
    eventually(lambda: len(hub.store.lines) == 3)
    assert "neighbour" in hub.store.lines
    assert max(map(len, hub.store.lines)) == LONGEST_LINE
    fields = max(
        (
            record.get("attributes", [])
            for body in hub.store.bodies
            for group in json.loads(body)["resourceLogs"]
            for scope in group["scopeLogs"]
            for record in scope["logRecords"]
        ),
        key=len,
    )
    assert len(fields) == gateway.FIELDS_KEPT
    assert sum(len(json.dumps(each)) for each in fields) < MOST_METADATA


def test_a_request_too_large_is_refused(hub: HubSide) -> None:
    """As it is sent, and as it is once it is unpacked."""
    assert hub.send(b"{", headers={"Content-Length": str(LONGEST_BODY + 1)}) == 413
    packed = gzip.compress(lines("x" * (LONGEST_BODY + 1)))
    assert len(packed) < LONGEST_BODY // 100
    assert hub.send(packed, headers={"Content-Encoding": "gzip"}) == 400
    assert not hub.store.lines


def test_requests_under_way_are_few(hub: HubSide) -> None:
    """Traefik keeps the bodies of them all in memory. Another region's are counted apart."""
    host, path = hub.host, ingest.LOGS.path(OURS)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {basic(OURS)}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    opened = 0

    def full() -> bool:
        """Whether there is no room. A slow one that found none for a moment is replaced."""
        nonlocal opened
        if hub.send(lines("one more")) == 429:
            return True
        slow = stack.enter_context(socket.create_connection(("127.0.0.1", hub.traefik)))
        slow.sendall(head.encode())
        opened += 1
        return False

    with ExitStack() as stack:
        eventually(full)
        assert opened >= ingest.CONCURRENT_REQUESTS
        sent = lines("of another")
        assert hub.send(sent, route=THEIRS, user=(THEIRS, PASSWORD)) == 200
    eventually(lambda: hub.send(lines("room again")) == 200)


def test_what_loki_refuses_of_one_region_takes_nothing_of_another(hub: HubSide) -> None:
    hub.store.status = lambda body: 400 if "poison" in body else 200
    for number in range(10):
        assert hub.send(lines(f"poison {number}")) == 200
        sent = lines(f"good {number}")
        assert hub.send(sent, route=THEIRS, user=(THEIRS, PASSWORD)) == 200
    eventually(lambda: len(hub.store.lines) == 10)
    assert {each["cluster"] for each in hub.store.resources} == {THEIRS}


class TestFullQueue:
    """Loki is away, and the queue is small."""

    @pytest.fixture
    def change(self) -> Callable[[dict[str, Any]], None]:
        def smaller(content: dict[str, Any]) -> None:
            exporter = content["exporters"]["otlp_http"]
            exporter["retry_on_failure"]["max_interval"] = "1s"
            queue = exporter["sending_queue"]
            queue["queue_size"] = 200_000
            queue["batch"].update({"min_size": 5_000, "max_size": 20_000})

        return smaller

    def test_regions_keep_what_does_not_fit(self, hub: HubSide) -> None:
        """They are answered 503, which collectors repeat; what was taken arrives in the end."""
        hub.store.status = lambda _: 503
        answers = [hub.send(lines(f"{number} " + "x" * 10_000)) for number in range(40)]
        assert set(answers) == {200, 503}
        # Until Traefik's own limit there is no other answer.
        hub.store.status = lambda _: 200
        taken = {number for number, status in enumerate(answers) if status == 200}
        eventually(lambda: {int(each.split()[0]) for each in hub.store.lines} == taken)
