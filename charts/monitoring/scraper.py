"""What Prometheus on the hub and an agent in a region have in common: whom they scrape, and how.

Both select every monitor of their cluster, and label what they take with the cluster's name at
the source. The hub needs that as much as a region: external labels are put on what leaves
a Prometheus, not on what it stores.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from charts import rbac
from charts.ingress import LABELS, METRICS_PORT, TRAEFIK, IngressController
from charts.labels import NAME
from charts.monitoring.operator import KUBELETS, OperatedPods, operated_pods
from charts.network import EVERYWHERE, TO_API_SERVER, TO_DNS, tcp
from charts.scrape import MONITORING, OF_ANY_TARGET, drop
from charts.upstream import PROMETHEUS_IMAGE, PROMETHEUS_VERSION
from imports.k8s import (
    ClusterRole,
    ClusterRoleBinding,
    NetworkPolicyEgressRule,
    ServiceAccount,
)
from imports.monitoring import (
    ApiserverConfigAuthorization,
    ArbitraryFSAccessThroughSMs,
    Endpoint,
    LabelSelector,
    MetricRelabeling,
    PodMonitor,
    ScrapeClass,
    ServiceMonitor,
)

if TYPE_CHECKING:
    from constructs import Construct

INTERVAL: Final = "30s"

TARGETS: Final = 1_000
"""Of one monitor: a kubelet on each of a thousand nodes."""
LABELS_OF_A_SERIES: Final = 64
LABEL_NAME_BYTES: Final = 256
LABEL_VALUE_BYTES: Final = 2_048
"""The longest that upstream exports are cAdvisor's ``id`` and ``image``, of some 300."""

KUBELET_CLASS: Final = "kubelet"
API_SERVER_CLASS: Final = "api-server"

_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"

EGRESS: Final[list[NetworkPolicyEgressRule]] = [
    TO_DNS,
    TO_API_SERVER,
    # Pods: their own policies say which ports.
    {"to": [{"namespaceSelector": {}}]},
    # Kubelets and node_exporter, which have the nodes' addresses.
    {"to": EVERYWHERE, "ports": tcp(10250, 9100)},
]


def scrape_classes(labels: Mapping[str, str]) -> list[ScrapeClass]:
    """How a monitor is scraped: with ``labels`` on every series, by token where one is asked.

    The operator refuses monitors that name files (arbitraryFSAccessThroughSMs), so the account's
    token is offered by class: to kubelets and to the API server.
    """
    token: ApiserverConfigAuthorization = {
        "type": "Bearer",
        "credentialsFile": f"{_ACCOUNT}/token",
    }
    relabelings: list[MetricRelabeling] = [
        {"targetLabel": name, "replacement": value} for name, value in labels.items()
    ]
    # What every program in Go tells of its runtime, by the bucket, and nobody asks.
    drops = [drop("go_(gc_heap|gc_pauses|sched|cpu_classes|memory_classes|godebug)_.*")]
    return [
        {
            "name": "pods",
            "default": True,
            "relabelings": relabelings,
            "metricRelabelings": drops,
        },
        {
            "name": KUBELET_CLASS,
            "relabelings": relabelings,
            "metricRelabelings": drops,
            "authorization": token,
            # Kubelets sign their certificates themselves, unless the provider rotates them.
            "tlsConfig": {"insecureSkipVerify": True},
        },
        {
            "name": API_SERVER_CLASS,
            "relabelings": relabelings,
            "metricRelabelings": drops,
            "authorization": token,
            "tlsConfig": {"caFile": f"{_ACCOUNT}/ca.crt", "serverName": "kubernetes"},
        },
    ]


