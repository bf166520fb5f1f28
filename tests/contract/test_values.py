"""Every value that the registry accepts is carried out by what is rendered from it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from charts.catalogue import CATALOGUE, COMPONENTS
from charts.cert_manager import issuer_name
from fleet.catalogue import Role, optional
from fleet.errors import InputError
from fleet.git import Git
from fleet.providers import PROVIDERS
from fleet.volumes import LIMITS, at_least, mebibytes
from rendering.render import Rendered, render
from rendering.validation.objects import Object
from tests.objects import FLEETS, load, read_objects, read_patches

HUB = {"name": "hub", "role": "hub", "address": "192.0.2.1"}
REGION = {
    "name": "north",
    "role": "region",
    "address": "192.0.2.2",
    "apps": {"foobar-api": {"hostname": "north", "image": "registry.example.org/app:1.0.0"}},
}

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+XFuVk/HShKixRFxJCzX2woUbuvHq/lMHymvR5LCDt"

Objects = Sequence[Object]
Make = Callable[..., Objects]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Renders a fleet, given the keys in which it differs from the plainest."""
    known: Rendered = {}

    def made(
        *regions: Mapping[str, object],
        hub: Mapping[str, object] | None = None,
        git: str = "https://git.example.org/fleet.git",
        host_keys: Sequence[str] = (),
        folder: str = "dist",
        only: str | None = None,
    ) -> Objects:
        registry = tmp_path / "clusters.yaml"
        data = {
            "git": {
                "repository": git,
                "revision": "main",
                "folder": folder,
                "hostKeys": list(host_keys),
            },
            "acme": {"email": "ops@foobar-platform.dev"},
            "clusters": [{**HUB, **(hub or {})}, *({**REGION, **each} for each in regions)],
        }
        registry.write_text(yaml.safe_dump(data))
        fleet = load(registry)
        dist = tmp_path / f"dist-{len(list(tmp_path.iterdir()))}"
        for cluster in [fleet.cluster(only)] if only else fleet.clusters:
            target = dist / cluster.name
            render(fleet, cluster, folder=target, overlays=tmp_path / "overlays", known=known)
        return list(read_objects(dist))

    return made


def one(objects: Objects, kind: str, name: str) -> Mapping[str, Any]:
    (found,) = (each.body for each in objects if (each.kind, each.name) == (kind, name))
    return found


def ports(policy: Mapping[str, Any], cidr: str = "0.0.0.0/0") -> set[int]:
    """The ports that a policy opens to the whole world."""
    return {
        port["port"]
        for rule in policy["spec"]["egress"]
        if any(peer.get("ipBlock", {}).get("cidr") == cidr for peer in rule["to"])
        for port in rule["ports"]
    }


def git_of(repository: str, host_keys: Sequence[str] = ()) -> Git:
    return Git.model_validate(
        {"repository": repository, "revision": "main", "hostKeys": list(host_keys)}
    )


