"""Which Pythons are supported: pyproject.toml says so, and everything else agrees."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import foobar_api
from fleet import supported_pythons
from tests.objects import ROOT

OLDEST, NEWEST = supported_pythons()
RANGE = f"Python 3.{OLDEST} to 3.{NEWEST}"


def under(version: tuple[int, int, int], code: str) -> subprocess.CompletedProcess[str]:
    """Runs ``code`` on a Python that takes itself for another version."""
    program = f"import sys; sys.version_info = {version}; sys.path.insert(0, {str(ROOT)!r}); {code}"
    return subprocess.run(
        # No package is there, as on a Python that the requirements refuse.
        [sys.executable, "-S", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("version", [(3, OLDEST - 1, 9), (3, NEWEST + 1, 0)])
@pytest.mark.parametrize(
    "code",
    [
        "import runpy; runpy.run_path('main.py', run_name='__main__')",
        "import runpy; runpy.run_module('fleet', run_name='__main__')",
        "import tests",
    ],
)
def test_another_python_is_refused_in_one_sentence(
    version: tuple[int, int, int], code: str
) -> None:
    result = under(version, code)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"needs {RANGE}, and {sys.executable} is Python {'.'.join(map(str, version))}; make a "
        f"virtual environment with one of those: python3.{NEWEST} -m venv .venv\n"
    )


def test_the_app_refuses_an_older_python() -> None:
    assert foobar_api.OLDEST_PYTHON == (3, OLDEST)
    code = "import runpy; runpy.run_module('foobar_api', run_name='__main__')"
    result = under((3, OLDEST - 1, 9), code)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"foobar_api: needs Python 3.{OLDEST} or newer, and {sys.executable} is Python "
        f"3.{OLDEST - 1}.9\n"
    )


@pytest.mark.parametrize(
    "file",
    ["main.py", "fleet/__init__.py", "tests/__init__.py", "foobar_api/__init__.py"],
)
def test_an_old_python_can_read_what_refuses_it(file: str) -> None:
    """In the syntax of Python 3.6, as far as the compiler knows it."""
    ast.parse((ROOT / file).read_text("utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/operations.md"])
def test_documents_name_the_same_versions(document: str) -> None:
    named = re.findall(r"Python 3\.\d+[^.\n]*3\.\d+", (ROOT / document).read_text("utf-8"))
    assert named == [RANGE]


def test_github_runs_the_oldest_and_the_newest() -> None:
    workflows = Path(ROOT, ".github", "workflows")
    jobs = yaml.safe_load((workflows / "checks.yaml").read_text("utf-8"))["jobs"]
    assert jobs["check"]["strategy"]["matrix"]["python"] == [f"3.{OLDEST}", f"3.{NEWEST}"]
    for workflow in workflows.glob("*.yaml"):
        for version in re.findall(r'python-version: "(.+)"', workflow.read_text("utf-8")):
            assert version == f"3.{NEWEST}"
