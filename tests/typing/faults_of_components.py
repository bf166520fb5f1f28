"""What a component must have: mypy complains about each marked line, with that code, and no other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from charts.catalogue import complete
from charts.component import Component
from fleet.registry import Cluster, Fleet, Hub, Region

if TYPE_CHECKING:
    from constructs import Construct


@dataclass(frozen=True, kw_only=True)
class Whole(Component[Hub]):
    """Its counterpart without a fault."""

    NAME = "whole"
    NAMESPACE = "whole"

    host: str

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(host=cluster.argocd_host)

    def add_to(self, chart: "Construct") -> None:
        pass


class WithoutAFact(Whole):
    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls()  # fault: call-arg


class WithAnotherFact(Whole):
    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(host=cluster.argocd_host, issuer=cluster.issuer)  # fault: call-arg


class WithAFactOfAnotherType(Whole):
    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(host=cluster.address)  # fault: arg-type


class WithAFactOfARegion(Whole):
    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls(host=cluster.apps)  # fault: attr-defined


class OfAnotherRole(Whole):
    @classmethod
    def of(cls, fleet: Fleet, cluster: Region) -> Self:  # fault: override, override
        return cls(host=cluster.name)


class ThatAddsNothing(Component[Hub]):
    NAME = "nothing"
    NAMESPACE = "nothing"

    @classmethod
    def of(cls, fleet: Fleet, cluster: Hub) -> Self:
        return cls()


class WithoutFacts(Component[Hub]):
    NAME = "factless"
    NAMESPACE = "factless"

    def add_to(self, chart: "Construct") -> None:
        pass


HUB: tuple[type[Component[Hub]], ...] = complete(Whole)
NOTHING: tuple[type[Component[Hub]], ...] = complete(ThatAddsNothing)  # fault: type-abstract
NO_FACTS: tuple[type[Component[Hub]], ...] = complete(WithoutFacts)  # fault: type-abstract
REGION: tuple[type[Component[Region]], ...] = complete(Whole)  # fault: arg-type
EVERYWHERE: tuple[type[Component[Cluster]], ...] = complete(Whole)  # fault: arg-type
