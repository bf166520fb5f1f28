"""main.py as a person runs it: what it writes, what it leaves alone, and what it says."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rendering.diff import compare
from tests.objects import MAIN

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(project: Path) -> Run:
    """Runs main.py on the sample fleet."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MAIN, *map(str, arguments)],
            cwd=project,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def first(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A render of the sample fleet by the command itself; tests copy it before they change it."""
    dist = tmp_path_factory.mktemp("main") / "dist"
    result = run("--output", dist)
    assert (result.returncode, result.stderr) == (0, "")
    return dist


@pytest.fixture
def dist(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path / "dist")
    return tmp_path / "dist"


def alone(dist: Path) -> bool:
    """Nothing stands beside ``dist`` that a run has left."""
    return [each.name for each in dist.parent.iterdir()] == [dist.name]


def test_it_writes_what_render_gives(first: Path, rendered: Path) -> None:
    assert compare(rendered, first) == []
    assert alone(first)


def test_cdk8s_names_the_folder(run: Run, first: Path, tmp_path: Path) -> None:
    """`cdk8s synth` runs it with CDK8S_OUTDIR."""
    result = run(CDK8S_OUTDIR=str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    assert compare(first, tmp_path / "out") == []


def test_stale_files_go_away(run: Run, dist: Path, first: Path) -> None:
    shutil.copytree(dist / "us-east", dist / "retired")
    assert run("--output", dist).returncode == 0
    assert compare(first, dist) == []
    assert alone(dist)


def test_diff_tells_and_writes_nothing(run: Run, dist: Path) -> None:
    file = dist / "us-east" / "foobar-api" / "PodDisruptionBudget.foobar-api.yaml"
    changed = file.read_text().replace("maxUnavailable: 1", "maxUnavailable: 2")
    file.write_text(changed)
    (dist / "eu-west" / "traefik" / "Deployment.traefik.yaml").unlink()
    service = (dist / "us-east" / "traefik" / "Service.traefik.yaml").read_text()
    more = service.replace("  name: traefik\n", "  name: more\n", 1)
    (dist / "tooling" / "argocd" / "Service.more.yaml").write_text(more)
    result = run("--output", dist, "--diff")
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        "eu-west",
        "  traefik",
        "    + Deployment/traefik",
        "tooling",
        "  argocd",
        "    - Service/more",
        "us-east",
        "  foobar-api",
        "    ~ PodDisruptionBudget/foobar-api",
        "        spec.maxUnavailable: 2 → 1",
        "1 to add, 1 to change, 1 to remove",
    ]
    assert file.read_text() == changed
    assert alone(dist)


def test_diff_of_what_is_fresh(run: Run, dist: Path) -> None:
    result = run("--output", dist, "--diff")
    assert (result.returncode, result.stdout) == (0, f"{dist}: up to date\n")


def test_one_cluster_alone(run: Run, dist: Path, first: Path) -> None:
    """The others stay as they are on disk, stale or not."""
    for cluster in ("us-east", "eu-west"):
        (dist / cluster / "traefik" / "Deployment.traefik.yaml").unlink()
    assert run("--output", dist, "--cluster", "us-east").returncode == 0
    assert [change.cluster for change in compare(first, dist)] == ["eu-west"]
    assert alone(dist)
    result = run("--output", dist, "--cluster", "us-east", "--diff")
    assert (result.returncode, result.stdout) == (0, f"{dist}: up to date\n")


def test_an_unknown_cluster(run: Run, dist: Path) -> None:
    result = run("--output", dist, "--cluster", "us-west")
    assert result.returncode == 2
    assert result.stderr == "us-west: no such cluster; the fleet has tooling, us-east, eu-west\n"


def test_a_file_in_place_of_the_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("")
    result = run("--output", tmp_path / "dist")
    assert result.returncode == 2
    assert result.stderr == f"{tmp_path / 'dist'}: is a file; name a folder to render into\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("until", [".dist-*", ".dist-*/*/*/*.yaml"], ids=["at once", "in writing"])
def test_an_interrupted_run_changes_nothing(
    project: Path, dist: Path, first: Path, number: signal.Signals, until: str
) -> None:
    """Whenever it ends: the old dist is whole, nothing else is left, there is no traceback."""
    before = compare(first, dist)
    status, error = interrupted(number, project, dist, until)
    while status == 0:  # on a busy machine it may be done before it is interrupted
        status, error = interrupted(number, project, dist, until)
    assert status == 130, error
    assert "Traceback" not in error
    assert compare(first, dist) == before
    assert alone(dist)


def interrupted(number: signal.Signals, project: Path, dist: Path, until: str) -> tuple[int, str]:
    """Sends a signal once ``until`` matches; main.py's exit status and what it printed."""
    process = subprocess.Popen(
        [*MAIN, "--output", str(dist)],
        cwd=project,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What a shell starts in the background is deaf to ^C, and so is all that it starts.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )
    while process.poll() is None and not any(dist.parent.glob(until)):
        time.sleep(0.002)
    process.send_signal(number)
    _, error = process.communicate()
    return process.returncode, error


def test_a_run_that_died_between_the_renames_is_mended(run: Run, dist: Path) -> None:
    """The old folder is whole under another name; the next run puts it back before it starts."""
    dist.rename(dist.with_name(".dist.previous"))
    result = run("--output", dist, "--diff")
    assert (result.returncode, result.stdout) == (0, f"{dist}: up to date\n")
    assert alone(dist)


def test_folders_that_would_be_left_out_are_named(project: Path, tmp_path: Path) -> None:
    """main.py reads overlays of the current folder; a registry elsewhere may have its own."""
    result = subprocess.run(
        [*MAIN, "--fleet", str(project / "clusters.yaml"), "--output", str(tmp_path / "dist")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert f"{project / 'overlays'}: would be left out" in result.stderr
    assert f"run main.py in {project}" in result.stderr


def test_apps_are_those_beside_the_registry(project: Path, tmp_path: Path) -> None:
    """Wherever main.py runs."""
    elsewhere, current = tmp_path / "elsewhere", tmp_path / "current"
    shutil.copytree(project, elsewhere, ignore=shutil.ignore_patterns("overlays"))
    (current / "apps").mkdir(parents=True)
    (current / "apps" / "wrong.yaml").write_text("apps of another fleet")
    result = subprocess.run(
        [*MAIN, "--fleet", str(elsewhere / "clusters.yaml"), "--cluster", "us-east"],
        cwd=current,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert (current / "dist" / "us-east" / "foobar-api" / "kustomization.yaml").is_file()


def test_a_folder_that_argo_cd_would_not_read_is_named(project: Path, tmp_path: Path) -> None:
    """As with `--fleet staging.yaml --output dist-staging`, where the registry says nothing."""
    checkout = tmp_path / "checkout"
    shutil.copytree(project, checkout)
    staging = (checkout / "clusters.yaml").read_text()
    for name in ("tooling", "us-east", "eu-west"):
        staging = staging.replace(f"name: {name}", f"name: {name}-staging")
    notes = []
    for text in (staging, staging.replace("git:", "git:\n  folder: dist-staging", 1)):
        (checkout / "staging.yaml").write_text(text)
        result = subprocess.run(
            [*MAIN, "--fleet", "staging.yaml", "--output", "dist-staging"],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert (checkout / "dist-staging" / "tooling-staging" / "argocd").is_dir()
        notes.append(result.stderr)
    assert notes == [
        (
            "dist-staging: Argo CD reads dist/; if it should read this folder, set git.folder to "
            "dist-staging\n"
        ),
        "",
    ]
