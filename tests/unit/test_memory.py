"""What kustomize built is used again for the same content only, and is then the same."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rendering.validation import build
from rendering.validation.build import Build
from rendering.validation.memory import UNUSED_SECONDS, Memory

OUTPUT = "kind: ConfigMap\ndata: {a: '1', b: ''}\nlist: [1, 1.5, true, null]\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of dist with an overlay that uses a folder which others may use as well."""
    for folder, text in {
        "dist/eu/web": "resources: [web.yaml]\ncomponents: [../../../overlays/eu/web]\n",
        "overlays/eu/web": "components: [../../../shared]\n",
        "shared": "patches: [{path: patch.yaml}]\n",
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "kustomization.yaml").write_text(text)
    (tmp_path / "dist/eu/web/web.yaml").write_text("kind: ConfigMap\n")
    (tmp_path / "shared/patch.yaml").write_text("kind: ConfigMap\n")
    write_program(tmp_path)
    return tmp_path


def write_program(root: Path, *, output: str = OUTPUT, status: int = 0) -> None:
    """A kustomize that counts its runs."""
    (root / "output").write_text(output)
    program = root / "program"
    program.write_text(
        f"#!/bin/sh\necho run >> {root}/runs\ncat {root}/output\nexit {status}\n# {output!r}\n"
    )
    program.chmod(0o755)


def built(root: Path) -> Build:
    return build.built(
        (str(root / "program"),),
        [("eu", "web")],
        dist=root / "dist",
        overlays=root / "overlays",
        mirror=None,
        memory=Memory(root / "memory"),
    )


def runs(root: Path) -> int:
    return len((root / "runs").read_text().splitlines())


def test_a_build_is_remembered(root: Path) -> None:
    first, second = built(root), built(root)
    assert runs(root) == 1
    assert first.objects[("eu", "web")]
    assert first == second


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "dist/eu/web/web.yaml").write_text("kind: Secret\n"),
        lambda root: (root / "dist/eu/web/other.yaml").touch(),
        lambda root: (root / "overlays/eu/web/other.yaml").touch(),
        lambda root: (root / "shared/patch.yaml").write_text("kind: Secret\n"),
        lambda root: write_program(root, output="kind: Secret\n"),
    ],
    ids=["a file", "a new file", "its overlay", "what an overlay leads to", "the program"],
)
def test_what_has_changed_is_built_again(root: Path, change: Callable[[Path], object]) -> None:
    built(root)
    change(root)
    built(root)
    assert runs(root) == 2


def test_what_was_refused_is_built_again(root: Path) -> None:
    write_program(root, status=1)
    assert built(root).refused == built(root).refused != {}
    assert runs(root) == 2


@pytest.mark.parametrize("output", ["date: 2026-01-01\n", "1: a key that is a number\n"])
def test_what_json_cannot_hold_is_built_again(root: Path, output: str) -> None:
    write_program(root, output=output)
    assert built(root).objects == built(root).objects
    assert runs(root) == 2


def test_what_nothing_uses_goes(root: Path) -> None:
    built(root)
    (entry,) = (root / "memory").iterdir()
    long_ago = time.time() - UNUSED_SECONDS - 1
    os.utime(entry, (long_ago, long_ago))
    (root / "dist/eu/web/other.yaml").touch()
    built(root)
    assert entry not in list((root / "memory").iterdir())
    assert len(list((root / "memory").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_no_fault(root: Path) -> None:
    (root / "memory").touch()
    assert built(root) == built(root)
    assert runs(root) == 2
