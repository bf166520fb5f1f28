"""Programs that some tests run, and that not every machine has."""

import shutil

import pytest


def program(name: str) -> str:
    """The path of the program; skips the test where there is none."""
    found = shutil.which(name)
    if not found:
        pytest.skip(f"needs {name} on the PATH")
    return found
