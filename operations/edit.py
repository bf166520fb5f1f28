"""Changes values of clusters.yaml where they stand, and nothing else that a person wrote there."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from charts.catalogue import load
from fleet.atomic import replacement
from fleet.diagnostics import Location, shown
from fleet.errors import InputError
from fleet.source import read


def change(path: Path, values: Mapping[tuple[str, ...], tuple[str, str]]) -> None:
    """Replaces for each cluster and key in it the value before by the one after, on its line.

    A key is a path: ``("us-east", "apps", "foobar-api", "image")``.

    Raises InputError, also for what the registry does not take; then nothing is written.
    """
    source = read(path)
    lines = path.read_text("utf-8").splitlines(keepends=True)
    for (cluster, *key), (before, after) in values.items():
        place = source.places[_location(source.data, cluster, key)]
        # What follows white space could be a comment, and on the next line another key.
        if re.search(r"\s", after):
            raise InputError(f"{path}:{place.line}: {shown(after)} has white space; write one word")
        line = lines[place.line - 1]
        if line.count(before) != 1:
            raise InputError(
                f"{path}:{place.line}: does not hold {before} on one line with its key; "
                "write it so, or edit it by hand"
            )
        lines[place.line - 1] = line.replace(before, after)
    with replacement(path) as new:
        new.write_text("".join(lines), "utf-8", newline="")
        try:
            load(new)
        except InputError as error:
            told = (problem.replace(str(new), str(path)) for problem in error.problems)
            raise InputError(*told) from None


def _location(
    data: Mapping[str, list[Mapping[str, str]]], cluster: str, key: Sequence[str]
) -> Location:
    (at,) = (at for at, entry in enumerate(data["clusters"]) if entry.get("name") == cluster)
    return ("clusters", at, *key)