class TestGit:
    @pytest.mark.parametrize(
        ("repository", "port"),
        [
            ("https://git.example.org/fleet.git", 443),
            ("https://git.example.org:8443/fleet.git", 8443),
            ("ssh://git@git.example.org/fleet.git", 22),
            ("ssh://git@git.example.org:2222/fleet.git", 2222),
            ("git@git.example.org:fleet.git", 22),
        ],
    )
    def test_argo_cd_may_reach_the_port_of_the_repository_and_no_other(
        self, repository: str, port: int, make: Make
    ) -> None:
        policy = next(
            each.body
            for each in make(git=repository, host_keys=[HOST_KEY] if port in (22, 2222) else [])
            if (each.component, each.kind, each.name) == ("argocd", "NetworkPolicy", "egress")
        )
        # 443 and 6443 lead to API servers and bundles.
        assert ports(policy) == {443, 6443, port}

    @pytest.mark.parametrize(
        ("repository", "page"),
        [
            ("https://github.com/acme/fleet.git", "https://github.com/acme/fleet"),
            ("https://git.acme.io:8443/fleet/", "https://git.acme.io:8443/fleet"),
            ("ssh://git@git.acme.io:2222/a/fleet.git", "https://git.acme.io/a/fleet"),
            ("git@git.acme.io:a/fleet.git", "https://git.acme.io/a/fleet"),
        ],
    )
    def test_runbooks_are_found_beside_the_code(self, repository: str, page: str) -> None:
        keys = () if repository.startswith("https") else (HOST_KEY,)
        assert git_of(repository, keys).web == page

    @pytest.mark.parametrize(
        ("repository", "host"),
        [
            ("ssh://git@git.acme.io:2222/fleet.git", "[git.acme.io]:2222"),
            ("ssh://git@git.acme.io:22/fleet.git", "git.acme.io"),
            ("git@git.acme.io:fleet.git", "git.acme.io"),
        ],
    )
    def test_argo_cd_knows_the_server_by_its_host_keys(
        self, repository: str, host: str, tmp_path: Path
    ) -> None:
        """In a file known_hosts, whose format sshd(8) describes."""
        git = git_of(repository, [HOST_KEY])
        fleet = load(FLEETS / "one-region.yaml").model_copy(update={"git": git})
        render(fleet, fleet.hub, folder=tmp_path / "dist" / "hub", overlays=tmp_path / "overlays")
        (patch,) = (
            each.body
            for each in read_patches(tmp_path / "dist")
            if each.name == "argocd-ssh-known-hosts-cm"
        )
        assert patch["data"] == {"ssh_known_hosts": f"{host} {HOST_KEY}\n"}

    @pytest.mark.parametrize(
        "repository", ["https://git.acme.io/fleet.git", "git@github.com:acme/fleet.git"]
    )
    def test_the_host_keys_that_argo_cd_brings_along_stay(
        self, repository: str, tmp_path: Path
    ) -> None:
        git = git_of(repository)
        fleet = load(FLEETS / "one-region.yaml").model_copy(update={"git": git})
        render(fleet, fleet.hub, folder=tmp_path / "dist" / "hub", overlays=tmp_path / "overlays")
        names = {each.name for each in read_patches(tmp_path / "dist")}
        assert names
        assert "argocd-ssh-known-hosts-cm" not in names

    def test_argocd_reads_the_folder_that_is_rendered(self, make: Make) -> None:
        objects = make({}, folder="dist-staging", only="hub")
        sets = [each.body["spec"] for each in objects if each.kind == "ApplicationSet"]
        assert {each["template"]["spec"]["source"]["path"] for each in sets} == {
            "dist-staging/hub/{{.component}}",
            "dist-staging/north/{{.component}}",
            "dist-staging/{{.cluster}}/foobar-api",
        }


class TestBucket:
    @pytest.mark.parametrize(
        ("bucket", "named", "region", "port"),
        [
            ("https://sjc1.vultrobjects.com/logs", None, "sjc1", 443),
            ("https://fra1.digitaloceanspaces.com/logs", None, "fra1", 443),
            ("https://s3.eu-central-1.amazonaws.com/acme-logs", None, "eu-central-1", 443),
            ("https://s3-eu-west-1.amazonaws.com/acme-logs", None, "eu-west-1", 443),
            ("https://s3.dualstack.us-west-2.amazonaws.com/acme-logs", None, "us-west-2", 443),
            ("https://s3-fips.us-gov-west-1.amazonaws.com/acme-logs", None, "us-gov-west-1", 443),
            ("https://s3.cn-north-1.amazonaws.com.cn/acme-logs", None, "cn-north-1", 443),
            ("https://s3.amazonaws.com/acme-logs", None, "us-east-1", 443),
            ("https://storage.googleapis.com/acme-logs", None, "auto", 443),
            (f"https://{'0' * 32}.r2.cloudflarestorage.com/acme-logs", None, "auto", 443),
            (f"https://{'0' * 32}.eu.r2.cloudflarestorage.com/acme-logs", None, "auto", 443),
            ("https://s3.us-west-004.backblazeb2.com/acme-logs", None, "us-west-004", 443),
            ("https://minio.acme.io:9000/logs", "eu-1", "eu-1", 9000),
            ("https://s3.eu-central-1.amazonaws.com/acme-logs", "eu-west-1", "eu-west-1", 443),
        ],
    )
    def test_loki_signs_for_its_region_and_may_reach_its_port(
        self, bucket: str, named: str | None, region: str, port: int, make: Make
    ) -> None:
        hub = {"logsBucket": bucket} | ({"logsBucketRegion": named} if named else {})
        objects = [each for each in make(hub=hub) if each.component == "loki"]
        config = yaml.safe_load(one(objects, "ConfigMap", "loki")["data"]["loki.yaml"])
        store = config["common"]["storage"]["s3"]
        host, name = bucket.removeprefix("https://").split("/")
        assert (store["region"], store["endpoint"], store["bucketnames"]) == (region, host, name)
        assert ports(one(objects, "NetworkPolicy", "loki")) == {port}

    @pytest.mark.parametrize(
        "bucket",
        [
            "https://logs.s3.eu-central-1.amazonaws.com/logs",
            "https://logs.storage.googleapis.com/logs",
            "https://logs.r2.cloudflarestorage.com/logs",
            "https://eu-central-1.amazonaws.com/logs",
            "https://minio.acme.io:70000/logs",
            "http://minio.acme.io/logs",
            "https://s3.acme.io/logs",
            "https://minio.acme.io:9000/logs",
        ],
    )
    def test_a_bucket_that_loki_would_not_find_is_refused(self, bucket: str, make: Make) -> None:
        with pytest.raises(InputError):
            make(hub={"logsBucket": bucket})


