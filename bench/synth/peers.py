"""The peers by name, and the programs that they need."""

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from bench.synth.contenders import Contender, pyyaml
from bench.synth.helm import helm
from bench.synth.kustomize import kustomize, program
from bench.synth.template import Template, each, whole

Peer: TypeAlias = Callable[[Template, Path], Contender]

PEERS: Final[Mapping[str, Peer]] = {
    "pyyaml": pyyaml,
    "helm": partial(helm, "helm", whole),
    "helm-each": partial(helm, "helm-each", each),
    "kustomize": partial(kustomize, "kustomize", whole),
    "kustomize-each": partial(kustomize, "kustomize-each", each),
}


def missing_tool(peer: str) -> str | None:
    """What has to be on the PATH for ``peer`` and is not."""
    tools = {"helm": "helm", "kustomize": program()[0]}
    tool = tools.get(peer.partition("-")[0])
    return tool if tool and not shutil.which(tool) else None
