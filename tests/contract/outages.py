"""A fleet in numbers, and what becomes of them in an outage, in promtool's notation.

Everything is well for ``START`` minutes. Then an outage replaces some of the series.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from charts.catalogue import load
from charts.ingress import PAGES, TRAEFIK
from charts.monitoring.hostnames import hostnames, places
from charts.monitoring.ingest import LOGS, METRICS, Signal
from charts.monitoring.names import COLLECTOR, PROBES
from charts.monitoring.rules.arrival import expected_jobs
from tests.objects import FOOBAR_API, OVERLAYS, SAMPLE

START: Final = 60
"""Minutes until the outage: the last good sample is from then."""
LATEST: Final = 30
"""Minutes into an outage by which its alert fires, unless the outage says otherwise."""

Series: TypeAlias = Mapping[str, str]
"""Series and their values, one a minute."""

FLEET: Final = load(SAMPLE, overlays=OVERLAYS)
HUB: Final = FLEET.hub.name
REGIONS: Final = tuple(region.name for region in FLEET.regions)
REGION: Final = REGIONS[0]
"""Where it happens, if not on the hub."""
APP: Final = FOOBAR_API


def steady(value: float) -> str:
    """A gauge that stays as it is."""
    return f"{value}x1000"


def then(before: float, after: float) -> str:
    """A gauge that changes when the outage begins."""
    return f"{before}x{START} {after}x1000"


def gone(value: float) -> str:
    """A gauge that is no longer there."""
    return f"{value}x{START} _x1000"


def counting(per_minute: float) -> str:
    """A counter."""
    return f"0+{per_minute}x1000"


def stops(per_minute: float) -> str:
    """A counter that stands still from the outage on."""
    return f"0+{per_minute}x{START} {per_minute * START}x1000"


def begins(per_minute: float, before: float = 0) -> str:
    """A counter that begins with the outage, or goes on at another pace."""
    at = before * START
    return f"0+{before}x{START} {at + per_minute}+{per_minute}x1000"


def appears(value: float) -> str:
    """A gauge that was not there before."""
    return f"_x{START + 1} {value}x1000"


def series(name: str, /, **labels: str) -> str:
    """The notation of one series."""
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def up(cluster: str, job: str, **labels: str) -> str:
    namespace = {
        "kubelet": "kube-system",
        "apiserver": "default",
        APP: APP,
        TRAEFIK: TRAEFIK,
        COLLECTOR: COLLECTOR,
    }
    if job == COLLECTOR:
        labels = {"pod": "logs-1"}
    found = {"namespace": namespace.get(job, "monitoring"), **labels}
    if job == "kubelet":
        found["metrics_path"] = "/metrics"
    return series("up", cluster=cluster, job=job, **found)


def ingest(signal: Signal, code: int, cluster: str = REGION) -> str:
    """Requests of a region at the hub's Traefik, by their answers."""
    return series(
        "traefik_router_requests_total",
        cluster=HUB,
        code=str(code),
        router=f"{PAGES}_{signal.route(cluster)}_0@kubernetescrd",
    )


def requests(code: int, cluster: str = REGION, pod: str = "a") -> str:
    """Requests to the app, as it counts them itself."""
    return series(
        "http_requests_total",
        cluster=cluster,
        job=APP,
        pod=pod,
        route="/",
        method="GET",
        code=str(code),
    )


def application(name: str, *, sync: str = "Synced", health: str = "Healthy") -> str:
    return series(
        "argocd_app_info",
        cluster=HUB,
        project=REGION,
        name=f"{REGION}-{name}",
        sync_status=sync,
        health_status=health,
    )


KUBE: Final = {"job": "kube-state-metrics"}
SLOW: Final = {"cluster": REGION, "job": APP, "route": "/"}
DATABASE: Final = {"cluster": REGION, "namespace": "shop", "pod": "shop-db-0"}
NODE: Final = {"cluster": REGION, "job": "node-exporter", "instance": "node-1"}
AVAILABLE: Final = series(
    "kube_deployment_status_replicas_available",
    **KUBE,
    cluster=REGION,
    namespace=APP,
    deployment=APP,
)
READY: Final = "kube_node_status_condition"


