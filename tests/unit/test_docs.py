"""What the documents say is so: links, paths, commands, examples; test_docgen has the rest."""

import argparse
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from charts.catalogue import HUB, REGION, TAKEN
from commands import COMMANDS
from docgen import diagrams
from docgen.generate import documents
from fleet import apps
from fleet.registry import Fleet
from operations import promote, status, terminal
from operations.status import NONE, Cell, Row
from tests.objects import APPS, MAIN, ROOT, SAMPLE

# The changelog also names what is gone.
DOCUMENTS = [path for path in documents(ROOT) if path.name != "CHANGELOG.md"]


def commands(text: str) -> Iterator[str]:
    """Each command, in blocks and in backticks, without the variables that are set for it."""
    lines = re.findall(r"`([^`\n]+)`", text)
    for block in re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL):
        lines += block.replace("\\\n", " ").splitlines()
    for line in lines:
        for command in line.partition(" #")[0].split("&&"):
            yield re.sub(r"^(\w+=\S* )+", "", command.strip().removeprefix("$ "))


def test_the_dependencies_are_those_of_the_objects(fleet: Fleet) -> None:
    """The drawing has the arrows that a reader of foobar_api.py expects."""
    lines = list(diagrams.PARTS["diagram-dependencies"](fleet))
    ours = ("region-foobar-api --", "region-tenant-foobar-api --")
    arrows = {line.strip() for line in lines if line.strip().startswith(ours)}
    assert arrows == {
        'region-tenant-foobar-api -- "CRDs, issuer" --> region-cert-manager',
        'region-tenant-foobar-api -- "CRDs, ingress class, lets it read" --> region-traefik',
        'region-foobar-api -- "priority class" --> region-baseline',
        'region-foobar-api -- "CPU figures" --> region-metrics-server',
    }


every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


def anchors(document: Path) -> set[str]:
    """What a link may name after ``#``: GitHub makes it of each heading."""
    text = re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    """In every fork: what is below dist/ and overlays/ differs, so no link leads there."""
    for target in re.findall(r"\]\(([^)\s]+)", document.read_text("utf-8")):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), target
        top, *below = file.resolve().relative_to(ROOT).parts
        assert not below or top not in ("dist", "overlays"), target
        assert not anchor or anchor in anchors(file), target


@every_document
def test_paths_exist(document: Path) -> None:
    """Those in backticks that start with a folder of the repository."""
    tops = "charts|docgen|examples|fleet|imports|operations|tests|bench|docs|foobar_api|.github"
    for path in re.findall(rf"`((?:{tops})/[^`\s<>*]*)`", document.read_text("utf-8")):
        # What a measurement writes is not there.
        if not path.startswith("bench/out"):
            assert (ROOT / path).exists(), path


TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@every_document
def test_commands_exist(document: Path) -> None:
    """With their options: those of make, of main.py, of `python -m fleet` and of our modules."""
    for command in commands(document.read_text("utf-8")):
        program, _, rest = command.partition(" ")
        if program == "make" and (target := re.match(r"(?:--\S+ )*([a-z-]+)", rest)):
            assert target[1] in TARGETS, command
        elif found := re.match(r"python main\.py\b(.*)", command):
            assert options_in(found[1]) <= main_options(), command
        elif found := re.match(r"python -m fleet ([a-z]+)\b(.*)", command):
            assert found[1] in COMMANDS, command
            assert options_in(found[2]) <= options_of(found[1]), command
        elif found := re.match(r"python -m (?!fleet|pytest)([\w.]+)", command):
            assert importlib.util.find_spec(found[1]), command


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<!\S)--[a-z-]+", text))


@cache
def main_options() -> set[str]:
    result = subprocess.run(
        [*MAIN, "--help"], cwd=ROOT / "docs", capture_output=True, text=True, check=True
    )
    return set(re.findall(r"--[a-z-]+", result.stdout))


@cache
def options_of(command: str) -> set[str]:
    parser = argparse.ArgumentParser()
    importlib.import_module(COMMANDS[command].module).configure(parser)
    return set(re.findall(r"--[a-z-]+", parser.format_help()))


def test_the_two_commands_are_those_that_ci_runs() -> None:
    """On an environment that has requirements.txt and nothing else."""
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    for command in ("pip install -r requirements.txt && python main.py", "python -m pytest"):
        assert f"\n```sh\n{command}\n```\n" in readme
    assert "pip install --quiet -r requirements.txt" in ci
    assert '"$work/venv/bin/python" main.py' in ci
    assert '"$work/venv/bin/python" -m pytest\n' in ci


def test_the_readme_describes_an_app(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"```yaml\n(apiVersion: score.*?)```", readme, re.DOTALL)
    (tmp_path / "shop-api.yaml").write_text(shown)
    assert [*apps.load(tmp_path, TAKEN)] == ["shop-api"]


def test_the_readme_shows_what_the_command_prints(
    project: Path, rendered: Path, tmp_path: Path
) -> None:
    """The tour's diff, word for word, for the sample fleet."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"\$ python main\.py --diff\n(.*?)```", readme, re.DOTALL)
    shutil.copytree(APPS, tmp_path / "apps")
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


REGISTRY = """\
git: {repository: https://git.example.org/fleet.git, revision: main}
acme: {email: ops@foobar-platform.dev}
clusters:
  - {name: hub, role: hub, address: 198.51.100.1}
  - name: us-east
    role: region
    address: 198.51.100.2
    apps:
      foobar-api:
        hostname: us-east
        image: sjc.vultrcr.com/globalregistry/foobar-api:1.0.0
"""


def test_the_readme_shows_what_promote_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (image, shown) = re.findall(r"\$ python -m fleet promote --image (.*)\n(.*\n)", readme)[0]
    shutil.copytree(APPS, tmp_path / "apps")
    path = tmp_path / "clusters.yaml"
    path.write_text(REGISTRY)
    assert promote.run(argparse.Namespace(fleet=path, image=image, app=None)) == 0
    assert capsys.readouterr().out == shown


def test_the_readme_shows_status_as_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """On a good day: what such rows come to, word for word."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"\$ python -m fleet status\n(.*?)```", readme, re.DOTALL)
    # foobar-api, and what guards it.
    in_region = len(REGION) + 2
    yes, certificate, app = Cell("yes"), Cell("Let's Encrypt, 61 d"), Cell("passthrough")
    rows = [
        Row(
            name,
            yes,
            Cell("3"),
            Cell(f"{parts}/{parts}"),
            certificate,
            app if role == "region" else NONE,
            Cell(f"{sample} s ago"),
            Cell(f"{line} s ago"),
            Cell("0"),
        )
        for name, role, parts, sample, line in (
            ("tooling", "hub", len(HUB), 12, 3),
            ("us-east", "region", in_region, 8, 5),
            ("eu-west", "region", in_region, 20, 2),
        )
    ]
    terminal.console().print(status.table(rows))
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == shown.splitlines()
