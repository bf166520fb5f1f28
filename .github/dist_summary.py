"""Prints as Markdown what a change does to each cluster: the job summary a reviewer reads.

The dist of a base revision is compared with what this checkout renders, whether or not that was
committed. A change that a cluster shares with one shown before it is not shown again.
"""

import argparse
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from itertools import groupby
from pathlib import Path
from typing import Final

Tree = Mapping[str, bytes]
"""Files of a dist by path, <cluster>/<component>/<file>."""

LIMIT: Final = 1_000_000
"""Bytes; GitHub refuses a step's summary above 1 MiB."""

LONGEST: Final = 5_000
"""Lines of a file above which it is only counted: difflib's time grows with the square of them."""


@dataclass
class Component:
    """What changes in one component of one cluster."""

    cluster: str
    name: str
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def counts(self) -> str:
        told = {"added": self.added, "changed": self.changed, "removed": self.removed}
        return ", ".join(f"{len(files)} {how}" for how, files in told.items() if files)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="the revision to compare with")
    args = parser.parse_args()
    print(summary(committed(args.base), rendered(), base=args.base))
    return 0


def committed(revision: str) -> Tree:
    """The dist of ``revision``; empty if it has none, or if there is no such revision yet."""
    if subprocess.run(
        ["git", "ls-tree", "-d", revision, "dist"], capture_output=True, text=True, check=False
    ).stdout:
        archive = subprocess.run(
            ["git", "archive", "--format=zip", f"{revision}:dist"], capture_output=True, check=True
        ).stdout
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            return {name: files.read(name) for name in files.namelist() if name[-1] != "/"}
    return {}


def rendered() -> Tree:
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(folder, "dist")
        subprocess.run(
            [sys.executable, "main.py", "--output", str(dist)], stdout=sys.stderr, check=True
        )
        return {
            path.relative_to(dist).as_posix(): path.read_bytes()
            for path in dist.rglob("*")
            if path.is_file()
        }


def summary(before: Tree, after: Tree, *, base: str, limit: int = LIMIT) -> str:
    """Markdown of at most ``limit`` bytes: a line for each cluster, then the diffs that fit."""
    components = list(changes(before, after))
    if not components:
        return f"### No cluster changes\n\nEverything renders as in {base}.\n"

    text = "### What changes in the clusters\n\n"
    if not before:
        text += f"{base} has no dist: everything is new.\n\n"
    text += "| cluster | components |\n|---|---|\n"
    for cluster, theirs in groupby(components, key=lambda component: component.cluster):
        text += f"| {cluster} | {'; '.join(f'{one.name}: {one.counts}' for one in theirs)} |\n"

    rest = "\n{} more left out: this is as long as GitHub allows.\n"
    room = limit - len(text.encode()) - len(rest) - len(str(len(components)))
    shown: dict[tuple[str, ...], str] = {}
    for number, component in enumerate(components):
        section = details(component, same_as=shown.get(key(component)))
        room -= len(section.encode())
        if room < 0:
            return text + rest.format(len(components) - number)
        shown.setdefault(key(component), component.cluster)
        text += section
    return text


def changes(before: Tree, after: Tree) -> Iterator[Component]:
    """The components that differ, by cluster and name."""
    differing = sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
    for (cluster, name), paths in groupby(differing, key=lambda path: tuple(path.split("/")[:2])):
        component = Component(cluster, name)
        for path in paths:
            old, new = before.get(path), after.get(path)
            file = path.split("/", 2)[-1]
            if old is None:
                component.added.append(file)
            elif new is None:
                component.removed.append(file)
            else:
                component.changed.append(file)
            component.lines += diff(file, lines(old), lines(new))
        yield component


def lines(content: bytes | None) -> list[str]:
    return (content or b"").decode("utf-8", "replace").splitlines()


def diff(file: str, old: list[str], new: list[str]) -> Iterator[str]:
    if max(len(old), len(new)) > LONGEST:
        yield f"# {file}: {len(old)} lines before, {len(new)} after"
    else:
        yield from unified_diff(
            old, new, file if old else "/dev/null", file if new else "/dev/null", lineterm=""
        )


def key(component: Component) -> tuple[str, ...]:
    """Equal for components of two clusters that change in the same way."""
    return component.name, *(line.replace(component.cluster, "*") for line in component.lines)


def details(component: Component, *, same_as: str | None) -> str:
    title = f"{component.cluster} / {component.name}: {component.counts}"
    if same_as:
        return f"\n{title}, the same as in {same_as}\n"
    body = "\n".join(component.lines)
    fence = "```"
    while fence in body:
        fence += "`"
    return f"\n<details><summary>{title}</summary>\n\n{fence}diff\n{body}\n{fence}\n\n</details>\n"


if __name__ == "__main__":
    sys.exit(main())
