"""foobar-api as users reach it: by hostname, through the load balancer, TLS up to the pod."""

import http.client
import json
import time

import pytest
from cryptography import x509

from fleet.score import tls_secret
from tests.live.cluster import eventually, kubectl, said
from tests.live.conftest import Bootstrapped
from tests.live.load import Load, under_load
from tests.objects import FOOBAR_API

pytestmark = pytest.mark.live

REGIONS = ("us-east", "eu-west")


@pytest.mark.parametrize("region", REGIONS)
def test_the_certificate_is_the_acme_servers_and_ends_in_the_pod(
    up: Bootstrapped, region: str
) -> None:
    """Verified by name and chain; the app tells the serial of what it served."""
    way = up.way(region)
    status, body, served = way.get("/api")
    assert status == 200
    told = json.loads(body)
    certificate = x509.load_der_x509_certificate(served)
    assert told["tls"]["certificate"]["serial"] == format(certificate.serial_number, "x")
    assert told["tls"]["sni"] == way.host
    secret = said(
        region,
        "-n",
        FOOBAR_API,
        "get",
        "secret",
        tls_secret(FOOBAR_API),
        "-o=jsonpath={.data.tls\\.crt}",
    )
    assert secret
    assert told["cluster"] == region


@pytest.mark.parametrize("region", REGIONS)
def test_plain_http_is_sent_to_https_but_for_challenges(up: Bootstrapped, region: str) -> None:
    way = up.way(region)

    def get(path: str) -> tuple[int, str | None]:
        connection = http.client.HTTPConnection(way.address, 80, timeout=10)
        connection.request("GET", path, headers={"Host": way.host})
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status, response.headers.get("Location")

    assert get("/some/path?a=b") == (301, f"https://{way.host}/some/path?a=b")
    # Nobody has such a challenge; what matters is that it is not sent elsewhere.
    assert get("/.well-known/acme-challenge/token") == (404, None)


def test_the_clients_address_is_the_clients(up: Bootstrapped) -> None:
    """As a load balancer tells it, ahead of TLS, to Traefik, which tells the pod."""
    way = up.way("us-east")
    header = f"PROXY TCP4 203.0.113.9 {way.address} 40404 443\r\n".encode()
    _, body, _ = way.get("/api", first=header)
    assert json.loads(body)["remoteAddr"] == "203.0.113.9:40404"


def test_a_renewal_is_served_without_a_restart_or_a_lost_request(
    up: Bootstrapped, report: list[str]
) -> None:
    """Port 443 shows the old certificate, then the new one, and none besides."""
    region = "eu-west"
    before_renewal = _pods(region)
    with under_load(up.way(region)) as load:
        eventually("requests", lambda: load.answered > 20)
        (before,) = load.certificates
        start = time.monotonic()
        _renew(region)
        eventually("the new certificate", lambda: _seen(load, before), seconds=240)
        took = time.monotonic() - start
        answered = load.answered
        eventually("requests after it", lambda: load.answered > answered + 50)
    report.append(f"renewal: {load}, new certificate served after {took:.0f} s")
    assert load.lost == []
    assert len(load.certificates) == 2
    # The autoscaler may add and take away pods meanwhile.
    still = before_renewal.keys() & (now := _pods(region)).keys()
    assert still
    assert {name: now[name] for name in still} == {name: before_renewal[name] for name in still}


def _seen(load: Load, before: bytes) -> bool:
    return len(load.certificates - {before}) == 1


def _renew(region: str) -> None:
    """As cmctl renew does: the condition that cert-manager acts on."""
    arguments = ("-n", FOOBAR_API, "get", "certificate", FOOBAR_API, "-ojson")
    conditions = json.loads(said(region, *arguments))["status"]["conditions"]
    issuing = {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "asked for by a test",
        "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    patch = {"status": {"conditions": [*conditions, issuing]}}
    said(
        region,
        "-n",
        FOOBAR_API,
        "patch",
        "certificate",
        FOOBAR_API,
        "--subresource=status",
        "--type=merge",
        "-p",
        json.dumps(patch),
    )


def _pods(region: str) -> dict[str, int]:
    """The app's pods, and how often each has started."""
    found = json.loads(said(region, "-n", FOOBAR_API, "get", "pods", "-ojson"))["items"]
    return {
        each["metadata"]["name"]: each["status"]["containerStatuses"][0]["restartCount"]
        for each in found
        if each["metadata"]["labels"].get("app.kubernetes.io/name") == FOOBAR_API
    }


def test_what_must_be_refused_is_refused(up: Bootstrapped) -> None:
    """Argo CD's account outside its rights, and a privileged pod beside the app."""
    region = "us-east"
    account = "--as=system:serviceaccount:argocd:argocd-manager"
    for verb, what, namespace in (
        ("get", "secrets", "foobar-api"),
        ("list", "secrets", "kube-system"),
        ("create", "pods", "foobar-api"),
        ("delete", "nodes", "default"),
    ):
        asked = kubectl(region, "auth", "can-i", verb, what, account, f"--namespace={namespace}")
        assert asked.stdout.strip() == "no", f"{verb} {what} in {namespace}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged", "namespace": FOOBAR_API},
        "spec": {
            "containers": [
                {
                    "name": "privileged",
                    "image": "docker.io/library/busybox:1.36",
                    "securityContext": {"privileged": True},
                }
            ]
        },
    }
    refused = kubectl(region, "create", "--filename=-", objects=[pod])
    assert refused.returncode != 0
    assert "violates PodSecurity" in refused.stderr