def claims(objects: Objects) -> Iterator[tuple[Object, Mapping[str, Any]]]:
    """Every claim for a volume, by the object that has it."""
    for each in objects:
        spec = each.body.get("spec", {})
        templates = spec.get("volumeClaimTemplates", [])
        if isinstance(storage := spec.get("storage"), dict):
            templates = [*templates, storage["volumeClaimTemplate"]]
        for template in templates:
            yield each, template["spec"]


class TestProviders:
    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_traefik_expects_a_proxy_header_exactly_where_one_is_requested(
        self, provider: str, make: Make
    ) -> None:
        objects = make({"provider": provider, "domain": "example.org"}, only="north")
        annotations = one(objects, "Service", "traefik")["metadata"]["annotations"]
        requested = [key for key in annotations if "proxy" in key.partition("/")[2]]
        assert len(requested) == (0 if provider == "generic" else 1)
        assert annotations.get("".join(requested)) in (None, "true", "*")
        assert expects_proxy_header(objects) == bool(requested)

    @pytest.mark.parametrize("proxied", [True, False])
    def test_a_load_balancer_of_ones_own_is_requested_as_described(
        self, *, proxied: bool, make: Make
    ) -> None:
        said = {"annotations": {"example.org/tier": "2"}, "proxyProtocol": proxied}
        objects = make({"provider": "generic", "loadBalancer": said}, only="north")
        annotations = one(objects, "Service", "traefik")["metadata"]["annotations"]
        assert annotations["example.org/tier"] == "2"
        assert expects_proxy_header(objects) is proxied

    @pytest.mark.parametrize("provider", PROVIDERS)
    def test_clients_are_limited_where_their_addresses_are_known(
        self, provider: str, make: Make
    ) -> None:
        """Elsewhere all have that of a node, and one would lock out the others."""
        objects = make(hub={"provider": provider, "domain": "example.org"}, only="hub")
        for name in ("sign-in-limit", "request-limit"):
            limit = one(objects, "Middleware", name)["spec"]["rateLimit"]
            if provider == "generic":
                assert limit == {"average": 0}
            else:
                assert limit["average"] > 0
                # Whoever has an IPv6 address has a whole network of them.
                assert limit["sourceCriterion"] == {"ipStrategy": {"ipv6Subnet": 64}}


def expects_proxy_header(objects: Objects) -> bool:
    """Whether Traefik reads a PROXY header on both of its entry points."""
    pod = one(objects, "Deployment", "traefik")["spec"]["template"]["spec"]
    found = [each for each in pod["containers"][0]["args"] if ".proxyProtocol.trustedIPs=" in each]
    assert len(found) in (0, 2)
    return bool(found)


class TestVolumes:
    @pytest.mark.parametrize("storage_class", LIMITS)
    def test_no_claim_is_smaller_than_its_class_provides(
        self, storage_class: str, make: Make
    ) -> None:
        keys = {"storageClass": storage_class}
        found = list(claims(make(keys, hub=keys)))
        assert {each.kind for each, _ in found} == {
            *("Prometheus", "PrometheusAgent", "Alertmanager", "StatefulSet")
        }
        for each, claim in found:
            assert claim["storageClassName"] == storage_class
            size = claim["resources"]["requests"]["storage"]
            assert mebibytes(size) >= mebibytes(LIMITS[storage_class].smallest), str(each)

    def test_an_unknown_class_gets_what_is_asked(self) -> None:
        assert at_least("1Gi", "fast") == at_least("1Gi", None) == "1Gi"

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(number=st.integers(1, 99_999), unit=st.sampled_from(["Gi", "Ti"]))
    def test_sizes_compare_as_numbers(self, number: int, unit: str) -> None:
        assert mebibytes(f"{number}{unit}") == number * 1024 ** (1 if unit == "Gi" else 2)

    @pytest.mark.parametrize("size", ["1Gi", "2Gi", "9Gi", "50Gi", "1Ti", "97Ti"])
    def test_prometheus_limits_itself_to_less_than_its_volume(self, size: str, make: Make) -> None:
        spec = one(make(hub={"metricsStorage": size}), "Prometheus", "k8s")["spec"]
        limit = spec["retentionSize"]
        assert limit.endswith("MiB")
        # Zero would be no limit.
        assert 0.5 < int(limit.removesuffix("MiB")) / mebibytes(size) <= 0.8


def subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(names) + 1):
        yield from combinations(names, size)


GROUPS = {
    "traefik.io": "traefik",
    "cert-manager.io": "cert-manager",
    "monitoring.coreos.com": "prometheus-operator",
}
"""The component that defines the kinds of a group."""


class TestWithout:
    @pytest.mark.parametrize("role", CATALOGUE)
    def test_what_is_left_is_whole(self, role: Role, make: Make) -> None:
        """Every selection that is accepted; what a component would need is there."""
        accepted = 0
        for without in subsets(optional(CATALOGUE, role)):
            keys: dict[str, object] = {"without": list(without)}
            try:
                if role == "region":
                    objects = make(keys, only=str(REGION["name"]))
                else:
                    objects = make(hub=keys, only=str(HUB["name"]))
            except InputError:
                continue
            accepted += 1
            self.holds(objects, {each.component for each in objects})
        # A hub needs Traefik and cert-manager, and so does a region's app; cert-manager Traefik.
        assert accepted == {"hub": 2**5, "region": 2**6}[role]

    def test_a_region_that_sends_nothing_has_no_way_into_the_hub(self, make: Make) -> None:
        without = ["prometheus-agent", "opentelemetry-collector"]
        hub = [each for each in make({"without": without}) if each.component == "ingest"]
        assert [each for each in hub if "north" in each.name] == []

    def holds(self, objects: Objects, components: set[str]) -> None:
        accounts = {
            (each.namespace, each.name) for each in objects if each.kind == "ServiceAccount"
        }
        for each in objects:
            if each.group in GROUPS:
                assert GROUPS[each.group] in components, str(each)
            for key, value in leaves(each.body):
                if key == "ingressClassName":
                    assert "traefik" in components, str(each)
                if key == "serviceAccountName":
                    assert (each.namespace, value) in accounts, str(each)
            if each.kind == "Certificate":
                issuers = {known.name for known in objects if known.kind == "ClusterIssuer"}
                assert each.body["spec"]["issuerRef"]["name"] in issuers
                assert issuer_name("staging") in issuers


def leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every scalar with the key that it stands under."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, key)
    else:
        yield key, value


ODD_NAMES = (
    *("a" * 63, "rate", "size", "rate-limit", "metrics", "metrics-path", "logs", "user", "fleet"),
    *("credentials", "traefik", "argocd", "monitoring", "kube-system", "applications", "0"),
)


class TestNames:
    @pytest.fixture
    def objects(self, make: Make) -> Objects:
        return make(
            *(
                {
                    "name": name,
                    "address": f"192.0.2.{at}",
                    "apps": {
                        "foobar-api": {
                            "hostname": f"h{at}",
                            "image": "registry.example.org/app:1.0.0",
                        }
                    },
                    "region": "r" * 63,
                }
                for at, name in enumerate(ODD_NAMES, start=2)
            )
        )

    def test_regions_of_any_name_have_objects_of_their_own_on_the_hub(
        self, objects: Objects
    ) -> None:
        """As many for each: two of one name would be one file."""
        hub = Counter(each.component for each in objects if each.cluster == "hub")
        kinds = Counter(each.kind for each in objects if each.component == "ingest")
        regions = len(ODD_NAMES)
        # And one for the paths of regions whose own route is missing.
        assert kinds["IngressRoute"] == 2 * regions + 1
        assert kinds["Middleware"] == 2 * regions + 5
        # Of each cluster and of the app, and the default project.
        assert hub["applications"] == 2 * (regions + 1) + 2 + 1
        rules = [each.name for each in objects if each.component == "rules"]
        assert sorted(rules) == sorted(
            [
                *("app-foobar-api", "fleet"),
                *(f"arrival-{name}" for name in ODD_NAMES),
                *(
                    f"{about}-{name}"
                    for about in ("probes", "traefik")
                    for name in (*ODD_NAMES, HUB["name"])
                ),
            ]
        )

    def test_no_name_and_no_label_is_longer_than_kubernetes_allows(self, objects: Objects) -> None:
        for each in objects:
            assert len(each.name) <= 253
            if each.kind in ("Service", "Namespace"):
                assert len(each.name) <= 63
            assert max(map(len, labels(each.body)), default=0) <= 63, str(each)

    def test_applications_of_two_clusters_never_have_one_name(self) -> None:
        """Cluster a-b has no component c where cluster a has b-c."""
        names = {each.NAME for each in COMPONENTS}
        for name in names:
            for at, sign in enumerate(name):
                assert sign != "-" or name[at + 1 :] not in names


def labels(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("labels", "matchLabels") and isinstance(inner, dict):
                yield from map(str, inner.values())
            else:
                yield from labels(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from labels(inner)
