"""Monitoring across components: who writes where, by which path, and that the programs take it.

The OpenTelemetry Collector checks its own configuration where it is on the PATH.
"""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from charts.monitoring import gateway, ingest, loki, prometheus
from charts.monitoring.alertmanager import IDENTITY
from charts.monitoring.collector.configuration import CREDENTIALS_FOLDER, QUEUE
from charts.monitoring.prometheus import LATE_HOURS
from charts.monitoring.prometheus_agent import BUFFER_HOURS
from charts.monitoring.rules.rule import OUTSIDE
from charts.scrape import OF_AN_APP, OF_ANY_TARGET, SCRAPER_NAMES
from fleet.registry import Fleet
from fleet.volumes import mebibytes
from rendering.validation.objects import Object
from tests.programs import program
from tests.queries import rules, selectors

Labels: TypeAlias = Mapping[str, str]


def one(objects: Sequence[Object], cluster: str, kind: str, name: str) -> dict[str, Any]:
    (found,) = (
        each for each in objects if (each.cluster, each.kind, each.name) == (cluster, kind, name)
    )
    return dict(found.body)


def test_a_region_writes_where_the_hub_listens(objects: Sequence[Object], fleet: Fleet) -> None:
    """The URL of agent and collector is the one route of that region, by its own credential."""
    hub = fleet.hub
    for region in fleet.regions:
        agent = one(objects, region.name, "PrometheusAgent", "agent")["spec"]
        (write,) = agent["remoteWrite"]
        collector = yaml.safe_load(
            one(objects, region.name, "ConfigMap", "logs")["data"]["collector.yaml"]
        )
        for signal, host, url in (
            (ingest.METRICS, hub.prometheus_host, write["url"]),
            (ingest.LOGS, hub.loki_host, collector["exporters"]["otlp_http"]["logs_endpoint"]),
        ):
            route = one(objects, hub.name, "IngressRoute", signal.route(region.name))["spec"]
            (rule,) = route["routes"]
            path = signal.path(region.name)
            assert url == f"https://{host}{path}"
            assert rule["match"] == f"Host(`{host}`) && Path(`{path}`) && Method(`POST`)"
            user, *limits = (each["name"] for each in rule["middlewares"])
            assert user == f"ingest-{region.name}"
            assert limits == [
                "rate-limit",
                "concurrency-limit",
                "size-limit",
                f"sender-{region.name}",
                f"{signal.name}-push-path",
            ]
            named = one(objects, hub.name, "Middleware", f"sender-{region.name}")["spec"]
            assert named["headers"]["customRequestHeaders"] == {
                gateway.CLUSTER_HEADER: region.name,
                gateway.REGION_HEADER: region.region_label,
            }
            basic = one(objects, hub.name, "Middleware", user)["spec"]["basicAuth"]
            assert basic == {"secret": user, "removeHeader": True}
            replaced = one(objects, hub.name, "Middleware", limits[-1])["spec"]["replacePath"]
            assert replaced == {"path": signal.push_path}


def test_every_route_of_monitoring_asks_who_it_is(objects: Sequence[Object], fleet: Fleet) -> None:
    """Except those of Grafana and Argo CD, which ask themselves; and none leads to Alertmanager."""
    seen = 0
    for each in objects:
        if (
            each.kind == "IngressRoute"
            and each.namespace == "pages"
            and each.name not in ("grafana", "argocd-server")
        ):
            for rule in each.body["spec"]["routes"]:
                # It leads nowhere.
                if rule["services"] == [{"name": "nobody", "port": 80}]:
                    continue
                named = [middleware["name"] for middleware in rule["middlewares"]]
                # Guesses are limited before they are checked.
                first = next(name for name in named if name != "request-limit")
                middleware = one(objects, fleet.hub.name, "Middleware", first)
                assert "basicAuth" in middleware["spec"], each
                assert not any("alertmanager" in to["name"] for to in rule["services"])
                seen += 1
    assert seen == 1 + 2 * len(fleet.regions)


