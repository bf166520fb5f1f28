"""Placeholders in the texts of a description: ``${resources.<id>.<fact>}``."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from fleet.diagnostics import choice, did_you_mean, shown
from fleet.score.facts import secret_key
from fleet.score.resources import (
    CLUSTER_FACTS,
    POD_FACTS,
    ClusterResource,
    PodResource,
    Resource,
    SecretResource,
)


class Reference(NamedTuple):
    """``${resources.<id>.<output>}``; the output is empty where there is none."""

    resource: str
    output: str


Part: TypeAlias = str | Reference


def parts(text: str, name: str, resources: Mapping[str, Resource]) -> Iterator[Part]:
    """A text in which ``${…}`` is a reference and ``$$`` a dollar sign; ``name`` is the app's.

    Raises ValueError, which says what is wrong, for a placeholder that nothing can fill in.
    """
    at = 0
    for found in re.finditer(r"\$(?:\$|\{([^{}]*)\})", text):
        if text[at : found.start()]:
            yield text[at : found.start()]
        at = found.end()
        if found[1] is None:
            yield "$"
        elif found[1] == "metadata.name":
            yield name
        else:
            yield _reference(found[0], found[1], resources)
    if text[at:]:
        yield text[at:]


def _reference(written: str, inside: str, resources: Mapping[str, Resource]) -> Reference:
    head, _, rest = inside.partition(".")
    resource, _, output = rest.partition(".")
    if head != "resources" or not resource:
        raise ValueError(
            f"{shown(written)} is no placeholder of the platform; write "
            "${resources.<id>.<fact>} or ${metadata.name}, or $$ for a dollar sign"
        )
    if resource not in resources:
        raise ValueError(
            f"{shown(written)} names no resource of this file"
            f"{choice(resource, resources) if resources else '; add it'}"
        )
    _check_output(written, resources[resource], output)
    return Reference(resource, output)


def _check_output(written: str, resource: Resource, output: str) -> None:
    known: tuple[str, ...]
    match resource:
        case ClusterResource():
            known = CLUSTER_FACTS
        case PodResource():
            known = POD_FACTS
        case SecretResource():
            # Without a key it is the whole Secret, which can be mounted.
            if output:
                secret_key(output)
            return
        case _:
            if output:
                raise ValueError(f"{shown(written)}: a {resource.type} has no facts; mount it")
            return
    if output not in known:
        raise ValueError(
            f"{shown(written)} is no fact of a {resource.type}{did_you_mean(output, known)}; "
            f"known are {', '.join(known)}"
        )
