"""What runs of an app that brings its own manifests (``fleet.package``), in one region."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from bindings.kinds import Kind
from charts.app.manifests import WORKLOADS, Manifest, filled, manifests
from charts.app.place import Place
from charts.component import Component, made_for
from fleet.errors import InputError
from fleet.package import Package
from fleet.registry import Fleet, Region

if TYPE_CHECKING:
    from constructs import Construct


@dataclass(frozen=True, kw_only=True)
class PackagedApp(Component[Region]):
    """The app's own objects, with the image and the facts of the region."""

    # Those of no app: ``packaged`` makes a class for each.
    NAME = ""
    NAMESPACE = ""

    PACKAGE: ClassVar[Package]

    place: Place

    @classmethod
    def of(cls, fleet: Fleet, cluster: Region) -> Self:
        return cls(place=Place.of(cluster, cls.NAME))

    def add_to(self, chart: "Construct") -> None:
        for at, each in enumerate(manifests(self.PACKAGE)):
            body = dict(filled(each, self.place.facts, self.PACKAGE))
            if body["kind"] in WORKLOADS and body["metadata"]["name"] == self.NAME:
                body = self._with_image(body)
            kind = Kind(body.pop("apiVersion"), body.pop("kind"))
            try:
                kind(chart, f"{at}-{kind.name}", **body)
            except TypeError as error:
                raise InputError(f"{self.PACKAGE.folder}: {error}") from None

    def _with_image(self, workload: Manifest) -> dict[str, Any]:
        """The workload with the region's image in its container, or in the one named like it."""
        spec = workload["spec"]
        pod = spec["template"]["spec"]
        containers = pod["containers"]
        names = [each["name"] for each in containers]
        name = names[0] if len(names) == 1 else self.NAME
        if name not in names:
            raise InputError(
                f"{self.PACKAGE.folder}: {workload['kind']}/{self.NAME} has the containers "
                f"{', '.join(names)}, and the region's image is for one called {self.NAME}; "
                "rename it"
            )
        pod = {
            "imagePullSecrets": [{"name": self.place.pull_secret}],
            **pod,
            "containers": [
                {**each, "image": self.place.image} if each["name"] == name else each
                for each in containers
            ],
        }
        template = {**spec["template"], "spec": pod}
        return {**workload, "spec": {**spec, "template": template}}


@cache
def packaged(package: Package) -> type[PackagedApp]:
    """The class of the app that ``package`` is of; the same one for equal packages."""
    return made_for(
        PackagedApp,
        name=package.name,
        namespace=package.name,
        doc=f"What runs of the app {package.name}.",
        PACKAGE=package,
    )