def silenced(rules: Sequence[Any], source: Labels, target: Labels) -> bool:
    """Whether Alertmanager holds back ``target`` while ``source`` fires, by its documentation.

    A label that neither alert has is equal.
    """

    def matches(matchers: Sequence[Any], labels: Labels) -> bool:
        for each in matchers:
            same = re.fullmatch(
                each["value"] if "~" in each.get("matchType", "=") else re.escape(each["value"]),
                labels.get(each["name"], ""),
            )
            if bool(same) == each.get("matchType", "=").startswith("!"):
                return False
        return True

    return any(
        matches(rule["sourceMatch"], source)
        and matches(rule["targetMatch"], target)
        and all(source.get(name) == target.get(name) for name in rule.get("equal", ()))
        for rule in rules
    )


def test_an_alert_is_held_back_by_one_of_the_same_subject_alone(
    objects: Sequence[Object], fleet: Fleet
) -> None:
    inhibiting = one(objects, fleet.hub.name, "AlertmanagerConfig", "main")["spec"]["inhibitRules"]
    errors = {"alertname": "AppErrors", "cluster": "us-east", "app": "shop-api"}
    critical = {**errors, "severity": "critical"}
    warning = {**errors, "severity": "warning"}
    assert silenced(inhibiting, critical, warning)
    assert not silenced(inhibiting, critical, {**warning, "app": "foobar-api"})
    assert not silenced(inhibiting, critical, {**warning, "cluster": "eu-west"})
    down = {**critical, "alertname": "AppDown"}
    assert silenced(inhibiting, down, critical)
    assert silenced(inhibiting, down, {**warning, "alertname": "AppSlow"})
    assert not silenced(inhibiting, down, {**critical, "app": "foobar-api"})
    assert not silenced(inhibiting, down, {**critical, "alertname": "CertificateNotReady"})
    behind = {"alertname": "TraefikErrors", "cluster": "us-east", "severity": "warning"}
    assert silenced(inhibiting, critical, behind)
    assert not silenced(inhibiting, critical, {**behind, "cluster": "eu-west"})
    silent = {"alertname": "ClusterMetricsSilent", "cluster": "us-east", "severity": "critical"}
    assert silenced(inhibiting, silent, down)
    expiring = {"alertname": "CertificateExpiring", "cluster": "hub", "namespace": "monitoring"}
    grafana = {**expiring, "name": "grafana", "severity": "critical"}
    assert silenced(inhibiting, grafana, {**grafana, "severity": "warning"})
    assert not silenced(inhibiting, grafana, {**grafana, "name": "loki", "severity": "warning"})
    full = {
        "alertname": "NodeFilesystemAlmostOutOfSpace",
        "cluster": "us-east",
        "namespace": "node-exporter",
        "instance": "node-1",
        "device": "/dev/vda1",
        "mountpoint": "/",
        "severity": "critical",
    }
    assert silenced(inhibiting, full, {**full, "severity": "warning"})
    assert not silenced(inhibiting, full, {**full, "instance": "node-2", "severity": "warning"})
    assert not silenced(inhibiting, full, {**full, "mountpoint": "/data", "severity": "warning"})


def test_a_silent_cluster_hides_what_needs_its_metrics_alone(
    objects: Sequence[Object], fleet: Fleet
) -> None:
    inhibiting = one(objects, fleet.hub.name, "AlertmanagerConfig", "main")["spec"]["inhibitRules"]
    silent = {
        "alertname": "ClusterMetricsSilent",
        "cluster": "us-east",
        "severity": "critical",
        **OUTSIDE,
    }
    down = {"alertname": "AppDown", "cluster": "us-east", "app": "shop-api"}
    assert silenced(inhibiting, silent, {**down, "severity": "critical"})
    assert not silenced(inhibiting, silent, silent)
    unreachable = {**down, "alertname": "HostnameUnreachable", "severity": "critical", **OUTSIDE}
    assert not silenced(inhibiting, silent, unreachable)
    assert not silenced(inhibiting, silent, {**down, "cluster": "eu-west"})


