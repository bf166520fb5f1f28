"""What operators are told: of names, certificates, Applications and pods, and of what is wrong."""

import base64
import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

import commands
from fleet.errors import InputError
from fleet.registry import Fleet
from operations import (
    applications,
    credentials,
    diagnosis,
    manifests,
    names,
    probes,
    status,
    steps,
)
from operations.credentials import Answers, Name
from operations.edit import change
from operations.kubectl import ClusterError, Kubectl
from operations.probes import Outside, ProbeError, Served
from operations.status import Cell, Row
from tests.objects import SAMPLE


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "clusters.yaml"
    path.write_bytes(SAMPLE.read_bytes())
    return path


def test_addresses_change_where_they_stand_and_nothing_else(registry: Path) -> None:
    before = registry.read_text().splitlines()
    change(
        registry,
        {
            ("us-east", "address"): ("45.77.154.12", "203.0.113.1"),
            ("eu-west", "address"): ("95.179.208.170", "203.0.113.2"),
        },
    )
    after = registry.read_text().splitlines()
    assert [new for old, new in zip(before, after, strict=True) if old != new] == [
        "    address: 203.0.113.1",
        "    address: 203.0.113.2",
    ]


def test_an_address_that_the_registry_refuses_is_not_written(registry: Path) -> None:
    before = registry.read_bytes()
    with pytest.raises(InputError, match="is also the address of tooling"):
        change(registry, {("us-east", "address"): ("45.77.154.12", "144.202.101.170")})
    assert registry.read_bytes() == before
    assert list(registry.parent.iterdir()) == [registry]


def test_without_kubectl_that_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(project)
    for command in ("bootstrap", "status", "addresses"):
        with pytest.raises(InputError, match="kubectl: is not on the PATH; install it"):
            commands.main([command])
    assert capsys.readouterr().out == ""


@pytest.fixture
def kubeconfig(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contexts for two of three clusters; nobody answers there."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "x", "user": {"token": "t"}}],
        "contexts": [
            {"name": name, "context": {"cluster": "x", "user": "x"}}
            for name in ("tooling", "us-east", "eu-central")
        ],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(content))
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.chdir(project)


def needs_kubectl() -> None:
    if not any((Path(each) / "kubectl").exists() for each in os.get_exec_path()):
        pytest.skip("needs kubectl on the PATH")