def _healthy() -> Iterator[tuple[str, str]]:
    for each in FLEET.clusters:
        cluster = each.name
        for job in expected_jobs(each):
            yield up(cluster, job), steady(1)
        for name in probes(cluster):
            yield name, steady(1)
        for name, labels in collector(cluster).items():
            yield series(name, **labels), {"kube_pod_info": steady(1)}.get(name, counting(60))
        yield series("kube_node_info", **KUBE, cluster=cluster, node="node-1"), steady(1)
        yield node_ready(cluster), steady(1)
        yield (
            series("kube_node_spec_unschedulable", **KUBE, cluster=cluster, node="node-1"),
            steady(0),
        )
    for region in REGIONS:
        yield up(region, "prometheus-agent"), steady(1)
        for name in "ab":
            yield up(region, APP, pod=name), steady(1)
            yield requests(200, region, name), counting(300)
        for signal in (METRICS, LOGS):
            yield ingest(signal, 204, region), counting(12)
        yield (
            series(
                "kube_deployment_status_replicas_available",
                **KUBE,
                cluster=region,
                namespace=APP,
                deployment=APP,
            ),
            steady(2),
        )
        yield cluster_info(region), steady(1)
        yield connection(region), steady(1)
    for job in ("prometheus-k8s", "alertmanager-main", "grafana", "loki"):
        yield up(HUB, job), steady(1)
    yield application("foobar-api"), steady(1)
    yield git("ls-remote"), counting(1)
    yield entry_point(200), counting(600)


def probes(cluster: str, place: str | None = None) -> Iterator[str]:
    """The probes of what ``cluster`` serves, of all places or of one."""
    target = FLEET.cluster(cluster)
    for hostname in hostnames(FLEET, target):
        for prober in places(FLEET)[target.name]:
            if place in (None, prober):
                yield series(
                    "probe_success",
                    cluster=prober,
                    job=PROBES,
                    target_cluster=cluster,
                    app=hostname.app,
                    hostname=hostname.host,
                    certificate=hostname.certificate,
                )


def collector(cluster: str = REGION) -> Mapping[str, dict[str, str]]:
    """The collector of a cluster's one node: its pod, and what it sends."""
    about = {"cluster": cluster, "namespace": COLLECTOR, "pod": "logs-1"}
    return {
        "kube_pod_info": {**KUBE, **about, "node": "node-1", "created_by_kind": "DaemonSet"},
        "otelcol_receiver_accepted_log_records": {**about, "job": COLLECTOR},
        "otelcol_exporter_sent_log_records": {**about, "job": COLLECTOR},
    }


def node_ready(cluster: str = REGION) -> str:
    return series(READY, **KUBE, cluster=cluster, node="node-1", condition="Ready", status="true")


def cluster_info(region: str = REGION) -> str:
    return series(
        "argocd_cluster_info", cluster=HUB, server=f"https://{region}.example:6443", name=region
    )


def connection(region: str = REGION) -> str:
    return series(
        "argocd_cluster_connection_status", cluster=HUB, server=f"https://{region}.example:6443"
    )


def git(kind: str) -> str:
    return series("argocd_git_request_total", cluster=HUB, repo="https://git", request_type=kind)


def entry_point(code: int) -> str:
    return series(
        "traefik_entrypoint_requests_total", cluster=REGION, entrypoint="websecure", code=str(code)
    )


HEALTHY: Final[Series] = dict(_healthy())
"""Every series that rules ask for, of a fleet in which nothing is wrong."""


NOTHING_ARRIVES: Final[Series] = {
    # Until the outage the same.
    **{
        name: f"{values.rpartition('x')[0]}x{START} _x1000"
        for name, values in HEALTHY.items()
        if f'{{cluster="{REGION}"' in name or f',cluster="{REGION}"' in name
    },
    ingest(METRICS, 204): stops(12),
    ingest(LOGS, 204): stops(12),
}
"""What the hub sees of a region that is down or cut off."""


def waiting(reason: str, name: str, namespace: str = APP, cluster: str = REGION) -> Series:
    """A container that does not start, and its pod."""
    about = {**KUBE, "cluster": cluster, "namespace": namespace, "pod": name}
    return {
        series(
            "kube_pod_container_status_waiting_reason", **about, container="c", reason=reason
        ): appears(1),
        series("kube_pod_status_phase", **about, phase="Pending"): appears(1),
        series("kube_pod_owner", **about, owner_kind="ReplicaSet"): appears(1),
    }


