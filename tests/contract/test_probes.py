"""Probes of public hostnames: who asks for what, and what the exporter finds."""

import http.server
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import trustme
import yaml

from charts.monitoring.blackbox import SERVED, configuration
from charts.monitoring.hostnames import PLACES, hostnames, places, probed_by
from charts.monitoring.names import BLACKBOX_EXPORTER
from charts.monitoring.rules.traffic import COLLAPSED, FEWEST, WatchedTraefik
from charts.monitoring.scraper import INTERVAL
from charts.text import as_yaml
from fleet.registry import Fleet
from rendering.validation.objects import Object
from tests.objects import FLEETS, load
from tests.programs import program
from tests.queries import METRICS, names, rules


def fleet_of(text: str, tmp_path: Path) -> Fleet:
    """The fleet with ``text`` as its clusters."""
    path = tmp_path / "clusters.yaml"
    path.write_text(
        "git: {repository: https://git.example.org/fleet.git, revision: main}\n"
        f"acme: {{email: ops@foobar-platform.dev}}\nclusters:\n{text}"
    )
    return load(path)


def region(name: str, last: int, more: str = "") -> str:
    return (
        f"  - {{name: {name}, role: region, address: 192.0.2.{last}{more},\n"
        f"     apps: {{shop-api: {{hostname: {name}, image: r.example.org/shop:1}}}}}}\n"
    )


HUB = "  - {name: hub, role: hub, address: 192.0.2.100}\n"


@pytest.mark.parametrize("name", ["sample", "ten-regions", "three-apps", "clouds", "own-traefik"])
def test_two_other_clusters_probe_each_hostname(name: str) -> None:
    fleet = load(FLEETS / f"{name}.yaml")
    found = Counter(
        (each.cluster, each.host) for prober in fleet.clusters for each in probed_by(fleet, prober)
    )
    assert {cluster for cluster, _ in found} == {
        each.name for each in fleet.clusters if hostnames(fleet, each)
    }
    assert {host for _, host in found} == {host for each in fleet.clusters for host in each.hosts}
    assert set(found.values()) == {PLACES}
    for prober in fleet.clusters:
        assert prober.name not in {each.cluster for each in probed_by(fleet, prober)}


def test_the_probes_of_a_region_do_not_grow_with_the_fleet() -> None:
    fleet = load(FLEETS / "ten-regions.yaml")
    pages = len(hostnames(fleet, fleet.hub))
    counts = [len(probed_by(fleet, each)) for each in fleet.regions]
    assert counts == [1 + pages, 1 + pages, *[1] * 8]
    assert len(probed_by(fleet, fleet.hub)) == 10


def test_a_fleet_of_one_region_has_one_place(tmp_path: Path) -> None:
    fleet = fleet_of(HUB + region("only", 1), tmp_path)
    assert places(fleet)[fleet.hub.name] == ("only",)
    assert places(fleet)["only"] == ("hub",)


def test_a_fleet_without_regions_has_none(tmp_path: Path) -> None:
    fleet = fleet_of(HUB, tmp_path)
    assert places(fleet)[fleet.hub.name] == ()
    assert {each.app for each in hostnames(fleet, fleet.hub)} == {"argocd", "grafana", "prometheus"}
    assert probed_by(fleet, fleet.hub) == ()


@pytest.mark.parametrize("left_out", ["blackbox-exporter", "prometheus-agent"])
def test_a_region_that_cannot_report_is_passed_over(left_out: str, tmp_path: Path) -> None:
    """And is still probed itself."""
    fleet = fleet_of(
        HUB
        + region("a", 1)
        + region("b", 2, f", without: [{left_out}]")
        + region("c", 3)
        + region("d", 4),
        tmp_path,
    )
    assert places(fleet)["a"] == ("hub", "c")
    assert places(fleet)["b"] == ("hub", "c")
    assert places(fleet)["d"] == ("hub", "a")
    assert places(fleet)[fleet.hub.name] == ("a", "c")


def test_where_the_hub_does_not_probe_two_regions_do(tmp_path: Path) -> None:
    hub = HUB.replace("}", ", without: [blackbox-exporter]}")
    fleet = fleet_of(hub + region("a", 1) + region("b", 2) + region("c", 3), tmp_path)
    assert places(fleet)["b"] == ("c", "a")


