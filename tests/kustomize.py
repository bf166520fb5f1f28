"""The kustomize that tests build folders of dist with."""

from collections.abc import Sequence
from typing import Final

import pytest

from rendering.validation import build, memory
from rendering.validation.memory import Memory


def program() -> Sequence[str]:
    """The command that builds a folder; skips the test where there is none."""
    return build.program() or pytest.skip(
        "needs kustomize or kubectl on the PATH (`make tools` builds kustomize)"
    )


MEMORY: Final = Memory(memory.folder())
"""What was built before, here and by other workers: entries are addressed by their content."""