def test_alerts_that_the_hub_measures_pass_a_silent_cluster(
    objects: Sequence[Object], fleet: Fleet
) -> None:
    """Whatever reads series of the hub's own Traefik or Argo CD is about a region all the same."""
    seen = set()
    for rule in rules(objects):
        if "alert" not in rule:
            continue
        hubs = all(
            f'{{cluster="{fleet.hub.name}"' in str(selector)
            or (selector.name or "")[:7] == "argocd_"
            for selector in selectors(rule["expr"])
        )
        about = rule["labels"].get("cluster", "" if "label_replace" in rule["expr"] else "hub")
        if hubs and about not in ("hub", fleet.hub.name):
            assert rule["labels"].items() >= OUTSIDE.items(), rule["alert"]
            seen.add(rule["alert"])
    assert seen >= {
        "ArgoCdClusterUnreachable",
        "ArgoCdOutOfSync",
        "ClusterLogsSilent",
        "IngestLimited",
        "IngestRefused",
        "IngestRejected",
    }


def test_one_thing_hides_no_other(objects: Sequence[Object], built: Sequence[Object]) -> None:
    """Of two alerts of one name, whatever their text names to tell the thing is compared.

    kube-prometheus's own rule compares namespace and name alone, so a volume that is full would
    hide the one beside it that fills.
    """
    severities: dict[str, set[str]] = {}
    named: dict[str, set[str]] = {}
    for rule in rules(built):
        if "alert" in rule:
            severities.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
            texts = " ".join(rule["annotations"].values())
            named.setdefault(rule["alert"], set()).update(
                set(re.findall(r"\$labels\.(\w+)", texts)) - rule["labels"].keys()
            )
    both = {alert for alert, found in severities.items() if found >= {"critical", "warning"}}
    assert both >= {"NodeFilesystemAlmostOutOfSpace", "KubePersistentVolumeFillingUp", "AppErrors"}
    # A promise of the app, as are its errors.
    compared = {*IDENTITY, "seconds"}
    for alert in both:
        assert named[alert] <= compared, alert
    assert len({label for alert in both for label in named[alert]}) >= 8


def test_what_users_notice_pages_once(objects: Sequence[Object], fleet: Fleet) -> None:
    """By its cause if that is the whole cluster's Traefik, or else as users notice it."""
    inhibiting = one(objects, fleet.hub.name, "AlertmanagerConfig", "main")["spec"]["inhibitRules"]
    here = {"cluster": "us-east", "severity": "critical"}
    unreachable = {
        **here,
        "alertname": "HostnameUnreachable",
        "app": "shop-api",
        "hostname": "a.b",
        **OUTSIDE,
    }
    # Others than the silent cluster have found it.
    assert not silenced(inhibiting, {**here, "alertname": "ClusterMetricsSilent"}, unreachable)
    of_app = {**here, "app": "shop-api"}
    for held in ("AppDown", "AppErrors", "AppSlow", "TrafficCollapsed"):
        assert silenced(inhibiting, unreachable, {**of_app, "alertname": held})
        assert not silenced(inhibiting, unreachable, {**of_app, "alertname": held, "app": "other"})
        # One place that does not get through is no reason to believe that no user does.
        from_one = {**unreachable, "severity": "warning"}
        assert not silenced(inhibiting, from_one, {**of_app, "alertname": held})
        assert not silenced(inhibiting, {**of_app, "alertname": held}, unreachable)
    down = {**here, "alertname": "TraefikDown", "job": "traefik"}
    assert silenced(inhibiting, down, unreachable)
    assert not silenced(inhibiting, down, {**unreachable, "cluster": "eu-west"})
    missing = {"cluster": "us-east", "severity": "warning", "alertname": "ClusterPartMissing"}
    assert silenced(inhibiting, down, {**missing, "job": "traefik"})
    assert not silenced(inhibiting, down, {**missing, "job": "kubelet"})
    assert silenced(inhibiting, {**here, "alertname": "ClusterMetricsSilent"}, down)


