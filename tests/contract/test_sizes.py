"""What pods request and may use fits the nodes that we name, and their disks."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from charts import argocd
from charts.workload import LOGS_MIB
from docgen.fleets import complete, synthesize
from docgen.sizes import NODES, Nodes, Sizes
from fleet.catalogue import Role
from fleet.registry import Fleet
from rendering.validation import build
from rendering.validation.objects import OPERATED, Object, containers
from rendering.validation.quotas import DISK, quantity
from tests import kustomize
from tests.objects import OVERLAYS


@pytest.fixture(scope="module", params=["hub", "region"])
def role(request: pytest.FixtureRequest) -> Role:
    found: Role = request.param
    return found


@pytest.fixture(scope="module")
def sizes(role: Role, fleet: Fleet) -> Sizes:
    """Of a cluster with every component, and of a region with its apps at their largest."""
    whole = complete(fleet)
    return Sizes.of(synthesize(whole, whole.hub if role == "hub" else whole.regions[0]))


def test_pods_fit_when_one_node_is_gone(role: Role, sizes: Sizes) -> None:
    assert list(sizes.fits(NODES[role])) == []


def test_the_nodes_of_the_hub_have_room_even_for_all_limits(role: Role, sizes: Sizes) -> None:
    nodes = NODES[role]
    assert role == "region" or sizes.limits <= nodes.number * nodes.allocatable["memory"]


def test_smaller_nodes_would_not_do(role: Role, sizes: Sizes) -> None:
    """The check sees each of: too little in all, and a pod that no single node can hold."""
    small = Nodes(NODES[role].number, "small", cores=1, memory=2)
    found = " ".join(sizes.fits(small))
    assert "of cpu" in found
    assert "of memory" in found
    assert "a pod has a limit of" in " ".join(sizes.fits(Nodes(9, "many", cores=4, memory=1)))


def test_a_node_keeps_a_part_for_itself() -> None:
    """By GKE's table: 25 % of 4 GiB, 20 % of the next 4, 10 % of the next 8, and 100 MiB."""
    assert Nodes(1, "", cores=1, memory=4).allocatable == {"cpu": 940, "memory": 3072 - 100}
    assert Nodes(1, "", cores=4, memory=16).allocatable["memory"] == 13_722 - 100


PlatformPod = tuple[str, Mapping[str, Any]]


def pods(built: Sequence[Object]) -> Iterator[PlatformPod]:
    """The spec of the pods of each workload of ours, those that other programs make too."""
    for each in built:
        if each.template:
            yield str(each), each.template["spec"]
        elif each.kind == "ClusterIssuer":
            for solver in each.body["spec"].get("acme", {}).get("solvers", ()):
                own = solver["http01"]["ingress"]["podTemplate"]["spec"]
                yield str(each), {"containers": [{"name": "solver", **own}]}
        elif each.kind in OPERATED:
            spec = each.body["spec"]
            own = {"name": each.name, "resources": spec["resources"]}
            yield str(each), {**spec, "containers": [own, *spec["containers"]]}


def mebibytes(value: object) -> Decimal:
    found = quantity(value)
    assert found is not None
    return found / 1024 / 1024


def test_each_container_has_its_share_of_the_disk(built: Sequence[Object]) -> None:
    """It has room for log lines and for its pod's volumes, and requests little beforehand."""
    seen = 0
    for where, pod in pods(built):
        volumes = Decimal(0)
        for volume in pod.get("volumes", ()):
            if "emptyDir" in volume:
                assert "sizeLimit" in volume["emptyDir"], f"{where}: {volume['name']}"
                volumes += mebibytes(volume["emptyDir"]["sizeLimit"])
        for container in containers(pod):
            resources = container["resources"]
            assert DISK in resources.get("limits", {}), f"{where}: {container['name']}"
            assert mebibytes(resources["requests"][DISK]) <= LOGS_MIB, where
            seen += 1
        limits = sum(mebibytes(each["resources"]["limits"][DISK]) for each in pod["containers"])
        assert limits >= volumes + LOGS_MIB * len(pod["containers"]), where
    assert seen >= 30


def test_the_repo_server_has_memory_for_all_its_builds(built: Sequence[Object]) -> None:
    (limit,) = (
        mebibytes(container["resources"]["limits"]["memory"])
        for each in built
        if each.label == "Deployment/argocd-repo-server" and each.template
        for container in each.template["spec"]["containers"]
    )
    (parameters,) = (
        each.body["data"] for each in built if each.label == "ConfigMap/argocd-cmd-params-cm"
    )
    builds = int(parameters["reposerver.parallelism.limit"])
    assert limit == argocd.REPO_SERVER_MIB + builds * argocd.BUILD_MIB


MEASURED = """
import os, subprocess, sys
report, *command = sys.argv[1:]
_, status, usage = os.wait4(subprocess.Popen(command).pid, 0)
with open(report, "a") as file:
    print(usage.ru_maxrss, file=file)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a command, and adds the memory that it needed to a file."""


@pytest.mark.skipif(sys.platform != "linux", reason="others count memory in other units")
def test_no_build_needs_more_memory_than_is_planned(
    rendered: Path, mirror: Path, fleet: Fleet, tmp_path: Path
) -> None:
    """The largest folders are those whose bundles bring many CustomResourceDefinitions."""
    report = tmp_path / "kibibytes"
    folders = [(fleet.hub.name, "argocd"), (fleet.hub.name, "prometheus-operator")]
    result = build.built(
        [sys.executable, "-c", MEASURED, str(report), *kustomize.program()],
        folders,
        dist=rendered,
        overlays=OVERLAYS,
        mirror=mirror,
    )
    assert result.objects.keys() == {*folders}
    most = max(map(int, report.read_text().split())) / 1024
    assert argocd.BUILD_MIB / 2 < most < argocd.BUILD_MIB
