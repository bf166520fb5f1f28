"""Parts killed or cut off: what is lost is counted, and everything comes back by itself.

They take minutes, so LIVE_QUICK leaves them out.
"""

import http.client
import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from charts.applications import ARGOCD
from charts.argocd_access import TOKEN_SECRET
from charts.ingress import TRAEFIK
from charts.monitoring import ingest, secrets
from tests.live.cluster import eventually, kubectl, said
from tests.live.conftest import Bootstrapped
from tests.live.hub import HubOverTls, Query, admin_password, sign_in, signs_in
from tests.live.load import under_load
from tests.objects import FOOBAR_API

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(os.environ.get("LIVE_QUICK")), reason="LIVE_QUICK leaves faults out"),
]

REGION = "us-east"
AFTER_SECONDS = 20
"""How long is asked on after a fault."""
NO_SAMPLES = b"\x00"
"""An empty write request, as snappy compresses it; Prometheus answers 204."""


def _delete(namespace: str, app: str, cluster: str = REGION) -> None:
    """Kills one pod, without the grace that a rollout gives it."""
    selector = f"app.kubernetes.io/name={app}"
    pods = said(cluster, "-n", namespace, "get", "pods", "-oname", "-l", selector).split()
    said(cluster, "-n", namespace, "delete", pods[0], "--grace-period=0", "--force")


def _kubelet() -> None:
    command = os.environ.get("LIVE_NODE")
    if not command:
        pytest.skip("needs LIVE_NODE, a command that runs another in a node, with {cluster}")
    kill = [*command.format(cluster=REGION).split(), "pkill", "-KILL", "-f", "kubelet"]
    subprocess.run(kill, check=False, capture_output=True, timeout=60)


FAULTS: dict[str, Callable[[], None]] = {
    "a pod of the app": lambda: _delete(FOOBAR_API, FOOBAR_API),
    "a pod of Traefik": lambda: _delete(TRAEFIK, TRAEFIK),
    "Argo CD's controller": lambda: _delete(
        "argocd", "argocd-application-controller", cluster="tooling"
    ),
    "the kubelet": _kubelet,
}


def test_users_who_reach_nothing_page_though_every_pod_is_well(
    up: Bootstrapped, query: Query, report: list[str]
) -> None:
    """The way from the load balancer to Traefik is cut; the agent and the apps notice nothing."""
    hub = up.fork.fleet.hub.name
    controller = ("-n", ARGOCD, "scale", "statefulset/argocd-application-controller")
    mine = {"severity": "critical", "cluster": REGION, "app": FOOBAR_API}

    def fired() -> bool:
        return any(
            each["alertname"] == "HostnameUnreachable" and mine.items() <= each.items()
            for each in query.alerts()
        )

    assert not fired()
    # Argo CD would mend the Service at once.
    said(hub, *controller, "--replicas=0")
    try:
        start = time.monotonic()
        _select_traefik(cut=True)
        eventually("HostnameUnreachable fires", fired, seconds=420)
        took = time.monotonic() - start
        assert query(f'up{{cluster="{REGION}",job="{TRAEFIK}"}} == 1')
        assert query(f'up{{cluster="{REGION}",job="{FOOBAR_API}"}} == 1')
        assert not any(
            each["alertname"] in ("AppDown", "TraefikDown") and each["cluster"] == REGION
            for each in query.alerts()
        )
    finally:
        said(hub, *controller, "--replicas=1")
        _select_traefik(cut=False)
    eventually(
        "probes succeed again",
        partial(query, f'min(probe_success{{target_cluster="{REGION}"}}) == 1'),
    )
    report.append(f"load balancer of {REGION} cut off: HostnameUnreachable after {took:.0f} s")


def _select_traefik(*, cut: bool) -> None:
    """Whether the Service behind the load balancer selects no pod, or Traefik's as before."""
    patch = json.dumps({"spec": {"selector": {"cut": "off" if cut else None}}})
    said(REGION, "-n", TRAEFIK, "patch", "service", TRAEFIK, "--type=merge", "-p", patch)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_killed_comes_back(up: Bootstrapped, fault: str, report: list[str]) -> None:
    """Requests lost are counted; none is once it is back."""
    with under_load(up.way(REGION)) as load:
        eventually("requests", lambda: load.answered > 50)
        start = time.monotonic()
        FAULTS[fault]()
        time.sleep(AFTER_SECONDS)
        eventually("everything runs again", _everything_runs, seconds=300)
        took = time.monotonic() - start
        lost, answered = len(load.lost), load.answered
        eventually("requests after it", lambda: load.answered > answered + 100)
        assert len(load.lost) == lost, load.lost
    report.append(f"{fault} killed: {load}, all back within {took:.0f} s {load.lost[:2]}")


