"""The kustomize that tests build folders of dist with."""

from collections.abc import Sequence

import pytest

from rendering.validation import build


def program() -> Sequence[str]:
    """The command that builds a folder; skips the test where there is none."""
    return build.program() or pytest.skip(
        "needs kustomize or kubectl on the PATH (`make tools` builds kustomize)"
    )