def test_a_certificate_that_is_not_renewed_has_one_alert(
    objects: Sequence[Object], fleet: Fleet
) -> None:
    """cert-manager's, unless what is served is older still."""
    inhibiting = one(objects, fleet.hub.name, "AlertmanagerConfig", "main")["spec"]["inhibitRules"]
    renewal = {"alertname": "CertificateExpiring", "cluster": "us-east", "name": "foobar-api"}
    as_served = {**renewal, "alertname": "HostnameCertificateExpiring", "app": "foobar-api"}
    for severity in ("warning", "critical"):
        source = {**renewal, "severity": severity}
        assert silenced(inhibiting, source, {**as_served, "severity": severity})
        assert not silenced(
            inhibiting, source, {**as_served, "severity": severity, "name": "other"}
        )
    assert not silenced(
        inhibiting, {**renewal, "severity": "warning"}, {**as_served, "severity": "critical"}
    )


def test_a_message_is_about_one_app(objects: Sequence[Object], fleet: Fleet) -> None:
    route = one(objects, fleet.hub.name, "AlertmanagerConfig", "main")["spec"]["route"]
    assert route["groupBy"] == ["cluster", "app", "alertname"]


def test_the_hub_takes_what_an_agent_has_kept(objects: Sequence[Object], fleet: Fleet) -> None:
    """Two hours of outage: a third of the log is left after a cut, and comes none too late."""
    assert BUFFER_HOURS / 3 > 2
    assert LATE_HOURS >= BUFFER_HOURS
    hub = one(objects, fleet.hub.name, "Prometheus", "k8s")["spec"]
    assert hub["tsdb"]["outOfOrderTimeWindow"] == f"{LATE_HOURS}h"
    assert hub["enableRemoteWriteReceiver"] is True
    for region in fleet.regions:
        agent = one(objects, region.name, "PrometheusAgent", "agent")["spec"]
        arguments = {each["name"]: each["value"] for each in agent["additionalArgs"]}
        assert arguments["storage.agent.wal-truncate-frequency"] == f"{BUFFER_HOURS}h"
        assert agent["remoteWrite"][0]["queueConfig"]["retryOnRateLimit"] is True
        assert "volumeClaimTemplate" in agent["storage"]


def test_no_target_alone_fills_the_hub(objects: Sequence[Object], fleet: Fleet) -> None:
    """Every scraper has limits, and a pod of an app one of its own below them."""
    assert OF_AN_APP.samples < OF_ANY_TARGET.samples < prometheus.SERIES / 2
    assert OF_AN_APP.megabytes < OF_ANY_TARGET.megabytes
    limits = (
        "SampleLimit",
        "BodySizeLimit",
        "TargetLimit",
        "LabelLimit",
        "LabelNameLengthLimit",
        "LabelValueLengthLimit",
    )
    for cluster in fleet.clusters:
        kind, name = ("Prometheus", "k8s") if cluster is fleet.hub else ("PrometheusAgent", "agent")
        spec = one(objects, cluster.name, kind, name)["spec"]
        assert all(f"enforced{limit}" in spec for limit in limits)
    for region in fleet.regions:
        spec = one(objects, region.name, "PodMonitor", "foobar-api")["spec"]
        assert spec["sampleLimit"] == OF_AN_APP.samples
        assert spec["bodySizeLimit"] == f"{OF_AN_APP.megabytes}MB"


def test_retention_by_size_fits_the_volume(objects: Sequence[Object], fleet: Fleet) -> None:
    spec = one(objects, fleet.hub.name, "Prometheus", "k8s")["spec"]
    assert int(spec["retentionSize"].removesuffix("MiB")) < mebibytes(fleet.hub.metrics_storage)


