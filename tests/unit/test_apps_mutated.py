"""Whatever stands in an app's file, the loader accepts it or explains each fault once."""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from charts.catalogue import TAKEN
from fleet import apps
from fleet.errors import InputError
from tests.objects import APPS

FILES = [yaml.safe_load(file.read_text()) for file in sorted(APPS.glob("*.yaml"))]
KEYS: list[Any] = [
    "", "1", "/t", "A", "a b", "x", "before", "class", "files", "host", "id", "jobs", "keys",
    "metadata", "params", "path", "persistent", "protocol", "target", "volumes", 1, True, None,
]  # fmt: skip
VALUES: list[Any] = [
    None, True, -1, 0, 80, 8080, 1.5, 10**30, float("nan"), "", "\n", "\x07", "ä", "a b", "*" * 70,
    "x" * 300, "-a", "/x", "0.5", "1Gi", "512M", "UDP", "edge", "passthrough", "h2c", "${", "$",
    "${x}", "${resources.db}", "${resources.db.url}", "0 0 31 2 *", "* * * * 7", "Europe/Berln",
    "0.0.0.0/0", "https://user:word@example.org", [], ["a", 1], [[]], {}, {"x": {}},
    {"type": "secret"}, {"type": "certificate"}, {"type": "volume", "params": {"persistent": True}},
]  # fmt: skip
INSERTED = ["{", "}", '"', ":", "- ", "\t", "&a ", "*a", "!!x ", "%", "|", "<<: *a"]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document but its top."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items if isinstance(value, dict | list) else ():
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def mutate(document: Any, chance: random.Random) -> None:
    """Changes, removes, renames or adds one thing in ``document``."""
    *above, key = chance.choice(list(places(document)))
    parent = document
    for part in above:
        parent = parent[part]
    value = copy.deepcopy(chance.choice(VALUES))
    match chance.choice(["change", "change", "remove", "rename", "add"]):
        case "remove":
            del parent[key]
        case "rename" if isinstance(parent, dict):
            parent[chance.choice(KEYS)] = parent.pop(key)
        case "add" if isinstance(parent, dict):
            parent[chance.choice(KEYS)] = value
        case "add":
            parent.append(value)
        case _:
            parent[key] = value


def reported(path: Path) -> list[str]:
    try:
        apps.load(path.parent, TAKEN)
    except InputError as error:
        return list(error.problems)
    return []


@settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    # To shrink a failure takes minutes, and its message names the value already.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(chance=st.randoms(use_true_random=False))
def test_a_mutated_file_is_accepted_or_explained(tmp_path: Path, chance: random.Random) -> None:
    document = copy.deepcopy(chance.choice(FILES))
    path = tmp_path / f"{document['metadata']['name']}.yaml"
    for _ in range(chance.choice([1, 1, 2, 4])):
        if document:
            mutate(document, chance)
    text = yaml.safe_dump(document, allow_unicode=True)
    if chance.random() < 0.2:
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(INSERTED) + text[at:]
    path.write_text(text, "utf-8")
    problems = reported(path)
    assert len(set(problems)) == len(problems)
    for problem in problems:
        assert problem.startswith(f"{path}:")
        # In our words, on one line, and not in pydantic's.
        assert "\n" not in problem
        assert "Input should" not in problem
        # A credential is never shown.
        assert "word@" not in problem
    path.unlink()
