"""Builds folders of dist with the real kustomize, its remote resources taken from a mirror."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.objects import read, read_stream


def program() -> Sequence[str]:
    """The command that builds a folder; skips the test where there is none."""
    if shutil.which("kustomize"):
        return ("kustomize", "build")
    if shutil.which("kubectl"):
        return ("kubectl", "kustomize")
    pytest.skip("needs kustomize or kubectl on the PATH (`make tools` builds kustomize)")


def build(command: Sequence[str], folder: Path, mirror: Path) -> list[dict[str, Any]]:
    """The objects that ``folder`` comes to; ``folder`` is changed to use local files only."""
    for file in folder.rglob("kustomization.yaml"):
        kustomization = read(file)
        for at, resource in enumerate(kustomization["resources"]):
            if resource.startswith("https://"):
                local = f"remote-{at}.yaml"
                shutil.copy(mirrored(mirror, resource), file.parent / local)
                kustomization["resources"][at] = local
        file.write_text(yaml.safe_dump(kustomization))
    result = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "deprecated" not in result.stderr, result.stderr
    return read_stream(result.stdout)


def mirrored(mirror: Path, url: str) -> Path:
    return mirror / url.removeprefix("https://")
