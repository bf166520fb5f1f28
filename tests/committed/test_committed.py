"""The contract suite: claims on the clusters.yaml, dist/ and overlays/ of this checkout.

Each follows from the registry, whatever fleet it describes, so they hold in every fork after
`make update`. `python -m pytest tests/committed` runs them alone.
"""

import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import pytest

from tests.objects import ROOT, holds_a_secret, read

DIST: Final = ROOT / "dist"
OVERLAYS: Final = ROOT / "overlays"

CHECKS: Final = {
    "dist is fresh and valid": ("main.py", "--validate", "--diff"),
    "clusters.schema.json is fresh": ("-m", "fleet", "schema", "--check"),
    "the documents are fresh": ("-m", "fleet", "docs", "--check"),
    "upstream.lock has what is used": ("-m", "fleet", "lock", "--check"),
}
"""Commands that write nothing, and fail where `make update` would change a file."""


@pytest.mark.parametrize("arguments", CHECKS.values(), ids=CHECKS)
def test_generated_files(arguments: Sequence[str]) -> None:
    result = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"run `make update`\n{result.stdout}{result.stderr}"


def test_every_overlay_is_applied() -> None:
    overlays = {file.parent.relative_to(OVERLAYS) for file in OVERLAYS.glob("*/*/*.yaml")}
    named = {
        file.parent.relative_to(DIST): read(file).get("components", [])
        for file in DIST.glob("*/*/kustomization.yaml")
    }
    assert {folder: names for folder, names in named.items() if names} == {
        folder: [f"../../../overlays/{folder.as_posix()}"] for folder in overlays
    }


def test_no_file_holds_a_password() -> None:
    files = [ROOT / "clusters.yaml", *DIST.rglob("*"), *OVERLAYS.rglob("*")]
    assert [file for file in files if holds_a_secret(file)] == []
