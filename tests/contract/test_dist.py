"""What every rendered fleet has in common: its files, names, pins, and what never appears in it."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cdk8s
import pytest
import yaml

from charts.catalogue import compose
from charts.component import Component
from charts.monitoring.dashboards import DASHBOARDS
from fleet.registry import Fleet
from rendering.diff import compare
from rendering.render import Rendered, render
from rendering.validation import sources
from rendering.validation.objects import Object
from tests.objects import OVERLAYS, ROOT, SAMPLE, holds_a_secret, load, read, read_patches


def test_two_renders_are_equal(any_fleet: Fleet, any_dist: Path, tmp_path: Path) -> None:
    """Nothing in dist depends on time, order of sets, or where it is rendered."""
    for cluster in any_fleet.clusters:
        render(any_fleet, cluster, folder=tmp_path / "dist" / cluster.name, overlays=OVERLAYS)
    assert compare(any_dist, tmp_path / "dist") == []


def test_what_clusters_share_is_the_same_rendered_alone(any_fleet: Fleet, tmp_path: Path) -> None:
    """A folder copied from another cluster has the bytes that rendering it gives."""
    known: Rendered = {}
    for way, rendered in (("shared", known), ("alone", None)):
        for cluster in any_fleet.clusters:
            folder = tmp_path / way / cluster.name
            render(any_fleet, cluster, folder=folder, overlays=OVERLAYS, known=rendered)
    assert len(known) < sum(len(cluster.components) for cluster in any_fleet.clusters)
    assert compare(tmp_path / "alone", tmp_path / "shared") == []


def test_every_object_is_valid(any_dist: Path) -> None:
    assert sources.check(any_dist, OVERLAYS).lines == []


def test_every_cluster_has_its_components(any_fleet: Fleet, any_dist: Path) -> None:
    folders = {
        cluster.name: sorted(folder.name for folder in (any_dist / cluster.name).iterdir())
        for cluster in any_fleet.clusters
    }
    assert folders == {cluster.name: sorted(cluster.components) for cluster in any_fleet.clusters}


def test_a_new_region_changes_only_what_must_know_it(rendered: Path, tmp_path: Path) -> None:
    """A fourth region adds its folder, what deploys, hears and watches it, and a prober."""
    registry = tmp_path / "clusters.yaml"
    registry.write_text(
        SAMPLE.read_text() + "\n  - name: ap-south\n    role: region\n    address: 203.0.113.7\n"
        "    apps:\n      foobar-api:\n        hostname: mumbai-cluster\n"
        "        image: sjc.vultrcr.com/globalregistry/foobar-api:1.0.0\n"
    )
    fleet = load(registry)
    for cluster in fleet.clusters:
        render(fleet, cluster, folder=tmp_path / "dist" / cluster.name, overlays=OVERLAYS)
    changes = compare(rendered, tmp_path / "dist")
    assert {change.cluster for change in changes} == {"tooling", "us-east", "ap-south"}
    # Each region is probed by the one behind it, and the last one by the first.
    assert [
        (change.sign, change.component, change.file)
        for change in changes
        if change.cluster == "us-east"
    ] == [
        ("+", "blackbox-exporter", "Probe.ap-south-foobar-api.yaml"),
        ("-", "blackbox-exporter", "Probe.eu-west-foobar-api.yaml"),
        ("~", "blackbox-exporter", "kustomization.yaml"),
    ]
    assert [
        (change.sign, change.component, change.file)
        for change in changes
        if change.cluster == "tooling"
    ] == [
        ("+", "applications", "AppProject.ap-south.yaml"),
        ("~", "applications", "AppProject.foobar-api.yaml"),
        ("+", "applications", "ApplicationSet.ap-south.yaml"),
        ("~", "applications", "ApplicationSet.foobar-api.yaml"),
        ("~", "applications", "kustomization.yaml"),
        ("+", "blackbox-exporter", "Probe.ap-south-foobar-api.yaml"),
        ("~", "blackbox-exporter", "kustomization.yaml"),
        ("+", "ingest", "IngressRoute.logs-ap-south.yaml"),
        ("~", "ingest", "IngressRoute.logs.yaml"),
        ("+", "ingest", "IngressRoute.metrics-ap-south.yaml"),
        ("+", "ingest", "Middleware.ingest-ap-south.yaml"),
        ("+", "ingest", "Middleware.sender-ap-south.yaml"),
        ("~", "ingest", "kustomization.yaml"),
        ("~", "prometheus", "IngressRoute.prometheus.yaml"),
        ("+", "rules", "PrometheusRule.arrival-ap-south.yaml"),
        ("+", "rules", "PrometheusRule.probes-ap-south.yaml"),
        ("~", "rules", "PrometheusRule.probes-eu-west.yaml"),
        ("+", "rules", "PrometheusRule.traefik-ap-south.yaml"),
        ("~", "rules", "kustomization.yaml"),
    ]
    assert {change.sign for change in changes if change.cluster == "ap-south"} == {"+"}


def test_every_object_stands_where_its_name_says(any_objects: Sequence[Object]) -> None:
    """A reader finds it by kind and name."""
    assert any_objects
    for each in any_objects:
        # cdk8s leaves colons out of file names.
        assert each.file.name == f"{each.kind}.{each.name.replace(':', '')}.yaml", each


def test_every_object_has_a_file_of_its_own(
    any_fleet: Fleet, any_objects: Sequence[Object]
) -> None:
    """cdk8s names files by kind and name alone: of two in two namespaces it would keep one."""
    made = Counter(
        (cluster.name, component.NAME)
        for cluster in any_fleet.clusters
        for component in compose(any_fleet, cluster)
        for _ in _objects(component)
    )
    assert made == Counter((each.cluster, each.component) for each in any_objects)


def _objects(component: Component[Any]) -> Sequence[Any]:
    chart = cdk8s.Chart(cdk8s.Testing.app(), component.NAME)
    component.add_to(chart)
    return cdk8s.Testing.synth(chart)


def test_every_object_is_there_once(any_objects: Sequence[Object], any_dist: Path) -> None:
    """No two components of a cluster bring the same object."""
    patched = [each for each in read_patches(any_dist) if each.kind == "Namespace"]
    ids = Counter(
        (each.cluster, each.group, each.kind, each.namespace, each.name)
        for each in (*any_objects, *patched)
    )
    assert [identity for identity, times in ids.items() if times > 1] == []


def test_namespaced_objects_name_their_namespace(any_objects: Sequence[Object]) -> None:
    """An Application's own destination namespace is never what decides."""
    cluster_scoped = {
        "APIService", "ClusterIssuer", "ClusterRole", "ClusterRoleBinding", "IngressClass",
        "Namespace", "PriorityClass",
    }  # fmt: skip
    for each in any_objects:
        assert (each.namespace is None) == (each.kind in cluster_scoped), each