def grant_scraping(scope: "Construct", *, account: str) -> None:
    """The account of a scraper, and its rights: to find targets, and to read kubelets' metrics."""
    name = f"scraper-{account}"
    ServiceAccount(
        scope,
        "account",
        metadata={"name": account, "namespace": MONITORING},
        automountServiceAccountToken=False,
    )
    ClusterRole(
        scope,
        "role",
        metadata={"name": name},
        rules=[
            {
                "apiGroups": [""],
                "resources": ["services", "pods"],
                "verbs": ["get", "list", "watch"],
            },
            {
                "apiGroups": ["discovery.k8s.io"],
                "resources": ["endpointslices"],
                "verbs": ["get", "list", "watch"],
            },
            {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
            {"nonResourceURLs": ["/metrics", "/metrics/slis"], "verbs": ["get"]},
        ],
    )
    ClusterRoleBinding(
        scope,
        "binding",
        metadata={"name": name},
        roleRef=rbac.cluster_role(name),
        subjects=[rbac.account(account, MONITORING)],
    )


def monitor_kubernetes(scope: "Construct") -> None:
    """Monitors of the cluster's own parts; VKE shows neither scheduler nor controller manager."""
    path: MetricRelabeling = {"sourceLabels": ["__metrics_path__"], "targetLabel": "metrics_path"}

    def kubelet(*, drops: list[MetricRelabeling], **more: object) -> Endpoint:
        endpoint: Endpoint = {
            "port": "https-metrics",
            "scheme": "https",
            "honorLabels": True,
            "relabelings": [path],
            "metricRelabelings": drops,
            **more,  # type: ignore[typeddict-item] # path and timestamps
        }
        return endpoint

    ServiceMonitor(
        scope,
        "kubelet-monitor",
        metadata={"name": "kubelet", "namespace": MONITORING},
        spec={
            "jobLabel": NAME,
            "scrapeClass": KUBELET_CLASS,
            "namespaceSelector": {"matchNames": ["kube-system"]},
            "selector": {"matchLabels": {NAME: KUBELETS}},
            "endpoints": [
                kubelet(
                    drops=[
                        # Of a kubelet's own parts that nobody asks after; the largest first.
                        drop(
                            "kubelet_http_requests_duration_seconds_bucket",
                            "kubelet_container_log_filesystem_used_bytes",
                            "rest_client_(request|response)_size_bytes_bucket",
                            "rest_client_rate_limiter_duration_seconds_bucket",
                            "workqueue_work_duration_seconds_bucket",
                            "apiserver_.*",
                            "authentication_.*",
                            "authorization_.*",
                            "kubernetes_feature_enabled",
                        )
                    ]
                ),
                kubelet(
                    path="/metrics/cadvisor",
                    # The time at which cAdvisor looked is older than the scrape: series would
                    # live on for five minutes after their container.
                    honorTimestamps=False,
                    drops=[
                        drop(
                            "container_(network_(tcp|tcp6|udp|udp6)_usage_total|tasks_state)",
                            "container_cpu_(load_.*|system_seconds_total|user_seconds_total)",
                            "container_memory_(fail.*|kernel_usage|mapped_file|max_usage_bytes)",
                            "container_memory_total_.*",
                            "container_spec_.*",
                            "container_(pressure|hugetlb|perf|numa|ulimits)_.*",
                            "container_(file_descriptors|sockets|threads_max|threads|last_seen)",
                            "container_(blkio_device_usage_total|memory_numa_pages)",
                        ),
                    ],
                ),
                kubelet(path="/metrics/probes", drops=[drop("prober_probe_duration_seconds_.*")]),
                kubelet(path="/metrics/slis", drops=[drop("process_start_time_seconds")]),
            ],
        },
    )
    ServiceMonitor(
        scope,
        "api-server-monitor",
        metadata={"name": "kube-apiserver", "namespace": MONITORING},
        spec={
            "jobLabel": "component",
            "scrapeClass": API_SERVER_CLASS,
            "namespaceSelector": {"matchNames": ["default"]},
            "selector": {"matchLabels": {"component": "apiserver", "provider": "kubernetes"}},
            "endpoints": [
                {
                    "port": "https",
                    "scheme": "https",
                    "metricRelabelings": [
                        # Histograms by verb, resource and le are most of what an API server
                        # says; rules need the service level's alone, and of that a few buckets.
                        drop(
                            "apiserver_request_(duration_seconds|body_size_bytes)_.*",
                            "apiserver_response_sizes_.*",
                            "apiserver_(request_filter|selfrequest|cache_list|storage_list)_.*",
                            "apiserver_(watch|resource_size)_.*",
                            "watch_cache_.*",
                            "apiserver_(admission|authorization|cel|crd|delegated)_.*_bucket",
                            "apiserver_flowcontrol_.*_bucket",
                            "apiserver_storage_.*_bucket",
                            "etcd_.*",
                            "rest_client_(request|response)_size_bytes_bucket",
                            "workqueue_work_duration_seconds_bucket",
                            "kubernetes_feature_enabled",
                        ),
                        {
                            "sourceLabels": ["__name__", "le"],
                            "regex": r"apiserver_request_sli_duration_seconds_bucket;"
                            r"(0\.(15|2|3|35|4|45|6|7|8|9)|1\.(25|5|75)|2|3|4|6|7|8|9|15|20|40|50)"
                            r"(\.0)?",
                            "action": "drop",
                        },
                    ],
                }
            ],
        },
    )
    PodMonitor(
        scope,
        "coredns-monitor",
        metadata={"name": "coredns", "namespace": MONITORING},
        spec={
            "namespaceSelector": {"matchNames": ["kube-system"]},
            "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "podMetricsEndpoints": [
                {
                    "port": "metrics",
                    "relabelings": [{"targetLabel": "job", "replacement": "coredns"}],
                }
            ],
        },
    )