def test_each_app_is_asked_as_its_users_ask() -> None:
    """By its own path where its description has one; what may speak gRPC by the handshake."""
    fleet = load(FLEETS / "three-apps.yaml")
    found = {each.app: each for each in hostnames(fleet, fleet.cluster("north"))}
    assert {app: each.target for app, each in found.items()} == {
        "foobar-api": "https://api.north.example.org/api",
        "shop-api": "https://shop.north.example.org/ready",
        "plain-api": "plain.north.example.org:443",
        "store-api": "https://store.north.example.org/",
    }
    assert {each.request for app, each in found.items() if app != "plain-api"} == {"https"}


def test_certificates_are_verified_unless_no_client_trusts_them() -> None:
    for fleet, verified in (("own-domain", True), ("one-region", False)):
        loaded = load(FLEETS / f"{fleet}.yaml")
        for cluster in loaded.clusters:
            assert {each.trusted for each in hostnames(loaded, cluster)} == {verified}
    modules = configuration()["modules"]
    assert {
        name for name, module in modules.items() if "tls_config" not in module[module["prober"]]
    } == {"https", "tls"}


def test_a_probe_says_what_it_is_about(objects: Sequence[Object], fleet: Fleet) -> None:
    """By labels that no label of the scraper replaces."""
    certificates = {
        (each.cluster, host, each.name)
        for each in objects
        if each.kind == "Certificate"
        for host in each.body["spec"]["dnsNames"]
    }
    seen = 0
    for each in objects:
        if each.kind != "Probe":
            continue
        spec = each.body["spec"]
        labels = spec["targets"]["staticConfig"]["labels"]
        assert labels.keys() == {"target_cluster", "app", "hostname", "certificate"}
        assert labels["target_cluster"] != each.cluster
        subject = (labels["target_cluster"], labels["hostname"], labels["certificate"])
        assert subject in certificates
        (target,) = spec["targets"]["staticConfig"]["static"]
        assert labels["hostname"] in target
        (service,) = (
            other
            for other in objects
            if other.kind == "Service"
            and (other.cluster, other.namespace) == (each.cluster, each.namespace)
            and spec["prober"]["url"].startswith(f"{other.name}.{other.namespace}.svc:")
        )
        assert spec["prober"]["url"].endswith(f":{service.body['spec']['ports'][0]['port']}")
        assert spec["module"] in configuration()["modules"]
        seen += 1
    assert seen == PLACES * sum(len(each.hosts) for each in fleet.clusters)


def test_what_a_probe_keeps_is_what_rules_ask_for(objects: Sequence[Object]) -> None:
    exported = set((METRICS / "blackbox-exporter.txt").read_text().split())
    asked = {name for rule in rules(objects) for name in names(rule["expr"])}
    for each in objects:
        if each.kind == "Probe":
            (kept,) = each.body["spec"]["metricRelabelings"]
            assert kept["action"] == "keep"
            assert set(kept["regex"].split("|")) <= exported
            assert {name for name in asked if name.startswith("probe_")} <= set(
                kept["regex"].split("|")
            )


def test_every_hostname_that_is_probed_is_missed(objects: Sequence[Object]) -> None:
    """One alert for each place, which names every hostname that it probes of a cluster."""
    expected = {
        (each.cluster, each.body["spec"]["targets"]["staticConfig"]["labels"]["hostname"])
        for each in objects
        if each.kind == "Probe"
    }
    found = {
        (rule["labels"]["cluster"], host)
        for rule in rules(objects)
        if rule.get("alert") == "ProbeMissing"
        for _, host in expected
        if f'hostname="{host}"' in rule["expr"]
    }
    assert found == expected


def test_probes_alone_are_not_taken_for_traffic() -> None:
    """Whoever counts an app's requests counts them too, so they must not pass for a fifth."""
    assert PLACES / float(INTERVAL.removesuffix("s")) < COLLAPSED * FEWEST


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", True),
        (", without: [traefik], traefik: {namespace: kube-system}", False),
        (", without: [prometheus-agent]", None),
    ],
)
def test_a_traefik_is_missed_where_it_can_be(
    keys: str,
    expected: bool | None,  # noqa: FBT001 - a parameter of the test
    tmp_path: Path,
) -> None:
    """One that the cluster had before need not be scraped, and a region may send no metrics."""
    fleet = fleet_of(HUB + region("a", 1, keys), tmp_path)
    found = [each for each in map(WatchedTraefik.of, fleet.clusters) if each]
    assert {each.cluster: each.expected for each in found} == {
        "hub": True,
        **({} if expected is None else {"a": expected}),
    }


