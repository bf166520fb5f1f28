"""Placeholders in the texts of a description: ``${resources.<id>.<fact>}``."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from fleet.diagnostics import choice, did_you_mean, shown
from fleet.score.platform import Metadata
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

LIKE_ONE: Final = re.compile(r"\$\{(metadata|resources)\b[^}]*\}")
"""What looks like a placeholder, where Score has none: in commands and arguments."""


def parts(text: str, metadata: Metadata, resources: Mapping[str, Resource]) -> Iterator[Part]:
    """A text in which ``${…}`` is a reference and ``$$`` a dollar sign, as Score has it.

    Raises ValueError, which says what is wrong, for a placeholder that nothing can fill in.
    """
    at = 0
    for found in re.finditer(r"\$(?:\$|\{([^}]*)\})", text):
        if text[at : found.start()]:
            yield text[at : found.start()]
        at = found.end()
        if found[1] is None:
            yield "$"
        else:
            yield _filled(found[0], found[1], metadata, resources)
    if text[at:]:
        yield text[at:]


def _filled(
    written: str, inside: str, metadata: Metadata, resources: Mapping[str, Resource]
) -> Part:
    keys = inside.split(".")
    # By the loader of score-go, which Score's tools share: it refuses an escaped dot as well.
    if not all(re.fullmatch("[A-Za-z0-9_-]+", key) for key in keys):
        raise ValueError(
            f"{shown(written)} is no placeholder of Score; between dots it has letters, digits, "
            "hyphens and _"
        )
    match keys:
        case ["metadata", "name"]:
            return metadata.name
        case ["metadata", "annotations", key]:
            if key not in metadata.annotations:
                raise ValueError(
                    f"{shown(written)} names no annotation of this file"
                    f"{choice(key, metadata.annotations) if metadata.annotations else '; add it'}"
                )
            return metadata.annotations[key]
        case ["resources", resource, *outputs] if resource:
            if resource not in resources:
                raise ValueError(
                    f"{shown(written)} names no resource of this file"
                    f"{choice(resource, resources) if resources else '; add it'}"
                )
            if len(outputs) > 1:
                raise ValueError(
                    f"{shown(written)} asks for a part of a fact, which has none; a key with dots "
                    "can be a file of a mounted secret, under params.keys"
                )
            output = outputs[0] if outputs else ""
            _check_output(written, resources[resource], output)
            return Reference(resource, output)
        case _:
            raise ValueError(
                f"{shown(written)} is no placeholder of the platform; write "
                "${resources.<id>.<fact>} or ${metadata.name}, or $$ for a dollar sign"
            )


def _check_output(written: str, resource: Resource, output: str) -> None:
    known: tuple[str, ...]
    match resource:
        case ClusterResource():
            known = CLUSTER_FACTS
        case PodResource():
            known = POD_FACTS
        case SecretResource():
            # Any key; without one it is the whole Secret, which can be mounted.
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
