"""A component is one class and one line in the catalogue; whatever is forgotten is an error."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pytest

from charts import catalogue
from charts.app import App
from charts.app.package import PackagedApp
from charts.argocd import Argocd
from charts.catalogue import CATALOGUE, COMPONENTS, HUB, REGION, complete, compose, offers
from charts.component import Component
from charts.metrics_server import MetricsServer
from charts.tenant import Tenant
from charts.traefik import Traefik
from fleet import registry
from fleet.catalogue import Catalogue, optional, required
from fleet.errors import InputError
from fleet.offers import Offers
from fleet.registry import Cluster, Fleet, Hub
from imports.k8s import ConfigMap
from rendering.render import render
from tests.objects import APPS, ROOT, SAMPLE

if TYPE_CHECKING:
    from constructs import Construct

MADE_FROM_DESCRIPTIONS = (App, PackagedApp, Tenant)
"""What is made of each app's file."""


@dataclass(frozen=True, kw_only=True)
class Greeting(Component[Cluster]):
    """Adds a ConfigMap that greets the cluster."""

    NAME = "greeting"
    NAMESPACE = "kube-public"
    NEEDS = (Traefik,)

    cluster: str

    @classmethod
    def of(cls, fleet: Fleet, cluster: Cluster) -> Self:
        return cls(cluster=cluster.name)

    def add_to(self, chart: "Construct") -> None:
        ConfigMap(
            chart,
            "greeting",
            metadata={"name": "greeting", "namespace": self.NAMESPACE},
            data={"text": f"Hello, {self.cluster}."},
        )


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rendered(folder: Path, components: Catalogue) -> dict[str, bytes]:
    fleet = registry.load(SAMPLE, Offers(components, offers(APPS).apps))
    for cluster in fleet.clusters:
        render(fleet, cluster, folder=folder / cluster.name, overlays=folder / "overlays")
    return files(folder)


def test_one_line_adds_a_component(tmp_path: Path) -> None:
    """And changes no file but those that say what a cluster has."""
    before = rendered(tmp_path / "before", CATALOGUE)
    after = rendered(tmp_path / "after", {"hub": HUB, "region": (*REGION, Greeting)})
    fleet = registry.load(SAMPLE, offers(APPS))
    assert after.keys() - before.keys() == {
        f"{region.name}/greeting/{file}"
        for region in fleet.regions
        for file in ("ConfigMap.greeting.yaml", "kustomization.yaml")
    }
    assert before.keys() <= after.keys()
    # The region's set lists the folder, and its project lets Argo CD write to the namespace.
    assert {name for name in before if before[name] != after[name]} == {
        f"{fleet.hub.name}/applications/{kind}.{region.name}.yaml"
        for region in fleet.regions
        for kind in ("ApplicationSet", "AppProject")
    }


def test_one_line_removes_a_component(tmp_path: Path) -> None:
    region = tuple(each for each in REGION if each is not MetricsServer)
    after = rendered(tmp_path, {"hub": HUB, "region": region})
    assert not [name for name in after if name.startswith("us-east/metrics-server/")]
    assert [name for name in after if name.startswith("tooling/metrics-server/")]


def test_the_registry_knows_what_the_catalogue_has(tmp_path: Path) -> None:
    path = tmp_path / "clusters.yaml"
    text = SAMPLE.read_text()
    region = "    role: region\n"
    path.write_text(text.replace(region, f"{region}    without: [greeting]\n"))
    with_it = Offers({"hub": HUB, "region": (*REGION, Greeting)}, offers(APPS).apps)
    assert all("greeting" not in each.components for each in registry.load(path, with_it).regions)
    with pytest.raises(InputError, match="greeting is none of what a region can do without"):
        registry.load(path, offers(APPS))
    path.write_text(text.replace(region, f"{region}    without: [traefik]\n"))
    with pytest.raises(InputError, match="traefik, which cert-manager and greeting need"):
        registry.load(path, with_it)


@dataclass(frozen=True, kw_only=True)
class Asked(Greeting):
    """A component that a cluster has on request only."""

    NAME = "asked"
    ON_REQUEST = True