def monitor_traefik(scope: "Construct", ingress: IngressController) -> None:
    """The monitor of a Traefik that no component deploys: one that the cluster had before."""
    if ingress.of_platform:
        return
    PodMonitor(
        scope,
        "traefik-monitor",
        metadata={"name": TRAEFIK, "namespace": MONITORING},
        spec={
            "jobLabel": NAME,
            "namespaceSelector": {"matchNames": [ingress.namespace]},
            "selector": {"matchLabels": LABELS},
            "podMetricsEndpoints": [{"port": METRICS_PORT}],
        },
    )


class Common(OperatedPods, TypedDict):
    """The fields that Prometheus and PrometheusAgent share, and we set alike."""

    version: str
    image: str
    replicas: int
    scrapeInterval: str
    scrapeClasses: Sequence[ScrapeClass]
    serviceDiscoveryRole: Literal["EndpointSlice"]
    arbitraryFSAccessThroughSMs: ArbitraryFSAccessThroughSMs
    serviceMonitorSelector: LabelSelector
    serviceMonitorNamespaceSelector: LabelSelector
    podMonitorSelector: LabelSelector
    podMonitorNamespaceSelector: LabelSelector
    probeSelector: LabelSelector
    probeNamespaceSelector: LabelSelector
    scrapeConfigSelector: LabelSelector
    scrapeConfigNamespaceSelector: LabelSelector
    replicaExternalLabelName: str
    prometheusExternalLabelName: str
    enforcedSampleLimit: int
    enforcedBodySizeLimit: str
    enforcedTargetLimit: int
    enforcedLabelLimit: int
    enforcedLabelNameLengthLimit: int
    enforcedLabelValueLengthLimit: int


def common(account: str, labels: Mapping[str, str]) -> Common:
    """One replica that scrapes every monitor of its cluster, each series with ``labels``.

    One, because the hub's receiver does not tell the copies of a pair apart. Each would scrape at
    a time of its own, and a sample has the time at which its scrape began, not that at which the
    target read its counter. Where two scrapes overlap, the counter seems to fall, which rate()
    takes for a restart from zero: docs/scale.md has what was measured.
    """
    everything: LabelSelector = {}
    return {
        "version": PROMETHEUS_VERSION,
        "image": PROMETHEUS_IMAGE,
        "replicas": 1,
        **operated_pods(account=account, token=True),
        "scrapeInterval": INTERVAL,
        "scrapeClasses": scrape_classes(labels),
        "serviceDiscoveryRole": "EndpointSlice",
        "arbitraryFSAccessThroughSMs": {"deny": True},
        "serviceMonitorSelector": everything,
        "serviceMonitorNamespaceSelector": everything,
        "podMonitorSelector": everything,
        "podMonitorNamespaceSelector": everything,
        "probeSelector": everything,
        "probeNamespaceSelector": everything,
        "scrapeConfigSelector": everything,
        "scrapeConfigNamespaceSelector": everything,
        "replicaExternalLabelName": "",
        "prometheusExternalLabelName": "",
        # No monitor may raise these. Prometheus takes nothing of an answer that exceeds one.
        "enforcedSampleLimit": OF_ANY_TARGET.samples,
        "enforcedBodySizeLimit": f"{OF_ANY_TARGET.megabytes}MB",
        "enforcedTargetLimit": TARGETS,
        "enforcedLabelLimit": LABELS_OF_A_SERIES,
        "enforcedLabelNameLengthLimit": LABEL_NAME_BYTES,
        "enforcedLabelValueLengthLimit": LABEL_VALUE_BYTES,
    }