def volume(claim: str) -> tuple[str, str, str]:
    """What is free, used and there at all of a volume of the hub."""
    about = {
        "cluster": HUB,
        "job": "kubelet",
        "metrics_path": "/metrics",
        "namespace": "monitoring",
        "persistentvolumeclaim": claim,
    }
    return (
        series("kubelet_volume_stats_available_bytes", **about),
        series("kubelet_volume_stats_used_bytes", **about),
        series("kubelet_volume_stats_capacity_bytes", **about),
    )


def certificate(edge: str) -> str:
    return series(
        f"certmanager_certificate_{edge}_timestamp_seconds",
        cluster=REGION,
        namespace=APP,
        name=APP,
    )


RESTARTS: Final = f"1x{START} " + " ".join(f"_x4 {start}x0" for start in range(2, 60))
"""Of a process that lives a minute, once it has read its log for four."""
HUB_PROMETHEUS: Final = {
    "cluster": HUB,
    "endpoint": "web",
    "job": "prometheus-k8s",
    "pod": "prometheus-k8s-0",
}


def unreachable(place: str | None = None) -> Series:
    """What the probes of the region find: nothing answers, from anywhere or from one place."""
    return dict.fromkeys(probes(REGION, place), then(1, 0))


FIRST_PLACE: Final = places(FLEET)[REGION][0]
"""One of the clusters that probe the region."""
NO_REQUESTS: Final[Series] = {requests(200, pod=name): stops(300) for name in "ab"}


class Outage(NamedTuple):
    """What is broken, and the series that tell."""

    name: str
    """As in the table of docs/monitoring.md."""
    series: Series
    until: int = LATEST
    """Minutes after which the alert has fired."""


CRASHING_COLLECTOR: Final[Series] = {
    up(REGION, COLLECTOR): then(1, 0),
    **{
        series(name, **labels): f"0+60x{START} _x1000"
        for name, labels in collector().items()
        if name != "kube_pod_info"
    },
    **waiting("CrashLoopBackOff", "logs-1", COLLECTOR),
}
FREE, USED, SIZE = volume("data-loki-0")

