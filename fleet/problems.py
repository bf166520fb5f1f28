"""The words for what is wrong with a registry: the value, what it is at odds with, the remedy."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic.alias_generators import to_camel

from fleet.diagnostics import Location, Problem, did_you_mean, may_hold_a_credential, shown
from fleet.source import Source

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

Keys: TypeAlias = Mapping[str, Collection[str]]
"""The keys that a mapping may have; a mapping is known by its own key, a cluster by its role.

An app of a region is known as ``app``.
"""
Claims: TypeAlias = Callable[[Mapping[str, Any]], Iterable[tuple[Location, tuple[object, ...]]]]
"""What a cluster has for itself: where, and every form in which another could claim its value."""

AN_ADDRESS: Final = "holds an address, which may be a secret"
"""Said of an address in place of a word from a list; the address itself is never shown."""
_SECRETS: Final = {
    key: f", and give the address to bootstrap as {variable}, which makes it a Secret"
    for key, variable in (("pagesBy", "ALERTS_PAGES"), ("noticesBy", "ALERTS_NOTICES"))
}
_ROLES: Final = ("hub", "region")
_MOVED: Final = ("hostname", "image", "pullSecret")
"""What a region had for the one app that there was; each app of a region has its own now."""
_FIRST_APP: Final = "foobar-api"


def of_values(source: Source, error: "ValidationError", keys: Keys) -> Iterator[Problem]:
    """What pydantic found, in our words.

    A cluster whose role is not clear has been taken for a region; of that, only what is wrong in
    either role is reported.
    """
    for each in error.errors(include_url=False):
        location, mapping = _place(each["loc"], keys)
        if each["type"] == "value_error" and location not in source.places:
            # An error about a default names the field instead of its key.
            location = (*location[:-1], _alias(location[-1], keys[mapping]))
        unclear = mapping in _ROLES and _role(source.data, location) not in _ROLES
        if unclear and each["type"] == "missing" and location[-1] not in keys["hub"]:
            continue
        if (
            each["type"] == "extra_forbidden"
            and mapping == "region"
            and _named_already(source, location)
        ):
            continue
        if not reported_by_source(source, each, location):
            yield Problem(location, _say(source, each, location, mapping, keys))


def reported_by_source(source: Source, error: "ErrorDetails", location: Location) -> bool:
    """Whether ``source`` has reported the value: one that is missing, or may be a credential."""
    place = source.places.get(location)
    return place is not None and (
        error["input"] is None
        or (error["type"] != "extra_forbidden" and may_hold_a_credential(place.written))
    )


def of_the_whole(data: Any, claims: Claims) -> Iterator[Problem]:
    """What no cluster alone can have wrong: two of the same, no hub or too many.

    Looks at the plain data, so that a cluster with another mistake in it is compared as well.
    """
    listed = data.get("clusters") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        return
    clusters = {at: each for at, each in enumerate(listed) if isinstance(each, dict)}
    hubs = [at for at, each in clusters.items() if each.get("role") == "hub"]
    if not hubs and all(_role(data, ("clusters", at)) == "region" for at in range(len(listed))):
        yield Problem(("clusters",), "no cluster has role hub; give it to exactly one")
    for at in hubs[1:]:
        yield Problem(
            ("clusters", at, "role"),
            f"{_name(clusters, at)} is a second hub beside {_name(clusters, hubs[0])}; "
            "make one of them a region",
        )
    taken: dict[tuple[str | int, object], tuple[int, Location]] = {}
    # The hub comes first: a region with a hostname of the hub's is the one to give way.
    for at in sorted(clusters, key=lambda at: at not in hubs):
        for place, values in claims(clusters[at]):
            key = place[-1]
            if key == "hostname" and at in hubs[1:]:
                continue
            held = [value for value in values if (key, value) in taken]
            if held:
                owner, owned = taken[key, held[0]]
                # A default of both follows from another key, which is reported.
                if place == owned == (key,) and not {key} & {*clusters[at], *clusters[owner]}:
                    continue
                whose = f"clusters[{owner}]" if key == "name" else _name(clusters, owner)
                # Of an app, its name and its region: apps.<name>.hostname.
                app = f"{shown(owned[1])} in " if len(owned) > 1 else ""
                yield Problem(
                    ("clusters", at, *place),
                    f"{shown(str(held[0]))} is also the {key} of {app}{whose}; give each its own",
                )
            for value in values:
                taken.setdefault((key, value), (at, place))


def of_overlays(
    overlays: Path, components: Mapping[str, Collection[str]], *, others: Collection[str] = ()
) -> Iterator[str]:
    """Folders that no component would pick up; ``components`` are those of each cluster.

    The folders of clusters of other fleets, ``others``, are left to those.
    """
    if not overlays.is_dir():
        return
    for cluster in _visible(overlays):
        if not cluster.is_dir():
            yield f"{cluster}: is outside {overlays}/<cluster>/<component>/; move it there"
        elif cluster.name not in components:
            if cluster.name in others:
                continue
            yield (
                f"{cluster}: the fleet has no cluster {shown(cluster.name)}"
                f"{did_you_mean(cluster.name, components)}; rename or remove the folder"
            )
        else:
            yield from _of_overlay(cluster, components[cluster.name])


def _of_overlay(cluster: Path, components: Collection[str]) -> Iterator[str]:
    for component in _visible(cluster):
        if not component.is_dir():
            yield f"{component}: is outside {cluster}/<component>/; move it there"
        elif component.name not in components:
            yield (
                f"{component}: {cluster.name} has no component {shown(component.name)}"
                f"{did_you_mean(component.name, components)}; it has {', '.join(components)}"
            )
        elif not (component / "kustomization.yaml").is_file():
            yield f"{component}: has no kustomization.yaml; add one of kind Component"


def _visible(folder: Path) -> Iterator[Path]:
    """What is in a folder, without what is hidden and what explains the rest."""
    for each in sorted(folder.iterdir()):
        if each.suffix != ".md" and not each.name.startswith("."):
            yield each


def _place(location: tuple[str | int, ...], mappings: Collection[str]) -> tuple[Location, str]:
    """Where an error is, and in which mapping; pydantic puts a cluster's role into its path."""
    match location:
        case (*rest, "[key]"):
            return _place(tuple(rest), mappings)
        case ("clusters", int(), "region", "apps", _, _, *_):
            return (*location[:2], *location[3:]), "app"
        case ("clusters", int(), _, str(mapping), _, *_) if mapping in mappings:
            return (*location[:2], *location[3:]), mapping
        case ("clusters", int(), role, *_):
            return (*location[:2], *location[3:]), str(role)
        case (mapping, _, *_):
            return location, str(mapping)
        case _:
            return location, "fleet"


