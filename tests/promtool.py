"""promtool evaluates rules as Prometheus does: `make tools` builds it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest

GAP: Final = re.compile(
    r"no value|  |\s[.,;:!?]|^\s|\s$|^$|\(\)|''|\"\""
    # A slash with nothing on one side, and that of no URL, path or tag.
    r"|(?<![\w/)%>-])/|/(?![\w/<*])"
)
"""What a text looks like where a template has put in nothing."""


class Fired(NamedTuple):
    """An alert that fires, as it would be sent."""

    labels: Mapping[str, str]
    """But its name, which the test knows."""
    annotations: Mapping[str, str]


def path() -> str:
    """Where promtool is; skips the test if it is nowhere."""
    found = shutil.which("promtool")
    if not found:
        pytest.skip("needs promtool on the PATH (`make tools` builds it)")
    return found


def run(promtool: str, *arguments: str | Path) -> str:
    """All that promtool writes."""
    result = subprocess.run(
        [promtool, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return result.stdout + result.stderr


def fired(output: str) -> Iterator[tuple[str, Sequence[Fired]]]:
    """The alerts that promtool got where it expected none, with the name of the test."""
    for failure in re.split(r"^\s*name: ", output, flags=re.MULTILINE)[1:]:
        _, separator, got = failure.partition("got:[")
        found = re.findall(r"Labels:\{(.*?)\}\s+Annotations:\{(.*)\}", got)
        assert separator, output
        assert found, output
        yield (
            failure.partition(",")[0],
            [Fired(_nameless(labels(of)), labels(texts)) for of, texts in found],
        )


def _nameless(found: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in found.items() if name != "alertname"}


def labels(text: str) -> dict[str, str]:
    """Labels or annotations in Prometheus's notation."""
    return {
        name: json.loads(value) for name, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', text)
    }


def gaps(alert: Fired) -> list[str]:
    """The annotations of ``alert`` in which something is missing."""
    return [
        f"{name}: {text!r}"
        for name, text in alert.annotations.items()
        if name != "runbook_url" and GAP.search(text)
    ]
