"""What apps of every kind become: the fixture fleet three-apps, rendered.

That policies, references, quotas and Argo CD's rights hold for them as for everything else is
claimed of every fixture fleet in the tests beside this one.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.catalogue import load
from charts.monitoring.rules.app import WatchedApp
from fleet.apps import TENANT
from fleet.errors import InputError
from fleet.registry import Fleet
from fleet.score import TRAEFIK_BUCKETS, Platform, ServiceLevels
from operations import credentials, promote
from rendering.render import render
from tests.objects import APPS, FLEETS, ROOT, read_objects

Find = Callable[[str, str, str, str], Any]
Documented = Callable[[str, str], Any]


@pytest.fixture(scope="module")
def three() -> Fleet:
    return load(FLEETS / "three-apps.yaml")


@pytest.fixture(scope="module")
def find(three: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Find:
    """The body of an object by cluster, component, kind and name."""
    dist = tmp_path_factory.mktemp("three") / "dist"
    for cluster in three.clusters:
        render(three, cluster, folder=dist / cluster.name, overlays=dist / "none")
    found = {
        (each.cluster, each.component, each.kind, each.name): each.body
        for each in read_objects(dist)
    }
    return lambda *key: found.get(key)


def container(find: Find, app: str) -> Any:
    workload = find("north", app, "Deployment", app) or find("north", app, "StatefulSet", app)
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    return found


def test_the_description_of_the_fixtures_is_the_committed_one() -> None:
    """A fork may have none; then the fixtures speak for themselves."""
    committed = ROOT / "apps" / "foobar-api.yaml"
    if not committed.is_file():
        pytest.skip("this fork describes no foobar-api")
    _, _, mine = committed.read_text().partition("\n")
    _, _, fixture = (APPS / "foobar-api.yaml").read_text().partition("\n")
    assert mine == fixture


def test_traefik_terminates_tls_at_the_edge(find: Find) -> None:
    route = find("north", "tenant-shop-api", "IngressRoute", "shop-api")["spec"]
    assert route["tls"] == {"secretName": "shop-api-tls"}
    (rule,) = route["routes"]
    # The scraper's path is on the port that users reach, so it is hidden from them.
    assert rule["match"] == "Host(`shop.north.example.org`) && !Path(`/internal/metrics`)"
    assert rule["services"] == [{"name": "shop-api", "port": "http"}]
    certificate = find("north", "tenant-shop-api", "Certificate", "shop-api")["spec"]
    assert certificate["dnsNames"] == ["shop.north.example.org"]
    assert certificate["secretName"] == "shop-api-tls"
    assert find("north", "tenant-shop-api", "IngressRouteTCP", "shop-api") is None


def test_grpc_is_spoken_in_cleartext_behind_the_edge(find: Find) -> None:
    (rule,) = find("north", "tenant-plain-api", "IngressRoute", "plain-api")["spec"]["routes"]
    assert rule["services"] == [{"name": "plain-api", "port": "grpc", "scheme": "h2c"}]


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Documented:
    """What the examples of docs/applications.md become, each by its protocol as its name."""
    folder = tmp_path_factory.mktemp("documented")
    text = (ROOT / "docs" / "applications.md").read_text("utf-8")
    examples = dict(re.findall(r"^```yaml\n# (\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    placed = {}
    (folder / "apps").mkdir()
    for name, example in examples.items():
        described = yaml.safe_load(example)
        described["apiVersion"] = "score.dev/v1b1"
        described.setdefault("metadata", {})["name"] = name
        described.setdefault("containers", {"app": {"image": "."}})
        (folder / "apps" / f"{name}.yaml").write_text(yaml.safe_dump(described))
        placed[name] = {"hostname": name, "image": "registry.example.org/a:1"}
    fleet = yaml.safe_load((FLEETS / "three-apps.yaml").read_text())
    fleet["clusters"] = [{**each, "apps": placed} for each in fleet["clusters"][1:2]] + [
        fleet["clusters"][0]
    ]
    (folder / "clusters.yaml").write_text(yaml.safe_dump(fleet))
    loaded = load(folder / "clusters.yaml")
    north = loaded.regions[0]
    render(loaded, north, folder=folder / "dist" / north.name, overlays=folder / "none")
    found = {
        (each.component.removeprefix(TENANT), each.kind): each.body
        for each in read_objects(folder / "dist")
        if each.component.removeprefix(TENANT) in examples
    }
    return lambda *key: found.get(key)


@pytest.mark.parametrize(
    ("protocol", "service"),
    [
        ("http", {"name": "http", "port": "http"}),
        ("h2c", {"name": "h2c", "port": "http", "scheme": "h2c"}),
        ("grpc", {"name": "grpc", "port": "grpc", "scheme": "h2c"}),
    ],
)
def test_traefik_speaks_the_documented_protocol_behind_the_edge(
    documented: Documented, protocol: str, service: dict[str, str]
) -> None:
    route = documented(protocol, "IngressRoute")["spec"]
    assert route["tls"] == {"secretName": f"{protocol}-tls"}
    assert route["routes"][0]["services"] == [service]


def test_traefik_passes_tls_through_to_an_app_that_has_its_own(documented: Documented) -> None:
    assert documented("https", "IngressRoute") is None
    route = documented("https", "IngressRouteTCP")["spec"]
    assert route["tls"] == {"passthrough": True}
    assert documented("https", "ServersTransportTCP")["spec"]["proxyProtocol"] == {"version": 2}
    (port,) = documented("https", "Service")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (443, 8443)


def test_kubelet_asks_the_health_service_of_grpc(documented: Documented) -> None:
    (grpc,) = documented("grpc", "Deployment")["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert grpc[probe]["grpc"] == {"port": 9000}
        assert "tcpSocket" not in grpc[probe]


def test_placeholders_are_filled_in(find: Find) -> None:
    shop = container(find, "shop-api")
    assert shop["command"] == ["/app/server"]
    # As in Score, commands and arguments have no placeholders; Kubernetes expands $(PUBLIC_URL).
    assert shop["args"] == ["--listen=:8080", "--public=$(PUBLIC_URL)", "--price=$$5"]
    variables = {each["name"]: each for each in shop["env"]}
    assert variables["PUBLIC_URL"]["value"] == "https://shop.north.example.org/"
    assert variables["PRICE"]["value"] == "$5 in USD"
    assert variables["WHERE"]["value"] == "shop-api in north"
    assert variables["DATABASE_URL"]["valueFrom"] == {
        "secretKeyRef": {"name": "shop-database", "key": "url"}
    }
    assert variables["SIGNING_KEY"]["valueFrom"] == {
        "secretKeyRef": {"name": "signing", "key": "key"}
    }


def job(find: Find, kind: str, name: str) -> Any:
    """The spec of a Job of shop-api, or of those that a CronJob makes."""
    spec = find("north", "shop-api", kind, name)["spec"]
    return spec["jobTemplate"]["spec"] if kind == "CronJob" else spec


def test_a_job_runs_before_each_rollout(find: Find) -> None:
    """By the order in which Argo CD applies an Application: wave, then kind."""
    before = find("north", "shop-api", "Job", "shop-api-before-rollout")
    assert before["metadata"]["annotations"] == {
        "argocd.argoproj.io/hook": "Sync",
        "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
        "argocd.argoproj.io/sync-wave": "-1",
    }
    account = find("north", "shop-api", "ServiceAccount", "shop-api")
    assert account["metadata"]["annotations"] == {"argocd.argoproj.io/sync-wave": "-1"}
    for kind in ("Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service"):
        assert "annotations" not in find("north", "shop-api", kind, "shop-api")["metadata"]
    spec = before["spec"]
    assert (spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (300, 2)
    (container,) = spec["template"]["spec"]["containers"]
    assert container["command"] == ["/app/server"]
    assert container["args"] == ["migrate", "--wait=30s"]


def test_without_a_job_before_it_a_rollout_waits_for_nothing(find: Find) -> None:
    account = find("north", "plain-api", "ServiceAccount", "plain-api")
    assert "annotations" not in account["metadata"]


def test_a_scheduled_job_runs_once_at_a_time_and_ends(find: Find) -> None:
    spec = find("north", "shop-api", "CronJob", "shop-api-expire-carts")["spec"]
    assert (spec["schedule"], spec["timeZone"]) == ("17 3 * * *", "Europe/Berlin")
    assert spec["concurrencyPolicy"] == "Forbid"
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (1, 3)
    made = spec["jobTemplate"]["spec"]
    assert (made["activeDeadlineSeconds"], made["backoffLimit"]) == (1800, 0)
    (container,) = made["template"]["spec"]["containers"]
    # A command of its own leaves nothing of the container's arguments.
    assert container["command"] == ["/app/expire", "--carts"]
    assert container["args"] == ["--older-than=30d"]
    assert container["resources"]["limits"] == {"memory": "128Mi", "ephemeral-storage": "1274Mi"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Job", "shop-api-before-rollout"), ("CronJob", "shop-api-expire-carts")],
)
def test_a_job_has_what_the_app_has_and_serves_nobody(find: Find, kind: str, name: str) -> None:
    template = job(find, kind, name)["template"]
    serving = find("north", "shop-api", "Deployment", "shop-api")["spec"]["template"]
    (mine,), (its,) = template["spec"]["containers"], serving["spec"]["containers"]
    for field in ("image", "env", "volumeMounts", "securityContext"):
        assert mine[field] == its[field]
    for field in (
        "automountServiceAccountToken",
        "enableServiceLinks",
        "imagePullSecrets",
        "securityContext",
        "serviceAccountName",
        "volumes",
    ):
        assert template["spec"][field] == serving["spec"][field]
    assert not {"ports", "livenessProbe", "readinessProbe", "startupProbe"} & mine.keys()
    labels = template["metadata"]["labels"]
    for selecting in ("Service", "PodDisruptionBudget", "Deployment"):
        selector = find("north", "shop-api", selecting, "shop-api")["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert not wanted.items() <= labels.items()


def test_a_secret_is_mounted_as_files_that_nobody_can_write(find: Find) -> None:
    pod = find("north", "shop-api", "Deployment", "shop-api")["spec"]["template"]["spec"]
    assert {
        "name": "pem",
        "secret": {
            "secretName": "signing",
            "defaultMode": 0o440,
            "items": [{"key": "signing.pem", "path": "signing.pem"}],
        },
    } in pod["volumes"]
    assert {"name": "pem", "mountPath": "/etc/signing", "readOnly": True} in container(
        find, "shop-api"
    )["volumeMounts"]


def test_an_app_without_probes_has_to_accept_connections(find: Find) -> None:
    plain = container(find, "plain-api")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert plain[probe]["tcpSocket"] == {"port": 9000}


def test_probes_are_those_of_the_description(find: Find) -> None:
    shop = container(find, "shop-api")
    # Both are there; Score prefers the command.
    assert shop["livenessProbe"]["exec"] == {"command": ["/app/healthy"]}
    assert "httpGet" not in shop["livenessProbe"]
    assert shop["readinessProbe"]["httpGet"] == {
        "path": "/ready",
        "port": 8080,
        "scheme": "HTTP",
        "httpHeaders": [
            {"name": "Host", "value": "shop.example.org"},
            {"name": "X-Probe", "value": "kubelet"},
        ],
    }
    started = shop["startupProbe"]
    assert started["exec"] == {"command": ["/app/healthy"]}
    assert started["failureThreshold"] * started["periodSeconds"] == 120


def test_pods_keep_volumes_of_their_own(find: Find) -> None:
    assert find("north", "store-api", "Deployment", "store-api") is None
    spec = find("north", "store-api", "StatefulSet", "store-api")["spec"]
    (template,) = spec["volumeClaimTemplates"]
    assert template == {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "50Gi"}},
            "storageClassName": "vultr-block-storage",
        },
    }
    (kept,) = spec["template"]["spec"]["containers"]
    assert kept["volumeMounts"] == [
        {"mountPath": "/scratch", "name": "scratch"},
        {"mountPath": "/data", "name": "data"},
    ]
    assert [volume["name"] for volume in spec["template"]["spec"]["volumes"]] == ["scratch"]
    labels = spec["template"]["metadata"]["labels"]
    for kind in ("Service", "PodDisruptionBudget"):
        selector = find("north", "store-api", kind, "store-api")["spec"]["selector"]
        assert selector.get("matchLabels", selector) == labels == spec["selector"]["matchLabels"]
    scaled = find("north", "store-api", "HorizontalPodAutoscaler", "store-api")["spec"]
    assert scaled["scaleTargetRef"]["kind"] == "StatefulSet"
    assert "replicas" not in spec
    hard = find("north", "tenant-store-api", "ResourceQuota", "store-api")["spec"]["hard"]
    # Three pods, each with 50 GiB.
    assert (hard["persistentvolumeclaims"], hard["requests.storage"]) == ("3", "150Gi")


def test_a_volume_that_the_region_cannot_provide_is_refused(tmp_path: Path) -> None:
    text = (FLEETS / "three-apps.yaml").read_text()
    description = (APPS / "store-api.yaml").read_text().replace("50Gi", "10Gi")
    shutil.copytree(APPS, tmp_path / "apps")
    (tmp_path / "apps" / "store-api.yaml").write_text(description)
    registry = tmp_path / "clusters.yaml"
    hard_disks = "address: 192.0.2.2\n    storageClass: vultr-block-storage-hdd"
    registry.write_text(text.replace("address: 192.0.2.2", hard_disks))
    with pytest.raises(InputError) as caught:
        load(registry)
    assert caught.value.problems == (
        (
            f"{registry}:19: clusters[1].apps: store-api: a volume of 10Gi is less than "
            "vultr-block-storage-hdd provides; write 40Gi or more in its file"
        ),
    )


def test_amounts_and_scaling_are_the_descriptions(find: Find) -> None:
    assert container(find, "shop-api")["resources"] == {
        "requests": {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "50Mi"},
        # 250 MiB, and its volume of 1 GiB.
        "limits": {"cpu": "2000m", "memory": "1024Mi", "ephemeral-storage": "1274Mi"},
    }
    scaler = find("north", "shop-api", "HorizontalPodAutoscaler", "shop-api")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 12)


def test_only_the_egress_of_the_description_is_open(find: Find) -> None:
    policy = find("north", "tenant-shop-api", "NetworkPolicy", "shop-api")["spec"]
    dns, database = policy["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert database == {
        "to": [{"ipBlock": {"cidr": "10.20.0.0/16"}}],
        "ports": [{"port": 5432, "protocol": "TCP"}],
    }
    assert (
        len(find("north", "tenant-plain-api", "NetworkPolicy", "plain-api")["spec"]["egress"]) == 1
    )


def test_jobs_reach_what_the_app_reaches_and_nothing_reaches_them(find: Find) -> None:
    policy = find("north", "tenant-shop-api", "NetworkPolicy", "shop-api-jobs")["spec"]
    app = find("north", "tenant-shop-api", "NetworkPolicy", "shop-api")["spec"]
    assert policy["egress"] == app["egress"]
    assert policy["policyTypes"] == ["Egress"]
    for kind, name in (("Job", "shop-api-before-rollout"), ("CronJob", "shop-api-expire-carts")):
        labels = job(find, kind, name)["template"]["metadata"]["labels"]
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert find("north", "tenant-plain-api", "NetworkPolicy", "plain-api-jobs") is None


def test_the_scraper_asks_where_the_description_says(find: Find) -> None:
    (endpoint,) = find("north", "tenant-shop-api", "PodMonitor", "shop-api")["spec"][
        "podMetricsEndpoints"
    ]
    assert endpoint == {"port": "http", "path": "/internal/metrics"}
    assert find("north", "tenant-plain-api", "PodMonitor", "plain-api") is None


def test_an_app_is_restricted_whatever_it_says(find: Find) -> None:
    for app in ("foobar-api", "shop-api", "plain-api", "store-api"):
        security = container(find, app)["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        labels = find("north", f"tenant-{app}", "Namespace", app)["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_traefik_reads_the_namespaces_of_a_regions_apps_alone(find: Find) -> None:
    for cluster, apps in (
        ("north", "foobar-api,shop-api,plain-api,store-api"),
        ("south", "shop-api"),
    ):
        (traefik,) = find(cluster, "traefik", "Deployment", "traefik")["spec"]["template"]["spec"][
            "containers"
        ]
        assert f"--providers.kubernetesCRD.namespaces=traefik,{apps}" in traefik["args"]


def alerts(find: Find, name: str) -> dict[str, Any]:
    (group,) = find("hub", "rules", "PrometheusRule", name)["spec"]["groups"]
    return {
        rule["labels"]["app"]: rule for rule in group["rules"] if rule.get("alert") == "AppDown"
    }


def test_every_app_of_a_region_has_an_alert_for_its_absence(find: Find) -> None:
    north = alerts(find, "arrival-north")
    assert set(north) == {"foobar-api", "shop-api", "plain-api", "store-api"}
    scraped = north["shop-api"]["expr"]
    assert scraped.startswith('absent(up{cluster="north",job="shop-api"} == 1) or ')
    assert "kube_deployment_status_replicas_available" in scraped
    # Nothing scrapes it, so Kubernetes alone is asked.
    assert "kube_deployment_status_replicas_available" in north["plain-api"]["expr"]
    assert "kube_statefulset_status_replicas_available" in north["store-api"]["expr"]
    assert set(alerts(find, "arrival-south")) == {"shop-api"}
    assert alerts(find, "arrival-west") == {}


def records(find: Find, app: str) -> dict[str, Any]:
    (group,) = find("hub", "rules", "PrometheusRule", f"app-{app}")["spec"]["groups"]
    return {rule["record"]: rule for rule in group["rules"]}


def test_service_levels_are_the_descriptions(find: Find) -> None:
    shop, foobar = records(find, "shop-api"), records(find, "foobar-api")
    assert shop["app:http_request_errors:budget"]["expr"] == "vector(0.005)"
    assert shop["app:http_request_slow:budget"]["labels"] == {"app": "shop-api", "seconds": "0.5"}
    assert 'le="0.5"' in shop["app:http_request_slow:rate5m"]["expr"]
    assert foobar["app:http_request_errors:budget"]["expr"] == "vector(0.001)"


def test_levels_are_measured_where_tls_ends(find: Find) -> None:
    """By Traefik, which sees every request of the first two; by the app that hides them from it."""
    for app in ("shop-api", "plain-api"):
        assert (
            f'traefik_router_requests_total{{job="traefik",router=~"{app}_.+@kubernetescrd"}}'
            in records(find, app)["app:http_requests:rate5m"]["expr"]
        )
    foobar = records(find, "foobar-api")["app:http_requests:rate5m"]["expr"]
    assert 'http_requests_total{job="foobar-api",route!~"/livez|' in foobar


def test_a_bucket_is_named_as_prometheus_stores_it() -> None:
    """Traefik writes le="1", and Prometheus 3 stores le="1.0"."""
    for seconds, bound in ((0.05, "0.05"), (1, "1.0"), (10, "10.0")):
        app = WatchedApp(
            name="a",
            levels=ServiceLevels(seconds=seconds),
            measured_by="traefik",
            kind="Deployment",
            certificate_expiry=None,
        )
        assert seconds in TRAEFIK_BUCKETS
        assert f'le="{bound}"' in str(app.records().spec(""))


def test_nobody_turns_the_alerts_off() -> None:
    for tls in ("edge", "passthrough"):
        off = {"tls": tls, "serviceLevels": {"measuredBy": "nobody"}}
        assert Platform.model_validate(off).measured_by is None
    assert Platform(tls="passthrough").measured_by is None


def test_an_app_more_is_seven_rules_more(find: Find) -> None:
    """However many regions run it; the shares and the alerts of all apps are the same rules."""
    assert [len(records(find, app)) for app in ("shop-api", "plain-api")] == [7, 7]
    # And when the certificate expires that it serves itself.
    assert len(records(find, "foobar-api")) == 8
    groups = find("hub", "rules", "PrometheusRule", "fleet")["spec"]["groups"]
    assert not [name for name in ("foobar-api", "shop-api", "plain-api") if name in str(groups)]
    rules = [
        rule for group in groups if "service-levels" in group["name"] for rule in group["rules"]
    ]
    # Seven windows of two objectives, all but the shortest with a count of its own, and four alerts
    # of each.
    assert len(rules) == 34


def test_bootstrap_asks_for_every_secret_of_every_app(three: Fleet) -> None:
    found = {
        (each.ref.cluster, each.ref.namespace, each.ref.name): each
        for each in credentials.supplied(three)
    }
    assert {key for key in found if key[0] == "north"} == {
        ("north", "foobar-api", "registry-pull"),
        ("north", "plain-api", "registry-pull"),
        ("north", "store-api", "registry-pull"),
        ("north", "shop-api", "mirror-pull"),
        ("north", "shop-api", "shop-database"),
        ("north", "shop-api", "signing"),
    }
    database = found["north", "shop-api", "shop-database"]
    assert set(database.variables) == {
        "APP_SHOP_API_SHOP_DATABASE_URL",
        "APP_SHOP_API_SHOP_DATABASE_USER",
    }
    values = {"APP_SHOP_API_SIGNING_KEY": "k", "APP_SHOP_API_SIGNING_SIGNING_PEM": "-----\n"}
    assert found["north", "shop-api", "signing"].make(values) == {
        "key": "k",
        "signing.pem": "-----\n",
    }


def test_a_registry_never_gets_the_password_of_another(three: Fleet) -> None:
    """North pulls shop-api from a mirror, and all else comes from the registry named first."""
    supplied = {
        (each.ref.cluster, each.ref.namespace): each
        for each in credentials.supplied(three)
        if each.kind == "kubernetes.io/dockerconfigjson"
    }
    mirror = supplied.pop(("north", "shop-api"))
    assert set(mirror.variables) == {
        "REGISTRY_USERNAME_MIRROR_EXAMPLE_ORG",
        "REGISTRY_PASSWORD_MIRROR_EXAMPLE_ORG",
    }
    assert {frozenset(each.variables) for each in supplied.values()} == {
        frozenset(("REGISTRY_USERNAME", "REGISTRY_PASSWORD"))
    }
    known = {
        "REGISTRY_USERNAME": "first",
        "REGISTRY_PASSWORD": "first",
        "REGISTRY_USERNAME_MIRROR_EXAMPLE_ORG": "second",
        "REGISTRY_PASSWORD_MIRROR_EXAMPLE_ORG": "second",
    }
    (entry,) = json.loads(mirror.make(known)[".dockerconfigjson"])["auths"].items()
    assert (entry[0], entry[1]["password"]) == ("mirror.example.org", "second")


def test_an_app_is_promoted_by_itself(three: Fleet, tmp_path: Path) -> None:
    shutil.copytree(APPS, tmp_path / "apps")
    registry = tmp_path / "clusters.yaml"
    registry.write_text((FLEETS / "three-apps.yaml").read_text())
    step = promote.promote(registry, None, "shop-api")
    assert step == promote.Promotion(
        "south", "shop-api", "registry.example.org/shop:1.3.0", "mirror.example.org/shop:1.4.0"
    )
    assert load(registry).regions[1].apps["shop-api"].image == "mirror.example.org/shop:1.4.0"
    with pytest.raises(InputError, match=r"^--app: is missing; the regions run foobar-api"):
        promote.promote(registry, None)
    with pytest.raises(InputError, match=r"no region runs shop \(did you mean shop-api"):
        promote.promote(registry, None, "shop")
