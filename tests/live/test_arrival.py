"""What every cluster measures and says is there to be asked for: load, objects, log lines.

These come first, while the hub takes the passwords of all regions. Where an image of Loki's name is
not Loki, lines are asked for by selectors and filters alone, which shows that they arrive and
nothing of Loki itself.
"""

import json
import time
from functools import partial
from typing import Any

import pytest

from charts.ingress import TRAEFIK
from charts.metrics_server import METRICS_SERVER
from charts.monitoring.hostnames import PLACES, hostnames, places
from tests.live.cluster import ends_well, eventually, said
from tests.live.conftest import Bootstrapped
from tests.live.hub import Logs, Query
from tests.objects import FOOBAR_API

pytestmark = pytest.mark.live


def read(cluster: str, *arguments: str) -> Any:
    return json.loads(said(cluster, *arguments, "-ojson"))


def test_the_metrics_api_tells_the_load_of_nodes_and_pods(up: Bootstrapped) -> None:
    """Of each cluster that runs metrics-server: by the API, and as `kubectl top` shows it."""
    clusters = [each for each in up.fork.fleet.clusters if METRICS_SERVER in each.components]
    assert clusters
    for cluster in clusters:
        nodes = {each["metadata"]["name"] for each in read(cluster.name, "get", "nodes")["items"]}
        raw = said(cluster.name, "get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes")
        measured = json.loads(raw)["items"]
        assert {each["metadata"]["name"] for each in measured} == nodes
        assert all(each["usage"].keys() == {"cpu", "memory"} for each in measured)
        selector = f"app.kubernetes.io/name={TRAEFIK}"
        shown = said(cluster.name, "-n", TRAEFIK, "top", "pods", "--no-headers", "-l", selector)
        assert shown.splitlines()
        for line in shown.splitlines():
            _, cpu, memory = line.split()
            assert cpu.endswith("m")
            assert int(memory.removesuffix("Mi")) > 0


def test_the_autoscaler_knows_its_load(up: Bootstrapped) -> None:
    """So it is active: it has read the CPU of the app's pods and decided by it."""
    for region in up.fork.fleet.regions:
        status = eventually(
            f"the autoscaler of {region.name} has a figure", partial(_measured, region.name)
        )
        conditions = {each["type"]: each for each in status["conditions"]}
        for kind in ("AbleToScale", "ScalingActive"):
            assert conditions[kind]["status"] == "True", conditions[kind]
        (metric,) = status["currentMetrics"]
        assert metric["resource"]["name"] == "cpu"
        assert metric["resource"]["current"]["averageUtilization"] >= 0


def _measured(region: str) -> dict[str, Any] | None:
    found: dict[str, Any] = read(region, "-n", FOOBAR_API, "get", "hpa", FOOBAR_API)["status"]
    return found if found.get("currentMetrics") else None


def test_the_state_of_every_cluster_reaches_the_hub(up: Bootstrapped, query: Query) -> None:
    """kube-state-metrics tells of each cluster what the cluster's own API server does."""
    for cluster in up.fork.fleet.clusters:
        here = f'cluster="{cluster.name}",region="{cluster.region_label}"'
        up_here = f'up{{{here},job="kube-state-metrics"}} == 1'
        eventually(f"kube-state-metrics of {cluster.name} is up", partial(query, up_here))
        node = f'kube_node_status_condition{{{here},condition="Ready",status="true"}} == 1'
        ready = eventually(f"nodes of {cluster.name}", partial(query, node))
        nodes = {each["metadata"]["name"] for each in read(cluster.name, "get", "nodes")["items"]}
        assert {each["metric"]["node"] for each in ready} == nodes
        # Labels are those of the object that a series is about, not those of the exporter.
        name = f'{here},namespace="{TRAEFIK}",deployment="{TRAEFIK}"'
        (wanted,) = eventually(
            f"the Deployment of Traefik in {cluster.name}",
            partial(query, f"kube_deployment_spec_replicas{{{name}}}"),
        )
        spec = read(cluster.name, "-n", TRAEFIK, "get", "deployment", TRAEFIK)["spec"]
        assert int(wanted["value"][1]) == spec["replicas"]


def test_every_hostname_is_served_as_other_clusters_see_it(
    up: Bootstrapped, query: Query, report: list[str]
) -> None:
    """From two places, over TLS that is verified; a page that cannot run here fails."""
    fleet, seen = up.fork.fleet, 0
    for cluster in fleet.clusters:
        assert len(places(fleet)[cluster.name]) == PLACES
        for hostname in hostnames(fleet, cluster):
            success = 0 if hostname.app in up.fork.place.absent else 1
            for place in places(fleet)[cluster.name]:
                labels = (
                    f'cluster="{place}",target_cluster="{cluster.name}",'
                    f'app="{hostname.app}",hostname="{hostname.host}"'
                )
                eventually(
                    f"{place} finds {hostname.host} {'served' if success else 'not served'}",
                    partial(query, f"probe_success{{{labels}}} == {success}"),
                )
                left = f"probe_ssl_earliest_cert_expiry{{{labels}}} > time()"
                eventually(f"{place} knows until when", partial(query, left))
                seen += 1
    # Guarded by a sign-in, and served.
    assert query('probe_http_status_code{app="prometheus"} == 401')
    report.append(f"hostnames probed, from {PLACES} places each: {seen // PLACES}")


def test_lines_of_every_cluster_arrive(up: Bootstrapped, logs: Logs) -> None:
    """Under the cluster's own name and no other, and found by what they say."""
    clusters = up.fork.fleet.names
    word = f"arrival-{time.time():.0f}"
    for cluster in clusters:
        assert ends_well(cluster, "kube-system", "speaker", ["echo", f"{word} of {cluster}"])
    for cluster in clusters:
        selector = f'{{cluster="{cluster}",namespace="kube-system",app="speaker"}}'
        found = eventually(f"the line of {cluster}", partial(logs, f'{selector} |= "{word}"'))
        lines = [line for stream in found for _, line in stream["values"]]
        assert set(lines) == {f"{word} of {cluster}"}
        assert not logs(f'{selector} |= "{word}" != "of {cluster}"')
        assert logs(f'{selector} |~ "arrival-[0-9]+ of {cluster}"')