@pytest.fixture(scope="module")
def exporter_program() -> str:
    return program("blackbox_exporter")


def test_the_exporter_takes_its_configuration(
    exporter_program: str, objects: Sequence[Object], tmp_path: Path
) -> None:
    texts = {
        each.body["data"]["config.yml"]
        for each in objects
        if each.kind == "ConfigMap" and each.name == BLACKBOX_EXPORTER
    }
    (text,) = texts
    path = tmp_path / "config.yml"
    path.write_text(text)
    command = [exporter_program, "--config.check", f"--config.file={path}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers ``/503`` with 503."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/") or 200))
        self.send_header("Location", "https://elsewhere.invalid/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(certificate: trustme.LeafCert) -> Iterator[int]:
    """The port of a server with ``certificate``."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    # As in a browser's first request, the handshake is the connection's own thread's.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def exporter(
    exporter_program: str, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """URL of an exporter with our configuration, which trusts the test's authority."""
    trusting: Any = yaml.safe_load(as_yaml(configuration()))
    for name in ("https", "tls"):
        module = trusting["modules"][name]
        module[module["prober"]]["tls_config"] = {"ca": authority.cert_pem.bytes().decode()}
    path = tmp_path_factory.mktemp("exporter") / "config.yml"
    path.write_text(yaml.safe_dump(trusting))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [exporter_program, f"--config.file={path}", f"--web.listen-address=127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"{url}/-/healthy").close()  # noqa: S310
                    break
                except OSError:
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def probe(exporter: str, module: str, target: str) -> dict[str, float]:
    """What the exporter finds."""
    asked = urlencode({"module": module, "target": target})
    with urllib.request.urlopen(f"{exporter}/probe?{asked}") as response:  # noqa: S310
        lines = response.read().decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def test_a_status_below_500_is_served(exporter: str, authority: trustme.CA) -> None:
    with served(authority.issue_cert("localhost")) as port:
        for status, success in ((200, 1), (302, 1), (401, 1), (404, 1), (500, 0), (503, 0)):
            found = probe(exporter, "https", f"https://localhost:{port}/{status}")
            assert (found["probe_http_status_code"], found["probe_success"]) == (status, success)
    assert 401 in SERVED


def test_tls_is_verified(exporter: str, authority: trustme.CA) -> None:
    """A certificate for another name, one that has expired, and one of a stranger."""
    expired = authority.issue_cert("localhost", not_after=datetime.now(UTC) - timedelta(hours=1))
    for certificate in (
        authority.issue_cert("other.example.org"),
        expired,
        trustme.CA().issue_cert("localhost"),
    ):
        with served(certificate) as port:
            for module, target in (
                ("https", f"https://localhost:{port}/"),
                ("tls", f"localhost:{port}"),
            ):
                assert probe(exporter, module, target)["probe_success"] == 0
                assert probe(exporter, f"{module}-untrusted", target)["probe_success"] == 1


def test_the_end_of_the_certificate_is_told(exporter: str, authority: trustme.CA) -> None:
    end = (datetime.now(UTC) + timedelta(days=9)).replace(microsecond=0)
    with served(authority.issue_cert("localhost", not_after=end)) as port:
        for module, target in (
            ("https", f"https://localhost:{port}/503"),
            ("tls", f"localhost:{port}"),
        ):
            found = probe(exporter, module, target)
            assert found["probe_ssl_earliest_cert_expiry"] == end.timestamp()


def test_what_cannot_be_reached_is_a_failure_and_not_silence(exporter: str) -> None:
    """Nobody listens, or the name does not exist."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    for target in (f"localhost:{port}", "no-such-host.invalid:443"):
        assert probe(exporter, "https", f"https://{target}/")["probe_success"] == 0
        assert probe(exporter, "tls", target)["probe_success"] == 0