def _alias(field: str | int, known: Collection[str]) -> str | int:
    alias = to_camel(str(field))
    return alias if alias in known else field


def _say(
    source: Source, error: "ErrorDetails", location: Location, mapping: str, keys: Keys
) -> str:
    key = str(location[-1]) if location else ""
    match error["type"]:
        case "missing" if key == "role":
            return "is missing; add hub or region"
        case "extra_forbidden" if key in _MOVED and mapping == "region":
            return _moved(source, location)
        case "extra_forbidden" if mapping == "hub" and key in keys["region"]:
            return "is for regions, and this is a hub; remove it"
        case "literal_error" if not isinstance(error["input"], dict | list):
            known = re.findall(r"'(.*?)'", error["ctx"]["expected"])
            if key == "role":
                known = list(_ROLES)
            written = source.written(location)
            if "/" in written:
                remedy = _SECRETS.get(key, "")
                return f"{AN_ADDRESS}; write one of {', '.join(known)}{remedy}"
            return f"{written} is none of {', '.join(known)}{did_you_mean(written, known)}"
        case _:
            return words(source, error, location, keys[mapping])


def _given(source: Source, above: Location) -> list[str]:
    """The keys of the one app that there was, as far as a region still has them."""
    return [key for key in _MOVED if (*above, key) in source.places]


def _named_already(source: Source, location: Location) -> bool:
    """Whether the problem of the first of these keys names this one as well."""
    *above, key = location
    return key in _given(source, tuple(above))[1:]


def _moved(source: Source, location: Location) -> str:
    """What to write for the app of a region that has the keys of the one app there was."""
    above = location[:-1]
    given = _given(source, above)
    lines = ", ".join(f"{key}: {source.written((*above, key))}" for key in given)
    return (
        f"belongs to an app now; in place of {', '.join(given)} write "
        f"apps: {{{_FIRST_APP}: {{{lines}}}}}"
    )


def words(source: Source, error: "ErrorDetails", location: Location, known: Collection[str]) -> str:
    """What pydantic found, in our words; ``known`` are the keys that the mapping may have."""
    match error["type"]:
        case "value_error":
            return str(error["ctx"]["error"])
        case "missing":
            return "is missing; add it"
        case "extra_forbidden":
            key = str(location[-1])
            if key == "<<":
                return "merges are not read; write the keys out where they apply"
            return f"is unknown{did_you_mean(key, known)}; known are {', '.join(known)}"
        case "literal_error" if not isinstance(error["input"], dict | list):
            choices = re.findall(r"'(.*?)'", error["ctx"]["expected"])
            written = source.written(location)
            return f"{written} is none of {', '.join(choices)}{did_you_mean(written, choices)}"
        case "literal_error" | "string_type":
            return _not_text(error["input"], source.written(location))
        case "tuple_type" | "model_type" | "model_attributes_type" | "dict_type" as wanted:
            remedy = (
                "a list, each item after a hyphen" if wanted == "tuple_type" else "key: value lines"
            )
            return f"is {_form(error['input'])}; write {remedy}"
        case _:
            return _limits(error, source.written(location))


def _limits(error: "ErrorDetails", written: str) -> str:
    """What is said of a number, a truth or a text that is too long."""
    match error["type"]:
        case "int_type" | "int_from_float":
            return f"{written} is no whole number; write one, without quotes"
        case "float_type" | "float_parsing" | "finite_number":
            return f"{written} is no number; write one, without quotes"
        case "bool_type":
            return "is neither true nor false; write one of them, without quotes"
        case "greater_than_equal":
            return f"{written} is too small; write {error['ctx']['ge']} or more"
        case "less_than_equal":
            return f"{written} is too large; write {error['ctx']['le']} or less"
        case "string_too_long" | "too_long":
            return f"{written} has more than {error['ctx']['max_length']} characters; shorten it"
        case "string_too_short" | "too_short":
            return "is empty; write a value, or remove it"
        case _:
            return error["msg"]


def _not_text(value: object, written: str) -> str:
    match value:
        case dict() | list():
            return f"is {_form(value)}; write one value"
        case bool():
            return f"YAML reads {written} as true or false; put it in quotes"
        case _:
            return f"YAML reads {written} as a number; put it in quotes"


def _form(value: object) -> str:
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return "a single value"


def _role(data: Any, location: Location) -> object:
    cluster = data["clusters"][location[1]]
    return cluster.get("role") if isinstance(cluster, dict) else None


def _name(clusters: Mapping[int, Mapping[str, Any]], at: int) -> str:
    name = clusters[at].get("name")
    return shown(name) if isinstance(name, str) and name else f"clusters[{at}]"