OUTAGES: Final = (
    Outage(
        "All pods of an app are down",
        {
            **{up(REGION, APP, pod=name): then(1, 0) for name in "ab"},
            **NO_REQUESTS,
            **unreachable(),
            AVAILABLE: then(2, 0),
        },
    ),
    Outage(
        "An app answers half of its requests with errors",
        {requests(200, pod="a"): stops(300), requests(500, pod="a"): begins(300)},
    ),
    Outage(
        "An app takes too long for every request",
        {
            series("http_request_duration_seconds_count", **SLOW): counting(300),
            series("http_request_duration_seconds_bucket", **SLOW, le="0.25"): stops(300),
        },
    ),
    Outage("The load balancer of a region is dead", {**NO_REQUESTS, **unreachable()}),
    Outage(
        "A load balancer sends half of the connections nowhere",
        dict.fromkeys(probes(REGION), f"1x{START} " + "0 1 " * 30),
    ),
    Outage("The DNS record of an app leads elsewhere", {**NO_REQUESTS, **unreachable()}),
    Outage("DNS leads users of one part of the world astray", unreachable(FIRST_PLACE)),
    Outage(
        "A cluster stops probing another",
        dict.fromkeys(probes(REGION, FIRST_PLACE), gone(1)),
    ),
    Outage(
        "A certificate was renewed, and the old one is served",
        {
            name.replace("probe_success", "probe_ssl_earliest_cert_expiry"): steady(
                60 * START + 10 * 24 * 60 * 60
            )
            for name in probes(REGION)
        },
    ),
    Outage(
        "All pods of Traefik are down",
        {**NO_REQUESTS, **unreachable(), up(REGION, TRAEFIK): then(1, 0)},
    ),
    Outage("An app refuses connections, for TLS or for a limit", {**NO_REQUESTS, **unreachable()}),
    Outage("A region is down", {**NOTHING_ARRIVES, **unreachable(), connection(): then(1, 0)}),
    Outage("A region cannot reach the hub, and serves", NOTHING_ARRIVES),
    Outage(
        "The hub refuses a region's credential",
        {
            **NOTHING_ARRIVES,
            **{ingest(signal, 401): begins(12) for signal in (METRICS, LOGS)},
        },
    ),
    Outage(
        "A stolen credential writes more series than the hub is sized for",
        {series("prometheus_tsdb_head_series", **HUB_PROMETHEUS): then(100_000, 450_000)},
        until=65,
    ),
    Outage(
        "The hub's Prometheus is killed again and again for its memory",
        {
            series("process_start_time_seconds", **HUB_PROMETHEUS): RESTARTS,
            up(HUB, "prometheus-k8s"): f"1x{START} " + "_x4 1x0 " * 60,
        },
    ),
    Outage(
        "The pull credential has expired, and a pod has to move",
        {
            AVAILABLE: then(2, 1),
            up(REGION, APP, pod="b"): gone(1),
            **waiting("ImagePullBackOff", "c"),
        },
    ),
    Outage(
        "A certificate is not renewed, and a fifth of its life is left",
        {
            certificate("not_before"): steady(60 * START - 80_000),
            certificate("not_after"): steady(60 * START + 20_000),
        },
    ),
    Outage(
        "The log store's disk is full",
        {
            FREE: then(30, 0),
            USED: then(70, 100),
            SIZE: steady(100),
            series("loki_ingester_chunks_flush_failures_total", cluster=HUB): begins(5),
        },
    ),
    Outage(
        "Argo CD cannot read Git",
        {
            series("argocd_git_lsremote_fail_total", cluster=HUB, repo="a"): begins(1),
            application(APP): gone(1),
            application(APP, sync="Unknown"): appears(1),
        },
    ),
    Outage(
        "A region's token for Argo CD is revoked",
        {
            series(
                "argocd_kubectl_requests_total",
                cluster=HUB,
                host=f"{REGION}.example:6443",
                method="GET",
                code="401",
            ): begins(20)
        },
    ),
    Outage("Argo CD's controller is down", {application(APP): gone(1)}),
    Outage(
        "The collector of one node crashes at every start",
        {
            **CRASHING_COLLECTOR,
            # The others send all the same.
            ingest(LOGS, 204): counting(6),
        },
    ),
    Outage(
        "All collectors of a region crash at every start",
        {**CRASHING_COLLECTOR, ingest(LOGS, 204): stops(12)},
    ),
    Outage(
        "A node is lost, and the volumes on it",
        {
            node_ready(): then(1, 0),
            series("kube_node_spec_unschedulable", **KUBE, cluster=REGION, node="node-1"): steady(
                0
            ),
            # Deleted after five minutes, with half a minute of grace.
            series("kube_pod_deletion_timestamp", **KUBE, **DATABASE): (
                f"_x{START + 6} {60 * START + 330}x1000"
            ),
            series("kube_pod_info", **KUBE, **DATABASE, node="node-1"): steady(1),
        },
    ),
    Outage(
        "The clock of a node goes wrong",
        {series("node_timex_offset_seconds", **NODE): (f"0x{START} 0.1+0.01x1000")},
    ),
    Outage(
        "A release of the platform does not start",
        {
            **waiting("CrashLoopBackOff", "traefik-c", "traefik"),
            application("traefik"): f"1x{START + 10} _x1000",
            # Once the Deployment's ten minutes to make progress are over.
            application("traefik", health="Degraded"): f"_x{START + 11} 1x1000",
        },
    ),
    Outage(
        "An app's job before its rollout fails",
        {
            series(
                "kube_job_failed",
                **KUBE,
                cluster=REGION,
                namespace=APP,
                job_name=f"{APP}-before-rollout",
                condition="true",
            ): appears(1)
        },
    ),
    Outage(
        "Samples of a region arrive two and a half minutes late",
        {
            series(
                f"prometheus_remote_storage_queue_highest_{what}timestamp_seconds",
                cluster=REGION,
                job="prometheus-agent",
            ): values
            for what, values in (
                ("", counting(60)),
                ("sent_", f"0+60x{START} {60 * START - 90}+60x1000"),
            )
        },
    ),
)
