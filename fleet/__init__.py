"""The registry of the fleet, and the commands that work on it. Makes no Kubernetes object.

Importing this package ends the program on a Python that ``requires-python`` in pyproject.toml does
not allow. Every entry point imports it before anything that such a Python may fail on, so this
module itself has to run on any Python 3.
"""

import re
import sys
from pathlib import Path


def supported_pythons() -> "tuple[int, int]":
    """The oldest and the newest minor version of Python 3 that pyproject.toml allows."""
    pyproject = Path(__file__).resolve().parent.parent / "pyproject.toml"
    # tomllib is younger than the versions to be refused.
    for line in pyproject.read_text("utf-8").splitlines():
        bounds = re.match(r'requires-python = ">=3\.(\d+),<3\.(\d+)"$', line)
        if bounds:
            return int(bounds.group(1)), int(bounds.group(2)) - 1
    raise ValueError(f"{pyproject}: requires-python is not '>=3.x,<3.y'")


def _refuse_other_pythons() -> None:
    oldest, newest = supported_pythons()
    if not (3, oldest) <= sys.version_info[:2] <= (3, newest):
        this = ".".join(str(part) for part in sys.version_info[:3])
        print(
            f"needs Python 3.{oldest} to 3.{newest}, and {sys.executable} is Python {this}; "
            f"make a virtual environment with one of those: python3.{newest} -m venv .venv",
            file=sys.stderr,
        )
        sys.exit(2)


_refuse_other_pythons()
