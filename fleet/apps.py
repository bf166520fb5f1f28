"""The apps that regions can run: the files of apps/, checked."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ValidationError

from fleet import package, score
from fleet.diagnostics import Location, Problem, did_you_mean, shown
from fleet.errors import InputError
from fleet.package import Helm, Package, Repository
from fleet.problems import reported_by_source, words
from fleet.registry import keys
from fleet.score import Description
from fleet.source import Source, read

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

V = TypeVar("V")

APPS: Final = "apps"
"""The folder of the descriptions, beside the registry."""

TENANT: Final = "tenant-"
"""What the name of the platform's side of an app begins with; the rest is the app's name."""
RESERVED: Final = ("kube-", TENANT)

REFUSED: Final[Mapping[tuple[str, ...], str]] = {
    ("containers", "*", "files"): "put the file into the image, or its content into a Secret",
    ("containers", "*", "before"): "apps have exactly one container",
    ("containers", "*", "volumes", "*", "path"): "the whole of a volume is mounted",
    ("containers", "*", "volumes", "*", "target"): "the key of the mapping is the target",
    ("resources", "*", "class"): "the platform has one class of each type",
    ("resources", "*", "id"): "no app shares a resource with another",
}
"""What Score has and the platform gives no meaning to, and why."""


_OF_PACKAGES: Final[Mapping[tuple[str, ...], type[BaseModel]]] = {
    **score.MODELS,
    (): Package,
    ("helm",): Helm,
    ("git",): Repository,
}


def load(folder: Path, taken: Collection[str]) -> Mapping[str, Description]:
    """The apps of ``folder`` by name; raises InputError with every problem that they have.

    No app has a name of ``taken``: those of components, and of the namespaces they write to. Nor
    does a name begin like those of the platform's side of apps, or of Kubernetes' namespaces.
    """
    found: dict[str, Description] = {}
    paths: dict[str, Path] = {}
    faults = [
        f"{each}: has no {package.FILE}; add it, or remove the folder"
        # Python leaves __pycache__ beside an app's code. No app has such a name.
        for each in sorted(folder.glob("[!._]*"))
        if each.is_dir() and not (each / package.FILE).is_file()
    ]
    faults += (
        f"{each}: is not read; rename it to {each.with_suffix('.yaml').name}"
        for each in sorted((*folder.glob("*.yml"), *folder.glob("*/app.yml")))
    )
    for path in sorted((*folder.glob("*.yaml"), *folder.glob(f"*/{package.FILE}"))):
        try:
            description = _load(path, taken, packaged=path.parent != folder)
        except InputError as error:
            faults += error.problems
        else:
            if other := paths.get(description.name):
                faults.append(f"{path}: {other} describes this app too; remove one of the two")
            paths[description.name] = path
            found[description.name] = description
    faults += _supplied_alike(found, paths)
    if faults:
        raise InputError(*faults)
    return found


def _supplied_alike(found: Mapping[str, Description], paths: Mapping[str, Path]) -> Iterator[str]:
    """Values that bootstrap would take from a variable of another app, whose secret they are."""
    owners: dict[str, tuple[str, str]] = {}
    for name, app in sorted(found.items()):
        for secret, of_secret in app.secrets.items():
            for key in of_secret:
                variable = app.supplied_as(secret, key)
                owner, what = owners.setdefault(variable, (name, f"{key} of {secret}"))
                if owner != name:
                    yield (
                        f"{paths[name]}: {key} of the Secret {secret} would be {variable} for "
                        f"bootstrap, as {what} of {owner} is; rename one of the Secrets"
                    )


def _load(path: Path, taken: Collection[str], *, packaged: bool) -> Description:
    source = read(path)
    problems = [*source.problems]
    description: Description | None = None
    try:
        description = (
            Package.model_validate(source.data, context=path.parent)
            if packaged
            else Description.model_validate(source.data)
        )
    except ValidationError as error:
        problems += _of_values(source, error)
    else:
        named = path.parent.name if packaged else path.stem
        problems += _of_name(description.name, named, taken)
        problems += (
            package.problems(description)
            if isinstance(description, Package)
            else score.problems(description)
        )
    if description is None or problems:
        raise InputError(*source.report(problems))
    return description


def _of_name(name: str, stem: str, taken: Collection[str]) -> Iterator[Problem]:
    at = ("metadata", "name")
    if name != stem:
        yield Problem(at, f"{shown(name)} is not the name of the file; give both the same")
    if name in taken or name.startswith(RESERVED):
        yield Problem(at, f"{shown(name)} is a name of the platform's own; choose another")


def _of_values(source: Source, error: ValidationError) -> Iterator[Problem]:
    """What pydantic found, in our words."""
    errors = error.errors(include_url=False)
    # Whoever corrects a key has another value there, so what is wrong with this one is left out.
    keys_at_fault = {_place(each["loc"]) for each in errors if each["loc"][-1:] == ("[key]",)}
    for each in errors:
        location = _place(each["loc"])
        if each["loc"][-1:] != ("[key]",) and any(
            location[:length] in keys_at_fault for length in range(1, len(location) + 1)
        ):
            continue
        if not reported_by_source(source, each, location):
            yield Problem(location, _say(source, each, location))


def _place(loc: tuple[str | int, ...]) -> Location:
    """Where an error is; pydantic puts the type of a resource, and the word key, into its path."""
    if loc and loc[-1] == "[key]":
        loc = loc[:-1]
    if len(loc) > 2 and loc[0] == "resources":
        return (*loc[:2], *loc[3:])
    return loc


def _say(source: Source, error: "ErrorDetails", location: Location) -> str:
    key = str(location[-1]) if location else ""
    if error["type"] == "extra_forbidden" and (reason := _found(REFUSED, location)):
        return f"is not supported here: {reason}; remove it"
    if error["type"] == "dict_type" and key == "volumes":
        return "is a list, Score's older form; write each under its target, /data: {source: …}"
    if error["type"] == "union_tag_invalid":
        types = [part.strip(" '") for part in error["ctx"]["expected_tags"].split(",")]
        given = str(error["ctx"]["tag"])
        return (
            f"type {shown(given)} is none of {', '.join(types)}{did_you_mean(given, types)}; a "
            "database or a queue is reached by egress and a secret"
        )
    if location[:1] == ("resources",) and "params" in location and "${" in source.written(location):
        return "is a value into which the platform fills no placeholders; write it out"
    if error["type"] == "union_tag_not_found":
        return "has no type; add one"
    if key == "image":
        return "is chosen by clusters.yaml, for each region; write a dot in quotes: '.'"
    return words(source, error, location, _known(source, location))


def _known(source: Source, location: Location) -> tuple[str, ...]:
    """The keys that the mapping which has ``location`` may have."""
    above = location[:-1]
    if above[:1] == ("resources",) and above[2:] == ("params",):
        return keys(score.PARAMS[source.data["resources"][above[1]]["type"]])
    model = _found(_OF_PACKAGES if source.path.name == package.FILE else score.MODELS, above)
    return keys(model) if model else ()


def _found(patterns: Mapping[tuple[str, ...], V], location: Location) -> V | None:
    """The value of the pattern that matches ``location``; a star stands for any part."""
    for pattern, value in patterns.items():
        if len(pattern) == len(location) and all(
            part in ("*", str(given)) for part, given in zip(pattern, location, strict=True)
        ):
            return value
    return None
