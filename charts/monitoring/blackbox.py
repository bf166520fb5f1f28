"""blackbox_exporter in every cluster: asks for the hostnames of other clusters, as users do.

Whoever reaches the exporter can have it connect to any address, so its policy admits scrapers
alone. kube-prometheus's manifests are not used: their proxy for sign-in needs a cluster role, and
their reloader a container more, while the exporter reloads its configuration by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from charts.component import Component
from charts.labels import selector
from charts.monitoring.hostnames import Hostname, Request, probed_by
from charts.monitoring.names import BLACKBOX_EXPORTER, PROBES
from charts.network import EVERYWHERE, TO_DNS, allow, tcp
from charts.scheduling import OPERATING
from charts.scrape import MONITORING, keep, scraped
from charts.security import NOBODY, RESTRICTED_CONTAINER
from charts.text import as_yaml
from charts.upstream import BLACKBOX_EXPORTER_IMAGE
from charts.workload import (
    DEPLOYMENT_STRATEGY,
    REVISION_HISTORY_LIMIT,
    pod,
    resources,
    service_port,
)
from fleet.registry import Cluster, Fleet
from imports.k8s import (
    ConfigMap,
    Container,
    Deployment,
    DeploymentSpec,
    ObjectMeta,
    Service,
    ServiceAccount,
)
from imports.monitoring import Probe, ProbeSpec

if TYPE_CHECKING:
    from constructs import Construct

PORT: Final = 9115

SERVED: Final = range(200, 500)
"""Statuses by which a hostname is served: redirects, sign-ins and pages that do not exist too."""

META: Final[ObjectMeta] = {"name": BLACKBOX_EXPORTER, "namespace": MONITORING}
LABELS: Final = selector(BLACKBOX_EXPORTER)

_FOLDER: Final = "/etc/blackbox_exporter"
_FILE: Final = "config.yml"


@dataclass(frozen=True, kw_only=True)
class BlackboxExporter(Component[Cluster]):
    """Deployment, configuration, policy, and a Probe for each hostname."""

    NAME = BLACKBOX_EXPORTER
    NAMESPACE = MONITORING
    EXPECTED = True

    hostnames: tuple[Hostname, ...]
    """What the cluster probes."""

    @classmethod
    def of(cls, fleet: Fleet, cluster: Cluster) -> Self:
        return cls(hostnames=probed_by(fleet, cluster))

    def add_to(self, chart: "Construct") -> None:
        ServiceAccount(chart, "account", metadata=META, automountServiceAccountToken=False)
        ConfigMap(chart, "config", metadata=META, data={_FILE: as_yaml(configuration())})
        Deployment(chart, "deployment", metadata=META, spec=_deployment())
        Service(
            chart,
            "service",
            metadata=META,
            spec={"selector": LABELS, "ports": [service_port("http", PORT)]},
        )
        scraped(chart, BLACKBOX_EXPORTER, namespace=MONITORING, labels=LABELS, port="http")
        allow(
            chart,
            BLACKBOX_EXPORTER,
            namespace=MONITORING,
            labels=LABELS,
            # Also to private networks: a load balancer may be in one.
            egress=[TO_DNS, {"to": EVERYWHERE, "ports": tcp(443)}],
        )
        for hostname in self.hostnames:
            name = f"{hostname.cluster}-{hostname.app}"
            Probe(
                chart,
                name,
                metadata={"name": name, "namespace": MONITORING},
                spec=_probe(hostname),
            )


def module(request: Request, *, trusted: bool) -> str:
    """Name of the exporter's module for ``request``."""
    return request if trusted else f"{request}-untrusted"


def configuration() -> Mapping[str, Any]:
    """The exporter's modules: each request, with and without a check of the certificate."""
    modules: dict[str, Any] = {}
    for trusted in (True, False):
        tls = {
            # The exporter's own default is IPv6, which a cluster need not have.
            "preferred_ip_protocol": "ip4",
            **({} if trusted else {"tls_config": {"insecure_skip_verify": True}}),
        }
        modules[module("https", trusted=trusted)] = {
            "prober": "http",
            "http": {
                "valid_status_codes": SERVED,
                "fail_if_not_ssl": True,
                # A redirect is an answer. What it leads to may be another hostname.
                "follow_redirects": False,
                **tls,
            },
        }
        modules[module("tls", trusted=trusted)] = {
            "prober": "tcp",
            "tcp": {"tls": True, **tls},
        }
    return {"modules": modules}


def _deployment() -> DeploymentSpec:
    return {
        "replicas": 1,
        "revisionHistoryLimit": REVISION_HISTORY_LIMIT,
        "strategy": DEPLOYMENT_STRATEGY,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                **pod(
                    account=BLACKBOX_EXPORTER,
                    priority=OPERATING,
                    user=NOBODY,
                    containers=[_container()],
                ),
                "volumes": [{"name": "config", "configMap": {"name": BLACKBOX_EXPORTER}}],
            },
        },
    }


def _container() -> Container:
    return {
        "name": BLACKBOX_EXPORTER,
        "image": BLACKBOX_EXPORTER_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            f"--config.file={_FOLDER}/{_FILE}",
            "--config.enable-auto-reload",
            f"--web.listen-address=:{PORT}",
            # Why a probe fails is logged; each redirect that is not followed is not.
            "--log.prober=error",
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/-/healthy", "port": "http"}, "periodSeconds": 10},
        "livenessProbe": {"httpGet": {"path": "/-/healthy", "port": "http"}, "periodSeconds": 30},
        # Each probe takes a fraction of a second; the hub's of thirty regions are six a second.
        "resources": resources(cpu="20m", memory="32Mi", limit="128Mi"),
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [{"name": "config", "mountPath": _FOLDER, "readOnly": True}],
    }


def _probe(hostname: Hostname) -> ProbeSpec:
    return {
        "jobName": PROBES,
        "prober": {"url": f"{BLACKBOX_EXPORTER}.{MONITORING}.svc:{PORT}"},
        "module": module(hostname.request, trusted=hostname.trusted),
        "targets": {
            "staticConfig": {
                "static": [hostname.target],
                # The label `cluster` says who probes, as on every series that a cluster sends.
                "labels": {
                    "target_cluster": hostname.cluster,
                    "app": hostname.app,
                    "hostname": hostname.host,
                    "certificate": hostname.certificate,
                },
            }
        },
        "metricRelabelings": [
            keep(
                "probe_success",
                "probe_duration_seconds",
                "probe_http_status_code",
                "probe_http_duration_seconds",
                "probe_ssl_earliest_cert_expiry",
            )
        ],
    }
