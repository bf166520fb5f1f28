"""Configuration of programs as text in a ConfigMap, and what restarts them when it changes."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from fleet.documents import dump

CHECKSUM: Final = "checksum/config"


def as_yaml(value: Mapping[str, Any]) -> str:
    """``value`` as the YAML that a program reads, keys in the order given."""
    return dump(value, width=96)


def checksum(*texts: str) -> dict[str, str]:
    """A pod's annotation that changes with ``texts``, for programs that read them at start."""
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    return {CHECKSUM: digest[:16]}
