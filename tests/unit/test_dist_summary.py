"""What a reviewer reads in the job summary of a pull request."""

import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.objects import ROOT

_MODULE: dict[str, Any] = runpy.run_path(str(ROOT / ".github" / "dist_summary.py"))
summary: Callable[..., str] = _MODULE["summary"]
committed: Callable[[str], dict[str, bytes]] = _MODULE["committed"]

BEFORE = {
    "eu-west/traefik/Deployment.traefik.yaml": b"kind: Deployment\nreplicas: 2\n",
    "us-east/traefik/Deployment.traefik.yaml": b"kind: Deployment\nreplicas: 2\n",
    "us-east/traefik/Service.traefik.yaml": b"kind: Service\n",
}


def test_nothing_changes() -> None:
    assert summary(BEFORE, BEFORE, base="main") == (
        "### No cluster changes\n\nEverything renders as in main.\n"
    )


def test_a_change_is_told_by_cluster_and_shown_once() -> None:
    """A region that changes as one above it does is one line, not the same diff again."""
    after = {name: text.replace(b"2", b"3") for name, text in BEFORE.items()}
    del after["us-east/traefik/Service.traefik.yaml"]
    after["us-east/traefik/Service.traefik.yaml"] = BEFORE["us-east/traefik/Service.traefik.yaml"]
    text = summary(BEFORE, after, base="main")
    assert "| eu-west | traefik: 1 changed |" in text
    assert "| us-east | traefik: 1 changed |" in text
    assert text.count("+replicas: 3") == 1
    assert "us-east / traefik: 1 changed, the same as in eu-west" in text


def test_added_and_removed_files_are_counted_apart() -> None:
    after = dict(BEFORE)
    del after["us-east/traefik/Service.traefik.yaml"]
    after["us-east/traefik/ConfigMap.new.yaml"] = b"kind: ConfigMap\n"
    text = summary(BEFORE, after, base="main")
    assert "| us-east | traefik: 1 added, 1 removed |" in text


def test_it_stays_under_the_limit() -> None:
    """What does not fit is counted, never cut in the middle."""
    after = {f"{name}-{at}": b"x: 1\n" * 50 for at in range(20) for name in ("a/b/c", "d/e/f")}
    text = summary({}, after, base="main", limit=2000)
    assert len(text.encode()) <= 2000
    assert "more left out" in text
    assert text.count("<details>") == text.count("</details>")


def test_text_that_looks_like_markdown_stays_text() -> None:
    """A fence in a file does not end the fence around it."""
    text = summary({}, {"a/b/c": b"```\n</details>\n"}, base="main")
    assert "\n````diff\n" in text


def test_a_revision_without_dist_is_empty() -> None:
    assert committed("not-a-revision") == {}


def test_a_revision_is_read_from_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in {**BEFORE, "../README.md": b"outside dist"}.items():
        file = tmp_path / "dist" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (
        ("init", "--quiet"),
        ("add", "."),
        (*identity, "commit", "--quiet", "--message", "first"),
    ):
        subprocess.run(["git", *command], check=True)
    assert committed("HEAD") == BEFORE