def test_clusters_that_do_not_answer_are_told_all_at_once(
    kubeconfig: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what else is wrong, and before anything is done."""
    needs_kubectl()
    monkeypatch.setattr("operations.bootstrap.resolver", lambda server: lambda host: ["192.0.2.1"])
    with pytest.raises(InputError) as caught:
        commands.main(["bootstrap", "--context", "eu-west=eu-central"])
    for cluster in ("tooling", "us-east", "eu-west"):
        mine = [line for line in caught.value.problems if line.startswith(f"{cluster}: ")]
        assert any("127.0.0.1:1" in line for line in mine), mine
        assert any("leads to 192.0.2.1; have it lead to" in line for line in mine), mine
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("given", ["us-east", "us-east=", "nowhere=x"])
def test_what_is_no_pair_of_cluster_and_value_is_told(given: str, kubeconfig: None) -> None:
    with pytest.raises(InputError, match=r"write CLUSTER=VALUE|no such cluster"):
        commands.main(["status", "--context", given])


def test_the_hub_knows_a_password_by_its_sum_alone() -> None:
    """In the form of htpasswd, several at a time while one is rotated."""
    known = (credentials.sign_in("us-east-1", "new"), credentials.sign_in("us-east-2", "old"))
    lines = credentials.users(*known)["users"].splitlines()
    # printf new | openssl sha1 -binary | base64
    assert lines == ["us-east-1:{SHA}wqawPxkN+ytKqR+K+NR3qbw0Adw=", lines[1]]
    assert len(lines) == 2
    assert "new" not in lines[0]


def test_an_old_and_a_new_sign_in_are_good_at_a_time(fleet: Fleet) -> None:
    """Traefik puts the lines in a table by the name of the user."""
    region = fleet.regions[0]
    made = [credentials.to_write(region) for _ in range(20)]
    assert len({each["username"] for each in made}) == len(made)
    assert all(each["username"].startswith(f"{region.name}-") for each in made)


def test_passwords_are_long_and_never_the_same() -> None:
    made = {credentials.password() for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 43


def test_every_secret_that_pods_name_is_made(fleet: Fleet) -> None:
    """By bootstrap, or by cert-manager and Argo CD while they run."""
    made = {
        (name.cluster, name.namespace, name.name)
        for name in (
            *credentials.made_up(fleet),
            *(each.name for each in credentials.given(fleet)),
            *(name for region in fleet.regions for name in credentials.of_region(region)),
            *(credentials.at_hub(fleet, region) for region in fleet.regions),
        )
    }
    assert made == {
        ("tooling", "monitoring", "grafana-sign-in"),
        ("tooling", "monitoring", "prometheus-sign-in"),
        ("tooling", "monitoring", "alertmanager-receivers"),
        ("tooling", "monitoring", "ingest-us-east"),
        ("tooling", "monitoring", "ingest-eu-west"),
        *(
            (region, namespace, name)
            for region in ("us-east", "eu-west")
            for namespace, name in (
                ("monitoring", "ingest-credentials"),
                ("opentelemetry-collector", "ingest-credentials"),
                ("foobar-api", "registry-pull"),
            )
        ),
    }


def test_a_bucket_wants_its_keys(fleet: Fleet) -> None:
    hub = fleet.hub.model_copy(update={"logs_bucket": "https://sjc1.vultrobjects.com/logs"})
    others = [each for each in fleet.clusters if each is not fleet.hub]
    found = credentials.given(fleet.model_copy(update={"clusters": (hub, *others)}))
    (bucket,) = (each for each in found if each.name.name == "loki-bucket")
    answers = Answers({"BUCKET_ACCESS_KEY": "key", "BUCKET_SECRET_KEY": "secret"})
    assert answers.content(bucket) == {
        "credentials": "[default]\naws_access_key_id = key\naws_secret_access_key = secret\n"
    }


def test_the_pull_secret_is_what_a_kubelet_reads(fleet: Fleet) -> None:
    (pull,) = (
        each
        for each in credentials.given(fleet)
        if each.name == Name("us-east", "foobar-api", "registry-pull")
    )
    answers = Answers({"REGISTRY_USERNAME": "user"})
    assert not answers.has(pull)
    assert "REGISTRY_USERNAME and REGISTRY_PASSWORD" in steps.lacks(pull)
    answers.known["REGISTRY_PASSWORD"] = "pass"
    content = json.loads(answers.content(pull)[".dockerconfigjson"])
    entry = content["auths"]["sjc.vultrcr.com"]
    assert base64.b64decode(entry["auth"]) == b"user:pass"


def test_definitions_come_from_the_components_that_bring_them(built: Any, fleet: Fleet) -> None:
    found = {each.component for each in built if each.kind == "CustomResourceDefinition"}
    assert found == {*steps.DEFINING_COMPONENTS, "argocd"}


def test_traefik_may_watch_from_the_start(fleet: Fleet, rendered: Path) -> None:
    """Every namespace that it is told to: a watch that is refused comes back late."""
    site = steps.Site(fleet, {}, rendered, Answers({}), {})
    for cluster in fleet.names:
        (deployment,) = manifests.of_files(site.dist, cluster, "Deployment.traefik.yaml")
        (told,) = {
            each.partition("=")[2]
            for each in deployment["spec"]["template"]["spec"]["containers"][0]["args"]
            if "namespaces=" in each
        }
        granted = {
            each["metadata"]["namespace"] for each in steps._granted_to_traefik(site, cluster)
        }
        assert granted == set(told.split(",")) - {"traefik"}


def test_objects_are_marked_as_argo_cd_marks_them() -> None:
    """An object without a namespace is in that of the Application's destination."""

    def mark(kind: str, group: str, **metadata: str) -> object:
        manifest = {"apiVersion": f"{group}/v1".lstrip("/"), "kind": kind, "metadata": metadata}
        marked = manifests.marked("us-east", "traefik", manifest)
        return marked["metadata"].get("annotations", {}).get(manifests.TRACKED)

    rbac = "rbac.authorization.k8s.io"
    assert mark("ClusterRole", rbac, name="a") == f"us-east-traefik:{rbac}/ClusterRole:argocd/a"
    assert mark("Service", "", name="a", namespace="b") == "us-east-traefik:/Service:b/a"
    assert mark("CustomResourceDefinition", "apiextensions.k8s.io", name="a") is None


@pytest.mark.parametrize(
    ("told", "tries"),
    [("failed calling webhook: connection refused", 3), ("unknown field", 1)],
)
def test_objects_are_tried_until_a_webhook_answers(
    told: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a mistake is told at once."""
    taken: list[object] = []

    def apply(self: Kubectl, objects: object) -> None:
        taken.append(objects)
        if len(taken) < 3:
            raise ClusterError(f"us-east: {told}")

    monkeypatch.setattr(Kubectl, "apply", apply)
    monkeypatch.setattr("operations.manifests.time.sleep", lambda seconds: None)
    if tries == 1:
        with pytest.raises(ClusterError, match=told):
            manifests._apply_once_agreed(Kubectl("us-east", "us-east"), [{}])
    else:
        manifests._apply_once_agreed(Kubectl("us-east", "us-east"), [{}])
    assert len(taken) == tries


# What Argo CD and Kubernetes say


def application(status: dict[str, Any]) -> applications.Application:
    return applications._application("us-east-x", "us-east", {"status": status})


def test_an_application_that_is_not_there_says_so() -> None:
    assert applications._application("a", "b", None).why == "Argo CD has not made it yet"


def test_the_reason_is_argo_cds_own_where_it_has_one() -> None:
    found = application(
        {
            "sync": {"status": "Unknown"},
            "health": {"status": "Healthy"},
            "conditions": [{"type": "ComparisonError", "message": "no such path"}],
            "operationState": {"phase": "Failed", "message": "one object is not valid"},
        }
    )
    assert not found.settled
    assert found.why == "no such path; one object is not valid"
    settled = application({"sync": {"status": "Synced"}, "health": {"status": "Healthy"}})
    assert settled.settled
    assert settled.why == ""


def test_a_pod_that_cannot_start_says_why() -> None:
    pod = {
        "metadata": {"name": "x-1"},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "False", "message": "no node"}],
            "containerStatuses": [
                {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}},
                {"state": {"running": {}}},
            ],
        },
    }
    assert list(diagnosis._of_pod(pod)) == [
        "Pod x-1: no node",
        "Pod x-1: ImagePullBackOff: not found",
    ]


def test_conditions_that_are_false_are_reasons() -> None:
    issuing = {"type": "Issuing", "status": "True", "message": "issuing"}
    ready = {"type": "Ready", "status": "False", "message": "rate limited"}
    found = {"kind": "Certificate", "status": {"conditions": [ready, issuing]}}
    assert list(diagnosis._of_conditions(found)) == ["rate limited"]
    issuing |= {"status": "False", "message": "will be retried"}
    assert list(diagnosis._of_conditions(found)) == ["rate limited", "will be retried"]
    claim = {"kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}
    assert list(diagnosis._of_conditions(claim)) == ["is Pending"]


def test_a_certificate_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing of another whose name is longer, nor of what is done."""

    def every(self: Kubectl, kind: str, *, namespace: str) -> list[dict[str, Any]]:
        one = kind.partition(".")[0].removesuffix("s").capitalize()
        reason = "404 in place of 200"
        found = {
            "Order": [("app-1-2", {"state": "processing"}), ("other-1-2", {"state": "invalid"})],
            "Challenge": [("app-1-2-3", {"state": "pending", "reason": reason}), ("app-1-4-5", {})],
        }
        return [
            {"kind": one, "metadata": {"name": name}, "status": status}
            for name, status in found[one]
        ]

    monkeypatch.setattr(Kubectl, "every", every)
    certificate = {"metadata": {"name": "app", "namespace": "a"}}
    assert list(diagnosis._of_issuance(Kubectl("c", "c"), certificate)) == [
        "Order is processing",
        "Challenge is pending: 404 in place of 200",
        "Challenge is pending",
    ]


# What is seen from outside


def test_names_are_asked_of_this_machine() -> None:
    assert set(names.resolver(None)("localhost")) <= {"127.0.0.1", "::1"}
    with pytest.raises(LookupError):
        names.resolver(None)("no-such-name.invalid")


def test_a_server_of_names_that_is_silent_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        # It has no port of DNS; nothing listens there.
        with pytest.raises(LookupError, match=r"127\.0\.0\.2"):
            names.resolver("127.0.0.2")("a.example")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """A server of TLS on this machine, as the host `app.test`, and who signed its certificate."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("app.test").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as tls:
                    if tls.recv(1000):
                        tls.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 1}\n')
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setattr(probes, "PORT", port)
    yield Outside(lambda host: ["127.0.0.1"], tmp_path / "ca.pem")
    listener.close()


def test_a_certificate_is_seen_whether_or_not_it_is_trusted(served: Outside) -> None:
    found = served.certificate("app.test")
    assert found.distrust == ""
    assert found.life_left > 0.5
    assert "trustme" in found.issuer
    stranger = Outside(served.resolve, None).certificate("app.test")
    assert stranger.serial == found.serial
    assert "clients refuse its certificate" in stranger.distrust
    assert "clients refuse its certificate" in served.certificate("other.test").distrust


def test_the_answer_comes_with_the_serial_of_its_own_connection(served: Outside) -> None:
    assert served.get("app.test", "/") == (200, {"a": 1}, served.certificate("app.test").serial)


def test_nobody_there_is_told(served: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PORT", 1)
    with pytest.raises(ProbeError, match=r"app\.test gives no answer at 127\.0\.0\.1:1"):
        served.certificate("app.test")


# How it is told


def row(**cells: Cell) -> Row:
    good = dict.fromkeys(
        ("reachable", "applications", "certificate", "app", "newest_sample", "newest_line"),
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
    assert plain["alerts"] == {"told": "1", "why": "firing: IngestRefused", "good": False}
    assert not plain["good"]
    json.dumps(plain)


@pytest.mark.parametrize(
    ("age", "why"),
    [(None, "no sample of the last hour is at the hub"), (10, ""), (300, "the newest sample")],
)
def test_what_is_old_is_wrong(age: float | None, why: str) -> None:
    newest = None if age is None else datetime.now(UTC).timestamp() - age
    cell = status._age(newest, 120, "sample", {}, "samples")
    assert cell.why.startswith(why)
    assert bool(cell.why) == bool(why)


def test_a_hub_that_cannot_be_asked_is_not_called_silent() -> None:
    cell = status._age(None, 120, "sample", {"samples": "tooling: no answer"}, "samples")
    assert cell.why == "the hub cannot be asked: tooling: no answer"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(5, "5 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (86_400 * 61, "61 d")],
)
def test_spans_are_told_as_people_do(seconds: float, told: str) -> None:
    assert status._span(seconds) == told


def test_a_certificate_that_is_overdue_is_wrong(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the share of its life that is left, whoever issued it for however long."""
    authority = trustme.CA()
    region = fleet.regions[0]

    def certificate(left: timedelta) -> Served:
        issued = authority.issue_cert(region.host, not_after=datetime.now(UTC) + left)
        pem = issued.cert_chain_pems[0].bytes()
        return Served(region.host, x509.load_pem_x509_certificate(pem), "")

    outside = Outside(lambda host: [], None)
    for left, wrong in ((timedelta(days=365 * 40), False), (timedelta(days=1), True)):
        monkeypatch.setattr(Outside, "certificate", lambda self, host, left=left: certificate(left))
        assert ("renewal is overdue" in status._certificate(region, outside).why) == wrong


def test_kubectl_is_given_objects_by_standard_input() -> None:
    """A list of processes shows arguments, and so must not show a Secret."""
    manifest = credentials.manifest(Name("c", "n", "s"), {"password": "hidden"})
    assert base64.b64decode(manifest["data"]["password"]) == b"hidden"
    assert "hidden" not in repr(Kubectl("c", "ctx"))