def test_kustomizations_list_exactly_their_files(any_dist: Path) -> None:
    files = list(any_dist.rglob("kustomization.yaml"))
    assert files
    for file in files:
        kustomization = read(file)
        listed = {
            *(name for name in kustomization["resources"] if not name.startswith("https://")),
            *(patch["path"] for patch in kustomization.get("patches", ())),
            "kustomization.yaml",
        }
        assert listed == {each.name for each in file.parent.iterdir()}, file


def test_an_overlay_is_named_where_its_folder_exists(rendered: Path) -> None:
    """The sample fleet has one overlay, and no other folder names one."""
    named = {
        file.parent.relative_to(rendered).as_posix(): read(file)["components"]
        for file in rendered.glob("*/*/kustomization.yaml")
        if "components" in read(file)
    }
    assert named == {"eu-west/foobar-api": ["../../../overlays/eu-west/foobar-api"]}


def test_every_url_is_pinned(rendered: Path) -> None:
    """By a released version or a commit in its path, never by a branch."""
    urls = [
        url
        for file in rendered.rglob("kustomization.yaml")
        for url in read(file)["resources"]
        if url.startswith("https://")
    ]
    assert len(urls) >= 7
    for url in urls:
        assert re.search(r"/(v\d+\.\d+\.\d+|[0-9a-f]{40})/", url), url


def test_bundles_and_bindings_are_of_one_version(rendered: Path) -> None:
    """What a component deploys and what its objects are checked against is the same release."""
    imports = "\n".join(read(ROOT / "cdk8s.yaml")["imports"])
    for file in rendered.rglob("kustomization.yaml"):
        for url in read(file)["resources"]:
            if found := re.match(r"https://[^/]+/([^/]+/[^/]+)/.*?(v\d+\.\d+\.\d+)/", url):
                repository, version = found.groups()
                assert re.search(rf"/{repository}/.*{re.escape(version)}/", imports), url


def test_no_text_in_dist_is_a_document(objects: Sequence[Object]) -> None:
    """Configuration of other programs stays out of strings, where no schema reaches it.

    But for programs that read nothing else; each has a test of its own for what it is given.
    """

    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [text for inner in value.values() for text in texts(inner)]
        if isinstance(value, list):
            return [text for inner in value for text in texts(inner)]
        return [value] if isinstance(value, str) else []

    documents = {"loki", "log-gateway", "logs", "events", "grafana", "blackbox-exporter"}
    documents |= {f"dashboard-{dashboard['uid']}" for dashboard in DASHBOARDS}
    for each in objects:
        if each.kind == "ConfigMap":
            assert each.name in documents, each
            continue
        for text in texts(each.body):
            if "\n" in text:
                assert isinstance(yaml.safe_load(text), str), f"{each}: {text[:80]}"


def test_no_rendered_file_holds_a_password(any_dist: Path) -> None:
    assert [file for file in any_dist.rglob("*") if holds_a_secret(file)] == []


@pytest.mark.parametrize(
    "text", ["password: hunter2", "PASSWORD = x", "-----BEGIN EC PRIVATE KEY-----", "eyJhbGciOi"]
)
def test_a_password_is_found_in_a_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(f"a: b\n{text}\n")
    assert holds_a_secret(tmp_path / "file")


def test_kustomize_builds_every_folder(rendered: Path, built: Sequence[Object]) -> None:
    """With the URLs replaced by upstream's own files, and nothing of a bundle lost."""
    folders = {file.parent.relative_to(rendered).parts for file in rendered.glob("*/*/*.yaml")}
    assert {(each.cluster, each.component) for each in built} == folders
    assert sum(each.kind == "CustomResourceDefinition" for each in built) >= 3 * (10 + 6) + 3


def test_an_overlay_reaches_the_cluster(built: Sequence[Object]) -> None:
    """eu-west starts from three pods, us-east from the two that Python says."""
    assert {
        each.cluster: each.body["spec"]["minReplicas"]
        for each in built
        if each.kind == "HorizontalPodAutoscaler"
    } == {"us-east": 2, "eu-west": 3}
