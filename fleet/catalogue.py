"""The components that a fleet can have, as far as the registry knows them.

The packages above hand the registry a Catalogue: the classes of ``charts``, of which it reads the
constants below and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

Role: TypeAlias = Literal["hub", "region"]


class Offer(Protocol):
    """A component's class; ``charts.component.Component`` describes the constants."""

    @property
    def NAME(self) -> str: ...
    @property
    def REQUIRED(self) -> bool: ...
    @property
    def ON_REQUEST(self) -> bool: ...
    @property
    def NEEDS(self) -> "Sequence[Offer]": ...
    @property
    def REPLACED_BY(self) -> str | None: ...
    @property
    def NAMESPACE(self) -> str: ...
    @property
    def OTHER_NAMESPACES(self) -> Sequence[str]: ...
    @property
    def CLUSTER_KINDS(self) -> Sequence[tuple[str, str]]: ...
    @property
    def BEHIND_TRAEFIK(self) -> bool: ...
    @property
    def HOLDS_ROUTES(self) -> bool: ...
    @property
    def VOLUMES(self) -> Sequence[str]: ...
    @property
    def SECRETS(self) -> Sequence[str]: ...
    @property
    def EXPECTED(self) -> bool: ...


Catalogue: TypeAlias = Mapping[Role, Sequence[Offer]]
"""The components that clusters of each role can have, in their order.

A cluster has those that it does not leave out, and of those on request what it asks for.
"""


def required(catalogue: Catalogue, role: Role) -> frozenset[str]:
    """What no cluster of ``role`` can leave out: required components, and those they need.

    A component that something else can replace is not among them.
    """
    found: set[str] = set()

    def add(offer: Offer) -> None:
        if offer.NAME not in found and not offer.REPLACED_BY:
            found.add(offer.NAME)
            for needed in offer.NEEDS:
                add(needed)

    for offer in catalogue[role]:
        if offer.REQUIRED:
            add(offer)
    return frozenset(found)


def optional(catalogue: Catalogue, role: Role) -> tuple[str, ...]:
    """What a cluster of ``role`` can leave out, in the catalogue's order."""
    kept = required(catalogue, role)
    return tuple(
        each.NAME for each in catalogue[role] if each.NAME not in kept and not each.ON_REQUEST
    )


def on_request(catalogue: Catalogue, role: Role) -> tuple[str, ...]:
    """What a cluster of ``role`` has only if it asks for it, in the catalogue's order."""
    return tuple(each.NAME for each in catalogue[role] if each.ON_REQUEST)


def users(catalogue: Catalogue, role: Role, name: str) -> Iterator[str]:
    """The components that every cluster of ``role`` has by default and that need ``name``."""
    for each in catalogue[role]:
        if not each.ON_REQUEST and any(name == needed.NAME for needed in each.NEEDS):
            yield each.NAME
