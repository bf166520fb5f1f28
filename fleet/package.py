"""An app that brings its own manifests: Kustomize, a Helm chart, or a repository of its own.

``apps/<name>/app.yaml`` says what the platform has to know of it, by the keys of a Score file. What
runs is in the manifests, which meet the platform by name: a workload and a Service called like the
app, whose pods have the label ``app.kubernetes.io/name`` with that name.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from fleet.diagnostics import Problem
from fleet.git import Git
from fleet.score.checks.amounts import of_levels
from fleet.score.description import Description
from fleet.score.facts import FileName, ScoreName, matching
from fleet.score.resources import SecretResource
from fleet.score.workload import Container
from fleet.values import Facts, FrozenDict

FILE: Final = "app.yaml"
KUSTOMIZATION: Final = "kustomization.yaml"

_URL: Final = r"https://[^/?#\s]+(/[^/?#\s]+)*/[^/?#\s]*[0-9][^/?#\s]*\.tgz"
_FOLDER: Final = "[A-Za-z0-9_-][A-Za-z0-9_.-]*"


_SOURCE_PATH: Final = (
    r"(\w|\{cluster\})([\w.-]|\{cluster\})*(/(\w|\{cluster\})([\w.-]|\{cluster\})*)*"
)


class Helm(Facts):
    """A Helm chart, rendered with values of one's own."""

    chart: Annotated[
        str,
        *matching(
            f"({_URL}|{_FOLDER})",
            "is neither a folder beside this file nor the URL of one version; write one such as "
            "chart or https://charts.example.org/shop-1.2.3.tgz",
        ),
    ] = Field(
        description="URL of an archive with its version, whose digest `make lock` pins, or a "
        "folder beside the file.",
        examples=["https://charts.example.org/shop-1.2.3.tgz"],
    )
    values: FileName | None = Field(
        default=None, description="File beside this one with values.", examples=["values.yaml"]
    )

    @property
    def url(self) -> str | None:
        """Where the chart is published; None for a folder."""
        return self.chart if "://" in self.chart else None


class Repository(Git):
    """A folder of another repository, which Argo CD deploys without a render of ours."""

    path: Annotated[
        str,
        *matching(_SOURCE_PATH, "is no folder of a repository; write one such as deploy/{cluster}"),
    ] = Field(
        description="Folder with a kustomization.yaml; `{cluster}` stands for the region's name.",
        examples=["deploy/{cluster}"],
    )


class Package(Description):
    """What the platform has to know of an app that brings its own manifests."""

    api_version: Literal["score.dev/v1b1"] = Field(
        default="score.dev/v1b1", description="The version of Score, whose keys these are."
    )
    # What follows from a description, such as its quota, then follows from a package as well.
    containers: Annotated[dict[ScoreName, Container], AfterValidator(FrozenDict)] = Field(
        default_factory=lambda: FrozenDict({"app": Container(image=".")}),
        description="Left out: they are in the manifests.",
    )
    helm: Helm | None = Field(
        default=None,
        description="The chart. Without it and `git`, the folder has a kustomization.yaml.",
    )
    git: Repository | None = Field(
        default=None, description="The team's own repository, which then has the manifests."
    )

    _folder: Path = PrivateAttr(Path())

    def model_post_init(self, context: Any, /) -> None:
        if isinstance(context, Path):
            self._folder = context

    @property
    def folder(self) -> Path:
        """Where its file and its manifests are."""
        return self._folder


_OF_CONTAINERS: Final = {
    "jobs": "jobs",
    "before_rollout": "beforeRollout",
    "grpc_health": "grpcHealth",
    "startup": "startup",
    "drain": "drain",
}


def problems(package: Package) -> Iterator[Problem]:
    """What is wrong between the values of a package, and with the files beside it."""
    if "containers" in package.model_fields_set:
        yield Problem(("containers",), "are in the app's own manifests; remove the key")
    if len(package.service.ports) != 1:
        yield Problem(
            ("service", "ports"),
            f"has {len(package.service.ports)} ports; users reach exactly one, so keep that",
        )
        return
    platform = package.platform
    for field, key in _OF_CONTAINERS.items():
        if field in platform.model_fields_set:
            yield Problem(
                ("metadata", "platform", key), "is for the app's own manifests to say; remove it"
            )
    if platform.tls != "edge":
        yield Problem(
            ("metadata", "platform", "tls"),
            "has to be edge: a package has no certificate of its own; remove it",
        )
    for key, resource in package.resources.items():
        if not isinstance(resource, SecretResource):
            yield Problem(
                ("resources", key), "is for the app's own manifests to say; keep only secrets"
            )
        elif not resource.params.keys:
            yield Problem(("resources", key), "names no keys; add params.keys, for bootstrap")
    yield from of_levels(platform)
    yield from _of_files(package)


def _of_files(package: Package) -> Iterator[Problem]:
    base, helm = package.folder / KUSTOMIZATION, package.helm
    if package.git:
        for field in {"folder", "credential"} & package.git.model_fields_set:
            yield Problem(("git", field), "is for the fleet's own repository; remove it")
        if helm or base.is_file():
            yield Problem(
                ("git",),
                f"cannot be combined with {'helm' if helm else KUSTOMIZATION}; keep one of the two",
            )
        return
    if helm is None:
        if not base.is_file():
            yield Problem(
                (), f"has no {KUSTOMIZATION} beside it, and neither helm nor git; add one"
            )
        return
    if base.is_file():
        yield Problem(("helm",), f"cannot be combined with a {KUSTOMIZATION}; keep one of the two")
    if not helm.url and not (package.folder / helm.chart / "Chart.yaml").is_file():
        yield Problem(
            ("helm", "chart"), f"{package.folder / helm.chart} is no chart; it has no Chart.yaml"
        )
    if helm.values and not (package.folder / helm.values).is_file():
        yield Problem(
            ("helm", "values"), f"{package.folder / helm.values} is not there; add the file"
        )
