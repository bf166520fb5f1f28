"""The OpenTelemetry Collector with our configuration, and what it reads from and sends to."""

import gzip
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml

from charts.monitoring.collector.configuration import FEATURE_GATES, QUEUE
from charts.monitoring.log_limits import PIECE

T = TypeVar("T")

PODS: Final = "/var/log/pods"
UID: Final = "0a1b2c3d-0000-4000-8000-000000000001"


def until(what: str, found: Callable[[], T], seconds: float = 60) -> T:
    """What ``found`` returns as soon as that is true."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return result


@dataclass(frozen=True)
class Record:
    """A log record as Loki gets it: the line, its labels and its metadata."""

    body: str
    labels: Mapping[str, str]
    metadata: Mapping[str, Any]
    level: str


@dataclass
class Store:
    """Takes records at an OTLP path as Loki does, or answers ``status`` instead."""

    url: str = ""
    status: int = 200
    records: list[Record] = field(default_factory=list)

    def bodies(self, prefix: str) -> list[str]:
        return [each.body for each in self.records if each.body.startswith(prefix)]

    def take(self, body: bytes) -> None:
        for of_resource in json.loads(body)["resourceLogs"]:
            labels = _values(of_resource["resource"])
            self.records += [
                Record(
                    body=record["body"]["stringValue"],
                    labels=labels,
                    metadata=_values(record),
                    level=record.get("severityText", ""),
                )
                for scope in of_resource["scopeLogs"]
                for record in scope["logRecords"]
            ]


def _values(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {
        each["key"]: next(iter(each["value"].values()), None)
        for each in holder.get("attributes", ())
    }


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def store() -> Iterator[Store]:
    taken = Store()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = taken.status
            if status == 200:
                taken.take(gzip.decompress(body))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with serving(Handler) as url:
        taken.url = f"{url}/otlp/v1/logs"
        yield taken


@contextmanager
def slow_api_server(labels: Mapping[str, str], seconds: float) -> Iterator[str]:
    """Lists the pod of ``ContainerLog`` with these labels, but only after some seconds."""
    ended = Event()
    pods = {
        "apiVersion": "v1",
        "kind": "PodList",
        "metadata": {"resourceVersion": "1"},
        "items": [
            {
                "metadata": {"name": "shop-0", "namespace": "shop", "uid": UID, "labels": labels},
                "spec": {"nodeName": "node"},
                "status": {"phase": "Running"},
            }
        ],
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "sendInitialEvents" in self.path:
                # The client lists instead, as from a server that cannot do this.
                self.answer(422, {"apiVersion": "v1", "kind": "Status", "reason": "Invalid"})
            elif "watch=" in self.path:
                ended.wait()
            else:
                ended.wait(seconds)
                self.answer(200, pods)

        def answer(self, status: int, content: object) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with serving(Handler) as url:
        yield url
        ended.set()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


class Collector:
    """A collector of logs on a node whose files are below ``folder``.

    It reads ``configuration``, with the paths and ports of the node replaced, and writes JSON.
    """

    def __init__(self, folder: Path, configuration: str, endpoint: str) -> None:
        self.pods, self.queue = folder / "pods", folder / "queue"
        for each in (self.pods, self.queue):
            each.mkdir(parents=True, exist_ok=True)
        text = configuration.replace(PODS, str(self.pods)).replace(QUEUE, str(self.queue))
        content: dict[str, Any] = yaml.safe_load(text)
        self.content = content
        self.health, self._metrics = free_port(), free_port()
        content["extensions"]["health_check"]["endpoint"] = f"127.0.0.1:{self.health}"
        (reader,) = content["service"]["telemetry"]["metrics"]["readers"]
        reader["pull"]["exporter"]["prometheus"] |= {"host": "127.0.0.1", "port": self._metrics}
        content["exporters"]["otlp_http"] |= {"logs_endpoint": endpoint, "encoding": "json"}
        # Ten times as often as on a node.
        content["receivers"]["file_log"]["poll_interval"] = "500ms"
        self._path, self.log = folder / "collector.yaml", folder / "collector.log"
        self._gates = [f"--feature-gates={gate}" for gate in FEATURE_GATES]
        self._environment = {"NODE_NAME": "node"}
        self._process: subprocess.Popen[bytes] | None = None

    def without_api_server(self) -> None:
        """There is none, so no pod has labels."""
        del self.content["processors"]["k8s_attributes"]
        self.content["service"]["pipelines"]["logs"]["processors"].remove("k8s_attributes")

    def with_api_server(self, url: str) -> None:
        """Ask the one at ``url``, which needs no account."""
        self.content["processors"]["k8s_attributes"]["auth_type"] = "kubeConfig"
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "a", "cluster": {"server": url}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "users": [{"name": "a", "user": {}}],
            "current-context": "a",
        }
        path = self._path.with_name("kubeconfig")
        path.write_text(json.dumps(kubeconfig))
        self._environment["KUBECONFIG"] = str(path)

    def save_log(self, logs: Path, starts: int) -> None:
        """What it has logged since its last start, as a kubelet saves it in ``logs``."""
        text = self.log.read_text("utf-8", "replace")
        self.log.unlink()
        lines = (f"{_now()} stderr F {line}\n" for line in text.splitlines())
        (logs / f"{starts}.log").write_text("".join(lines))

    @property
    def sending_queue(self) -> dict[str, Any]:
        queue: dict[str, Any] = self.content["exporters"]["otlp_http"]["sending_queue"]
        return queue

    def start(self) -> None:
        program = shutil.which("otelcol")
        if not program:
            pytest.skip("needs otelcol on the PATH")
        self._path.write_text(yaml.safe_dump(self.content))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, f"--config={self._path}", *self._gates],
                stdout=log,
                stderr=log,
                env=self._environment,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.health}/") as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError):
            return False

    def stop(self, *, kill: bool = False) -> None:
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            self._process.wait(30)

    def metric(self, name: str) -> float:
        """The sum of the series of that name."""
        with urlopen(f"http://127.0.0.1:{self._metrics}/metrics") as answer:
            text = answer.read().decode()
        return sum(map(float, re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)))


@dataclass
class ContainerLog:
    """The files of one container as its runtime and a kubelet write and rotate them."""

    folder: Path
    rotate_at: int = 10 * 1024 * 1024
    """Bytes; 10 MiB is the kubelet's default."""
    files: int = 5
    """The kubelet's default."""
    rotations: int = 0

    @classmethod
    def of(cls, pods: Path, *, container: str = "app", **limits: int) -> "ContainerLog":
        folder = pods / f"shop_shop-0_{UID}" / container
        folder.mkdir(parents=True)
        return cls(folder, **limits)

    @property
    def current(self) -> Path:
        return self.folder / "0.log"

    def write(self, *lines: str) -> None:
        with self.current.open("a") as file:
            for line in lines:
                for start in range(0, max(len(line), 1), PIECE):
                    tag = "P" if start + PIECE < len(line) else "F"
                    file.write(f"{_now()} stdout {tag} {line[start : start + PIECE]}\n")
        if self.current.stat().st_size >= self.rotate_at:
            self.rotate()

    def rotate(self) -> None:
        """Drop the oldest, compress what is rotated, and rename the current file by date."""
        for old in self._rotated()[: -(self.files - 2)]:
            old.unlink()
        for path in self._rotated():
            if path.suffix != ".gz":
                temporary = path.with_name(f"{path.name}.tmp")
                with path.open("rb") as plain, gzip.open(temporary, "wb") as packed:
                    shutil.copyfileobj(plain, packed)
                temporary.rename(path.with_name(f"{path.name}.gz"))
                path.unlink()
        # No two of one second.
        self.current.rename(self.folder / f"0.log.20260101-{120000 + self.rotations}")
        self.current.touch()
        self.rotations += 1

    def _rotated(self) -> Sequence[Path]:
        return sorted(self.folder.glob("0.log.*"))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