class TestOnRequest:
    OFFERED: ClassVar[Catalogue] = {"hub": HUB, "region": (*REGION, Asked)}

    def load(self, folder: Path, region: str) -> Fleet:
        path = folder / "clusters.yaml"
        first = "  - name: us-east\n    role: region\n"
        text = SAMPLE.read_text()
        assert first in text
        path.write_text(text.replace(first, f"{first}    {region}\n"))
        return registry.load(path, Offers(self.OFFERED, offers(APPS).apps))

    def test_one_region_has_it(self, tmp_path: Path) -> None:
        fleet = self.load(tmp_path, "with: [asked]")
        assert [each.name for each in fleet.clusters if "asked" in each.components] == ["us-east"]
        for cluster in fleet.clusters:
            render(fleet, cluster, folder=tmp_path / cluster.name, overlays=tmp_path / "overlays")
        folders = {file.split("/")[0] for file in files(tmp_path) if "/asked/" in file}
        assert folders == {"us-east"}
        # Only where it is may Argo CD write to its namespace.
        for name, expected in (("us-east", True), ("eu-west", False)):
            project = tmp_path / "tooling" / "applications" / f"AppProject.{name}.yaml"
            assert ("kube-public" in project.read_text()) is expected

    @pytest.mark.parametrize(
        ("region", "problem"),
        [
            (
                "with: [askde]",
                (
                    "with[0]: askde is none of what a region can have on request, which is asked "
                    "(did you mean asked?)"
                ),
            ),
            ("with: [traefik]", "with[0]: traefik is there by default; remove it from the list"),
            (
                "with: [foobar-api]",
                "with[0]: foobar-api is an app; a region runs those under `apps`, so remove it",
            ),
            ("with: [asked, asked]", "with: asked is listed twice; keep one of the two"),
            (
                "without: [asked]",
                "without[0]: asked is none of what a region can do without, which is traefik, ",
            ),
            (
                "{with: [asked], without: [traefik, cert-manager]}",
                (
                    "with: asked needs traefik, which the cluster does not have; add that, or "
                    "remove asked"
                ),
            ),
        ],
    )
    def test_what_is_wrong_is_reported(self, tmp_path: Path, region: str, problem: str) -> None:
        lines = region.strip("{}").replace("], without", "]\n    without")
        with pytest.raises(InputError) as caught:
            self.load(tmp_path, lines)
        assert any(f"clusters[1].{problem}" in line for line in caught.value.problems), (
            caught.value.problems
        )

    def test_the_hub_has_none_of_it(self, tmp_path: Path) -> None:
        path = tmp_path / "clusters.yaml"
        path.write_text(SAMPLE.read_text().replace("role: hub\n", "role: hub\n    with: [asked]\n"))
        with pytest.raises(InputError, match=r"asked is none of what a hub can have on request"):
            registry.load(path, Offers(self.OFFERED, offers(APPS).apps))


def test_what_a_required_component_needs_is_required() -> None:
    class Vital(Greeting):
        NAME = "vital"
        REQUIRED = True
        NEEDS = (MetricsServer,)  # type: ignore[assignment] # another tuple than Greeting's

    offered: Catalogue = {"hub": HUB, "region": (*REGION, Vital)}
    assert "metrics-server" in optional(CATALOGUE, "region")
    new = required(offered, "region") - required(CATALOGUE, "region")
    assert new == {"vital", "metrics-server"}


def test_what_can_be_replaced_can_be_left_out_even_where_it_is_needed() -> None:
    needed = {each.NAME for each in Argocd.NEEDS}
    assert needed == {"traefik", "cert-manager"}
    assert needed <= {*optional(CATALOGUE, "hub")}


class TestForgotten:
    """Each thing that can be forgotten; what mypy sees is in tests/typing."""

    @pytest.mark.parametrize("constant", ["NAME", "NAMESPACE"])
    def test_a_name(self, constant: str) -> None:
        constants = {"NAME": "a", "NAMESPACE": "a"}
        del constants[constant]
        with pytest.raises(TypeError, match=rf"^tests\.unit\..*\.Made has no {constant}$"):
            type("Made", (Component,), {**constants, "__module__": "tests.unit.made"})

    @pytest.mark.parametrize("method", ["of", "add_to"])
    def test_a_method(self, method: str) -> None:
        methods: dict[str, Any] = {"of": classmethod(lambda *_: None), "add_to": lambda *_: None}
        del methods[method]
        made = type("Made", (Component,), {"NAME": "a", "NAMESPACE": "a", **methods})
        with pytest.raises(TypeError, match=rf"\.Made has no {method};"):
            complete(made)

    def test_a_line_in_the_catalogue(self) -> None:
        """Every component that a module of charts defines is in it."""
        assert set(COMPONENTS) == {
            each
            for each in subclasses(Component)
            # Apps come from files.
            if each.__module__.startswith("charts.")
            and not issubclass(each, MADE_FROM_DESCRIPTIONS)
        }

    def test_the_catalogue(self) -> None:
        with pytest.raises(TypeError, match="offers of components and apps as context"):
            Hub.model_validate({"name": "a", "role": "hub", "address": "192.0.2.1"})

    def test_freezing_is_not(self) -> None:
        fleet = catalogue.load(SAMPLE)
        for cluster in fleet.clusters:
            for component in compose(fleet, cluster):
                assert hash(component) == hash(component.of(fleet, cluster))
                for each in fields(component):
                    with pytest.raises(FrozenInstanceError):
                        setattr(component, each.name, None)


def subclasses(of: type[Any]) -> set[type[Any]]:
    return {of for each in of.__subclasses__() for of in (each, *subclasses(each))}


def test_importing_every_component_starts_no_node() -> None:
    program = "import sys, charts.catalogue; print({'jsii', 'cdk8s'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_a_name_that_is_no_dns_label_is_reported_with_its_owner() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Shouting(Greeting):
        NAME = "Greeting_X"

    with pytest.raises(TypeError, match=r"\.Shouting: NAME Greeting_X is no DNS label; use lower"):
        complete(Shouting)


def test_two_components_of_one_name_are_reported_with_both_owners() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Echo(Greeting):
        pass

    owners = rf"^{__name__}\.Greeting and {__name__}\.Echo both have the NAME greeting$"
    with pytest.raises(TypeError, match=owners):
        complete(Greeting, Echo)


def test_facts_without_a_dataclass_are_reported() -> None:
    class Polite(Greeting):
        tone: str

    lacks = rf"^{__name__}\.Polite lacks @dataclass\(frozen=True, kw_only=True\)$"
    with pytest.raises(TypeError, match=lacks):
        complete(Polite)


def test_all_faults_of_the_catalogue_are_reported_together() -> None:
    class Polite(Greeting):
        NAME = "Po_lite"

    with pytest.raises(TypeError, match=r"Polite: NAME .*; .*\.Polite lacks @dataclass"):
        complete(Polite)