def _everything_runs() -> bool:
    node = ("wait", "--for=condition=Ready", "node", "--all", "--timeout=5s")
    return all(
        kubectl(cluster, *command).returncode == 0
        for cluster, command in (
            (REGION, node),
            (REGION, ("-n", FOOBAR_API, "rollout", "status", "deployment", "--timeout=5s")),
            (REGION, ("-n", TRAEFIK, "rollout", "status", "deployment", "--timeout=5s")),
            (
                "tooling",
                (
                    "-n",
                    "argocd",
                    "rollout",
                    "status",
                    "statefulset/argocd-application-controller",
                    "--timeout=5s",
                ),
            ),
        )
    )


def test_a_rollout_of_the_hubs_traefik_refuses_no_sample(
    up: Bootstrapped, hub: HubOverTls, report: list[str]
) -> None:
    """No pod takes requests before it has the routes: a 404 would lose the sample for good."""
    facts = up.fork.fleet.hub
    path, user = ingest.METRICS.path(REGION), sign_in(REGION, secrets.INGEST_CREDENTIALS)
    statuses: Counter[int] = Counter()
    unanswered: list[str] = []
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.1):
            try:
                answer = hub.ask(
                    facts.prometheus_host, path, method="POST", user=user, body=NO_SAMPLES
                )
            except (OSError, http.client.HTTPException) as error:
                unanswered.append(f"{type(error).__name__}: {error}")
            else:
                statuses[answer.status] += 1

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        eventually("writing", lambda: statuses[204] > 5)
        said(facts.name, "-n", TRAEFIK, "rollout", "restart", "deployment", TRAEFIK)
        rolled_out = ("-n", TRAEFIK, "rollout", "status", "deployment", TRAEFIK, "--timeout=110s")
        said(facts.name, *rolled_out)
        written = statuses[204]
        eventually("writing after it", lambda: statuses[204] > written + 20)
    finally:
        over.set()
        writer.join()
    assert set(statuses) == {204}, statuses
    report.append(
        f"rollout of the hub's Traefik: {statuses[204]} writes accepted, none refused, "
        f"{len(unanswered)} to be repeated {unanswered[:2]}"
    )


def test_rotation_loses_no_sample_and_shuts_the_old_password_out(
    up: Bootstrapped, hub: HubOverTls, report: list[str]
) -> None:
    """`bootstrap --rotate` while both regions send: no gap, and nothing is refused."""
    fleet = up.fork.fleet
    old = {
        region.name: sign_in(region.name, secrets.INGEST_CREDENTIALS) for region in fleet.regions
    }
    tokens = {region.name: token_of(region.name) for region in fleet.regions}
    administrator = admin_password(fleet.hub.name)
    start = time.time()
    result = up.bootstrap("--rotate")
    assert result.returncode == 0, result.stdout + result.stderr
    took = time.time() - start
    for name, token in tokens.items():
        assert token_of(name) != token
    # Argo CD's server is restarted meanwhile, and sign-ins are limited.
    host = fleet.hub.argocd_host
    renewed = admin_password(fleet.hub.name)
    eventually("the new password", lambda: signs_in(hub, host, renewed) == 200)
    assert signs_in(hub, host, administrator) == 401

    def refused(region: str) -> bool:
        host, path = fleet.hub.prometheus_host, ingest.METRICS.path(region)
        return hub.ask(host, path, method="POST", user=old[region], body=b"-").status == 401

    for name in old:
        # Each of Traefik's pods reads it when it does.
        eventually(f"the old password of {name} is refused", partial(refused, name), seconds=20)
    time.sleep(30)
    end = time.time()
    # With the sign-in that is good now.
    query = Query(fleet.hub, hub)
    for region in fleet.regions:
        selector = f'up{{cluster="{region.name}",job="apiserver"}}'
        eventually(f"every sample of {region.name}", partial(query.whole, selector, start, end))
        lost = query(
            "sum(increase(prometheus_remote_storage_samples_failed_total"
            f'{{cluster="{region.name}"}}[{end - start:.0f}s] @ {end:.0f}))'
        )
        assert float(lost[0]["value"][1]) == 0
    report.append(f"rotation of every credential: {took:.0f} s, no sample lost")
    again = up.bootstrap()
    assert again.returncode == 0, again.stdout + again.stderr
    assert not [line for line in again.stdout.splitlines() if line.startswith("+")]


def token_of(region: str) -> str:
    """By which Argo CD signs in to a region."""
    path = "-o=jsonpath={.data.token}"
    return said(region, "-n", ARGOCD, "get", "secret", TOKEN_SECRET, path)
