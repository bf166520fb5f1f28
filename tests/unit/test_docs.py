"""What the documents say is so: links, commands, keys and drawings."""

import argparse
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from charts import diagrams
from fleet.__main__ import COMMANDS
from fleet.registry import ROLE_COMPONENTS, Fleet
from operations import status, terminal
from operations.status import NONE, Cell, Row
from tests.objects import MAIN, OVERLAYS, ROOT, SAMPLE

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("bench/*.md"),
        ROOT / "foobar_api" / "README.md",
    ]
)


def commands(text: str) -> Iterator[str]:
    """Each line of code, in blocks and in backticks."""
    for block in re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.removeprefix("$ ").strip()
    yield from re.findall(r"`([^`\n]+)`", text)


def test_every_drawing_has_a_place(fleet: Fleet) -> None:
    text = diagrams.draw(diagrams.DOCUMENT.read_text("utf-8"), fleet)
    assert set(re.findall(r"<!-- diagram: (\S+) -->", text)) == set(diagrams.DIAGRAMS)
    assert text == diagrams.draw(text, fleet)


def test_the_dependencies_are_those_of_the_objects(fleet: Fleet) -> None:
    """The drawing has the arrows that a reader of foobar_api.py expects."""
    lines = list(diagrams.DIAGRAMS["dependencies"](fleet))
    arrows = {line.strip() for line in lines if line.strip().startswith("region-foobar-api --")}
    assert arrows == {
        'region-foobar-api -- "CRDs, issuer" --> region-cert-manager',
        'region-foobar-api -- "CRDs, ingress class, lets it read" --> region-traefik',
        'region-foobar-api -- "priority class" --> region-baseline',
        'region-foobar-api -- "CPU figures" --> region-metrics-server',
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """In every fork: below dist/ and overlays/ is what a fleet has, and so no target of a link."""
    for target in re.findall(r"\]\(([^)#\s]+)", document.read_text("utf-8")):
        if not target.startswith(("https://", "http://", "mailto:")):
            path = Path(os.path.normpath(document.parent / target)).relative_to(ROOT)
            assert (ROOT / path).exists(), target
            assert len(path.parts) == 1 or path.parts[0] not in ("dist", "overlays"), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_exist(document: Path, rendered: Path) -> None:
    """Those in backticks that start with a folder of the repository, or of the sample fleet."""
    tops = "charts|fleet|imports|overlays|dist|tests|bench|docs|foobar_api|.github"
    for path in re.findall(rf"`((?:{tops})/[^`\s<>*]*)`", document.read_text("utf-8")):
        # An example of a new region is not there, nor is what a measurement writes.
        if "ap-south" not in path and not path.startswith("bench/out"):
            top, _, rest = path.partition("/")
            folder = {"dist": rendered, "overlays": OVERLAYS}.get(top, ROOT / top)
            assert (folder / rest).exists(), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        found[1]
        for command in commands(document.read_text("utf-8"))
        if (found := re.match(r"make(?: --\S+)* ([a-z-]+)", command))
    }
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_exist(document: Path, main_options: set[str]) -> None:
    """Of main.py and of the commands of `python -m fleet`."""
    for command in commands(document.read_text("utf-8")):
        if found := re.match(r"python main\.py(.*)", command):
            assert set(re.findall(r"--[a-z-]+", found[1])) <= main_options, command
        if found := re.match(r"python -m fleet ([a-z]+)(.*)", command):
            assert found[1] in COMMANDS, command
            options = options_of(found[1])
            assert set(re.findall(r"--[a-z-]+", found[2])) <= options, command


@pytest.fixture(scope="module")
def main_options(project: Path) -> set[str]:
    result = subprocess.run(
        [*MAIN, "--help"], cwd=project, capture_output=True, text=True, check=True
    )
    return set(re.findall(r"--[a-z-]+", result.stdout))


def options_of(command: str) -> set[str]:
    parser = argparse.ArgumentParser()
    __import__(COMMANDS[command].module, fromlist=["configure"]).configure(parser)
    return set(re.findall(r"--[a-z-]+", parser.format_help()))


def test_the_two_commands_are_those_that_ci_runs() -> None:
    """On an environment that has requirements.txt and nothing else."""
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    for command in ("pip install -r requirements.txt && python main.py", "python -m pytest"):
        assert f"\n```sh\n{command}\n```\n" in readme
    assert "pip install --quiet -r requirements.txt" in ci
    assert '"$work/venv/bin/python" main.py' in ci
    assert '"$work/venv/bin/python" -m pytest\n' in ci


def test_the_readme_shows_what_the_command_prints(
    project: Path, rendered: Path, tmp_path: Path
) -> None:
    """The tour's diff, word for word, for the sample fleet."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"\$ python main\.py --diff\n(.*?)```", readme, re.DOTALL)
    registry = tmp_path / "clusters.yaml"
    text = SAMPLE.read_text("utf-8")
    registry.write_text(text.replace("foobar-api:1.0.0", "foobar-api:1.1.0", 1), "utf-8")
    result = subprocess.run(
        [*MAIN, "--diff", "--fleet", str(registry), "--output", str(rendered)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.stdout, result.returncode) == (shown, 1)


def test_the_readme_shows_status_as_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """On a good day: what such rows come to, word for word."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"\$ python -m fleet status\n(.*?)```", readme, re.DOTALL)
    yes, certificate, app = Cell("yes"), Cell("Let's Encrypt, 61 d"), Cell("passthrough")
    rows = [
        Row(
            name,
            yes,
            Cell(f"{parts}/{parts}"),
            certificate,
            app if role == "region" else NONE,
            Cell(f"{sample} s ago"),
            Cell(f"{line} s ago"),
            Cell("0"),
        )
        for name, role, parts, sample, line in (
            ("tooling", "hub", len(ROLE_COMPONENTS["hub"]), 12, 3),
            ("us-east", "region", len(ROLE_COMPONENTS["region"]), 8, 5),
            ("eu-west", "region", len(ROLE_COMPONENTS["region"]), 20, 2),
        )
    ]
    terminal.console().print(status.table(rows))
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == shown.splitlines()
