"""The steps of "From nothing to a second app" in docs/applications.md, for tests to take."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import yaml

from tests.objects import ROOT, read

DOCUMENT: Final = ROOT / "docs" / "applications.md"
TITLE: Final = "From nothing to a second app in ten minutes"
ON_CLUSTERS: Final = re.compile("git push|python -m fleet (bootstrap|status)|curl|kubectl")
"""How the commands begin that work on running clusters, which only tests/live has."""


@dataclass(frozen=True)
class Step:
    """A command, or what a person adds to a region in clusters.yaml."""

    kind: Literal["sh", "yaml"]
    text: str

    @property
    def on_clusters(self) -> bool:
        return self.kind == "sh" and bool(ON_CLUSTERS.match(self.text))


def steps() -> list[Step]:
    """All steps in the order in which the document has them."""
    text = DOCUMENT.read_text("utf-8")
    found = re.search(rf"^## {TITLE}\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    assert found, TITLE
    return list(_steps(found[1]))


def _steps(section: str) -> Iterator[Step]:
    blocks = re.findall(r"^ *```(sh|yaml)\n(.*?)^ *```$", section, re.DOTALL | re.MULTILINE)
    for kind, block in blocks:
        if kind == "yaml":
            yield Step("yaml", block)
            continue
        for line in block.replace("\\\n", " ").splitlines():
            yield Step("sh", " ".join(line.split()))


def add_apps(registry: Path, entry: str) -> None:
    """Adds the apps of ``entry``, a cluster with its name, to those that it has."""
    (wanted,) = yaml.safe_load(entry)
    content = read(registry)
    (cluster,) = (each for each in content["clusters"] if each["name"] == wanted["name"])
    cluster["apps"] = {**cluster.get("apps", {}), **wanted["apps"]}
    registry.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