def test_every_series_says_where_it_is_from(objects: Sequence[Object], fleet: Fleet) -> None:
    """By whichever class a monitor is scraped; the one with the name default is for all others."""
    used = {
        monitor.body["spec"]["scrapeClass"]
        for monitor in objects
        if monitor.kind.endswith("Monitor") and "scrapeClass" in monitor.body["spec"]
    }
    scrapers = [each for each in objects if each.kind in ("Prometheus", "PrometheusAgent")]
    assert [scraper.cluster for scraper in scrapers] == sorted(fleet.names)
    for scraper in scrapers:
        cluster = fleet.cluster(scraper.cluster)
        classes = {item["name"]: item for item in scraper.body["spec"]["scrapeClasses"]}
        assert [name for name, item in classes.items() if item.get("default")] == ["pods"]
        for item in classes.values():
            labels = {rule["targetLabel"]: rule["replacement"] for rule in item["relabelings"]}
            assert labels == {"cluster": cluster.name, "region": cluster.region_label}
        assert used <= classes.keys()


def test_monitors_find_a_port_that_the_scraper_may_reach(built: Sequence[Object]) -> None:
    """Each PodMonitor selects pods with that port, and a policy admits the scraper to it."""
    seen = 0
    for each in built:
        if each.kind != "PodMonitor" or each.name == "coredns":
            continue
        labels = each.body["spec"]["selector"]["matchLabels"]
        (endpoint,) = each.body["spec"]["podMetricsEndpoints"]
        workloads = [
            other.body["spec"]["template"]
            for other in built
            if (other.cluster, other.namespace) == (each.cluster, each.namespace)
            and other.kind in ("Deployment", "DaemonSet", "StatefulSet")
            and labels.items() <= other.body["spec"]["template"]["metadata"]["labels"].items()
        ]
        if labels.get("app.kubernetes.io/name") in SCRAPER_NAMES:
            continue
        assert workloads, each
        for template in workloads:
            ports = [
                port
                for container in template["spec"]["containers"]
                for port in container.get("ports", ())
            ]
            wanted = endpoint.get("port") or endpoint["portNumber"]
            found = [port for port in ports if wanted in (port.get("name"), port["containerPort"])]
            if each.name != "argocd-notifications-controller":
                assert found, f"{each}: {wanted}"
        seen += 1
    assert seen >= 30


@pytest.mark.parametrize("cluster", ["tooling", "us-east"])
def test_the_collector_takes_its_configuration(
    cluster: str, objects: Sequence[Object], tmp_path: Path
) -> None:
    """That for logs; of the distributions at hand none has the receiver of events."""
    text = one(objects, cluster, "ConfigMap", "logs")["data"]["collector.yaml"]
    for folder in (QUEUE, CREDENTIALS_FOLDER):
        (tmp_path / folder[1:]).mkdir(parents=True)
        text = text.replace(folder, str(tmp_path / folder[1:]))
    for name in ("username", "password"):
        (tmp_path / CREDENTIALS_FOLDER[1:] / name).write_text("something")
    path = tmp_path / "collector.yaml"
    path.write_text(text)
    result = subprocess.run(
        [program("otelcol"), "validate", f"--config={path}"],
        capture_output=True,
        text=True,
        check=False,
        env={"NODE_NAME": "node"},
    )
    assert result.returncode == 0, result.stderr


def test_the_ways_in_have_certificates(objects: Sequence[Object], fleet: Fleet) -> None:
    names = {
        each.body["spec"]["secretName"]: each.body["spec"]["dnsNames"]
        for each in objects
        if each.kind == "Certificate" and each.namespace == "pages"
    }
    assert names == {
        "argocd-tls": [fleet.hub.argocd_host],
        prometheus.TLS_SECRET: [fleet.hub.prometheus_host],
        loki.TLS_SECRET: [fleet.hub.loki_host],
        "grafana-tls": [fleet.hub.grafana_host],
    }
