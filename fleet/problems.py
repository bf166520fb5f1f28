"""The words for what is wrong with a registry: one line each, with the place and the remedy."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.source import Location, Source

if TYPE_CHECKING:
    from pydantic import ValidationError


def of_values(
    source: Source, error: "ValidationError", keys: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """What pydantic found, in our words; ``keys`` are the known ones by ``keys_of``'s names."""
    for each in error.errors():
        location = _without_tags(each["loc"])
        yield source.problem(location, _say(source, each, location, keys))


def of_the_whole(source: Source) -> Iterator[str]:
    """What no cluster alone can have wrong: two of the same, no hub or too many.

    Looks at the plain data, so that a cluster with another mistake in it is compared as well.
    """
    clusters = _clusters(source.data)
    if clusters is None:
        return
    hubs = [(place, each) for place, each in clusters if each.get("role") == "hub"]
    if not hubs:
        yield source.problem(("clusters",), "no cluster has role hub; give it to exactly one")
    for place, each in hubs[1:]:
        yield source.problem(
            (*place, "role"),
            f"{each.get('name')} is a second hub beside {hubs[0][1].get('name')}; "
            "make one of them a region",
        )
    for what, remedy in (
        ("name", "give each cluster its own"),
        ("address", "give each cluster its own"),
        ("hostname", "give each region its own"),
    ):
        first: dict[object, tuple[Location, Mapping[str, Any]]] = {}
        for place, each in clusters:
            for value in _identities(what, each):
                if value not in first:
                    first[value] = (place, each)
                elif first[value][1] is not each:
                    other_place, other = first[value]
                    whose = f"clusters[{other_place[1]}]" if what == "name" else other.get("name")
                    yield source.problem(
                        (*place, what if what in each else "domain"),
                        f"{value} is also the {what} of {whose}; {remedy}",
                    )


def of_overlays(overlays: Path, components: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Folders that no component would pick up; ``components`` are those of each cluster."""
    if not overlays.is_dir():
        return
    for cluster in sorted(overlays.iterdir()):
        if not cluster.is_dir():
            if cluster.suffix != ".md":
                yield f"{cluster}: stands outside {overlays}/<cluster>/<component>/; move it there"
            continue
        if cluster.name not in components:
            yield (
                f"{cluster}: the fleet has no cluster {cluster.name}"
                f"{did_you_mean(cluster.name, components)}; rename or remove the folder"
            )
            continue
        for component in sorted(cluster.iterdir()):
            if not component.is_dir():
                yield f"{component}: stands outside {cluster}/<component>/; move it there"
            elif component.name not in components[cluster.name]:
                yield (
                    f"{component}: {cluster.name} has no component {component.name}"
                    f"{did_you_mean(component.name, components[cluster.name])}; it has "
                    f"{', '.join(components[cluster.name])}"
                )
            elif not (component / "kustomization.yaml").is_file():
                yield f"{component}: has no kustomization.yaml; add one of kind Component"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A clause that names the word that may have been meant, or nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def not_text(value: object) -> str:
    """Why a value that YAML reads as a number, a date or a truth is refused."""
    if isinstance(value, dict | list):
        return f"is a {'mapping' if isinstance(value, dict) else 'list'}; give one value"
    if value is None:
        return "has no value; give one, or remove the key"
    told = json.dumps(value, default=str)
    return f"YAML reads {told} as no text; put it in quotes"


def _without_tags(location: tuple[str | int, ...]) -> Location:
    """Pydantic puts the role between a cluster's position and its keys."""
    if len(location) > 2 and location[0] == "clusters" and location[2] in ("hub", "region"):
        return (*location[:2], *location[3:])
    return location


def _say(
    source: Source, error: Any, location: Location, keys: Mapping[str, Collection[str]]
) -> str:
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "missing":
            return "is missing; add it"
        case "extra_forbidden":
            known = keys[_keys_of(source.data, location)]
            word = str(location[-1])
            return f"unknown key{did_you_mean(word, known)}; known are {', '.join(known)}"
        case "union_tag_not_found":
            if isinstance(value, dict):
                return "has no role; add role: hub or role: region"
            return "is no cluster; give a mapping with name, role and address"
        case "union_tag_invalid":
            return f"role {context['tag']} is none of hub, region{did_you_mean(context['tag'], ('hub', 'region'))}"
        case "literal_error":
            known = [
                part.strip("' ") for part in context["expected"].replace(" or ", ", ").split(",")
            ]
            return f"{value} is none of {', '.join(known)}{did_you_mean(str(value), known)}"
        case "string_type":
            return not_text(value)
        case "tuple_type":
            return "is no list; write each item on a line of its own after a hyphen"
        case "model_type" | "model_attributes_type":
            return "is no mapping; write key: value lines"
        case "string_too_short" | "too_short":
            return "is empty; give a value, or remove the key"
        case _:
            return str(error["msg"])


def _keys_of(data: Any, location: Location) -> str:
    if location[0] == "clusters" and len(location) > 1:
        return str(data["clusters"][location[1]]["role"])
    return str(location[0]) if len(location) > 1 else ""


def _clusters(data: Any) -> list[tuple[Location, Mapping[str, Any]]] | None:
    listed = data.get("clusters") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        return None
    return [(("clusters", at), each) for at, each in enumerate(listed) if isinstance(each, dict)]


def _identities(what: str, cluster: Mapping[str, Any]) -> Iterator[object]:
    """The values of ``what`` that no other cluster may have."""
    value = cluster.get(what)
    if what == "name" and isinstance(value, str):
        yield value
    elif what == "address" and isinstance(value, str):
        try:
            yield ip_address(value)
        except ValueError:
            return
    elif what == "hostname":
        # Under nip.io the address tells them apart.
        labels = [value] if cluster.get("role") != "hub" else ["argocd", "grafana", "prometheus"]
        if domain := cluster.get("domain"):
            yield from (f"{label}.{domain}".lower() for label in labels)
