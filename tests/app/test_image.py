"""What the image ships, run as it runs there, and the commands that build it and move it on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from foobar_api import VERSION
from tests.app.server import Pair, Server
from tests.objects import APPS, OVERLAYS, ROOT, SAMPLE

CONTAINERFILE = (ROOT / "foobar_api" / "Containerfile").read_text()


def run(*command: str, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory /app of the image, for the Python of the tests."""
    target = tmp_path_factory.mktemp("image") / "app"
    try:
        run(".ci/assemble", "foobar_api", str(target), PYTHON=sys.executable)
    except AssertionError as error:
        if "No matching distribution" in str(error) or "Temporary failure" in str(error):
            pytest.skip("needs the package index")
        raise
    return target


def test_it_ships_the_app_and_what_it_imports_and_no_more(shipped: Path) -> None:
    app = {each.name for each in (shipped / "foobar_api").iterdir()}
    assert {"__main__.py", "page.html", "openapi.yaml", "gunicorn.conf.py"} < app
    assert not app & {"Containerfile", "requirements.txt", "README.md"}
    assert not (shipped / "bin").exists()
    assert not list(shipped.rglob("tests"))
    assert not list(shipped.rglob("*.[ch]"))
    for source in shipped.rglob("*.py"):
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")), source


def test_its_bytecode_does_not_go_by_the_clock(shipped: Path) -> None:
    for compiled in shipped.rglob("*.pyc"):
        flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
        assert flags == 0b01, compiled  # by hash, unchecked: PEP 552


ISOLATE = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/app /mnt/python /mnt/cert
mount --bind "$APP" /mnt/app
mount --bind "$BASE" /mnt/python
mount --bind "$CERT" /mnt/cert
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -o remount,bind,ro /mnt
mount -o remount,bind,ro /
cd /mnt/app
exec setpriv --reuid=65532 --regid=65532 --clear-groups --no-new-privs --bounding-set=-all \\
  env -i PYTHONPATH=/mnt/app PYTHONHOME=/mnt/python LD_LIBRARY_PATH=/mnt/python/lib TMPDIR=/tmp \\
  PYTHONDONTWRITEBYTECODE=1 "/mnt/python/bin/$NAME" -m foobar_api "$@"
"""
"""As the container runs it: a user without rights, a root that cannot be written, /tmp that can."""


class Shipped(Server):
    """A server from the directory that the image ships."""

    app: Path

    def _start(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        assert self.pair
        options = [
            each.replace(str(self.pair.folder), "/mnt/cert")
            for each in command[command.index("foobar_api") + 1 :]
        ]
        isolate = [
            "unshare",
            "--mount",
            "--fork",
            "--kill-child=SIGTERM",
            "sh",
            "-c",
            ISOLATE,
            "sh",
        ]
        super()._start(
            [*isolate, *options],
            folder,
            {
                **environment, "APP": str(self.app), "BASE": sys.base_prefix,
                "CERT": str(self.pair.folder),
                "NAME": f"python{sys.version_info.major}.{sys.version_info.minor}",
            },
        )  # fmt: skip


@pytest.fixture
def isolated(shipped: Path, pair: Pair, tmp_path: Path) -> Iterator[Server]:
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("needs root, unshare and setpriv to make a root that cannot be written")
    # As kubelet mounts it for the group of a pod.
    for each in pair.folder.rglob("*"):
        each.chmod(0o755 if each.is_dir() else 0o644)
    Shipped.app = shipped
    server = Shipped(tmp_path, pair)
    yield server.wait()
    subprocess.run(["pkill", "-TERM", "-f", f"port={server.port} "], check=False)
    server.process.wait(20)


def test_it_runs_as_nobody_on_a_root_that_cannot_be_written(isolated: Server) -> None:
    assert isolated.get("/bench").text == "1"
    assert isolated.get("/version").json()["version"] == VERSION
    assert isolated.metrics()["foobar_api_connections_open"] >= 0
    (worker, *_) = run("pgrep", "-f", f"^/mnt/python/bin/.*port={isolated.port} ").split()
    status = Path(f"/proc/{worker}/status").read_text()
    assert "Uid:\t65532\t65532\t65532\t65532" in status
    assert "CapEff:\t0000000000000000" in status
    root = next(
        line for line in Path(f"/proc/{worker}/mounts").read_text().splitlines() if " / " in line
    )
    assert root.split()[3].split(",")[0] == "ro"


# Its description


def test_the_image_runs_as_nobody_from_a_pinned_base() -> None:
    base, *stages = [line for line in CONTAINERFILE.splitlines() if line.startswith("FROM")]
    assert "@sha256:" in base
    assert base.endswith(" AS base")
    assert all(stage.split()[1] == "base" for stage in stages)
    last = CONTAINERFILE.rpartition("FROM")[2]
    assert "USER 65532:65532" in last
    assert "pip install" not in last
    assert 'ENTRYPOINT ["python", "-m", "foobar_api"]' in last


REGISTRY = """\
git:
  repository: https://git.example.org/team/fleet.git
  revision: main
acme:
  email: ops@foobar-platform.dev
clusters:
  - name: hub
    role: hub
    address: 198.51.100.1
  - name: north
    role: region
    address: 198.51.100.2
    apps: {foobar-api: {hostname: north, image: "registry.example.com/team/app:0.1.0"}}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A commit of a fleet of its own."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "clusters.yaml").write_text(REGISTRY)
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(APPS, folder / "apps")
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", *IDENTITY, "commit", "--quiet", "--message", "one", cwd=folder)
    return folder


IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def fleet_image(fact: str, checkout: Path) -> str:
    command = [sys.executable, "-m", "fleet", "image", fact]
    return run(*command, cwd=checkout, PYTHONPATH=str(ROOT)).strip()


def test_every_label_of_the_image_is_given_when_it_is_built(checkout: Path) -> None:
    said = fleet_image("arguments", checkout)
    for line in CONTAINERFILE.splitlines():
        if line.startswith("ARG "):
            assert f"--build-arg {line.removeprefix('ARG ')}=" in said


DOCKER = """#!/bin/sh
printf '%s\\n' "$@" > "$RECORD"
while [ $# -gt 0 ]; do
  if [ "$1" = --metadata-file ]; then
    printf '{\\n  "containerimage.digest": "sha256:%064d",\\n  "image.name": "x"\\n}\\n' 7 > "$2"
  fi
  shift
done
"""


def on_path(folder: Path, name: str, script: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_pushing_tells_the_digest_that_was_pushed(tmp_path: Path, checkout: Path) -> None:
    """With a docker that only notes what it is asked for."""
    path = on_path(tmp_path / "bin", "docker", DOCKER)
    output, record = tmp_path / "output", tmp_path / "record"
    run(
        "make", "image-push", cwd=checkout, PATH=path,
        GITHUB_OUTPUT=str(output), RECORD=str(record), PYTHON=sys.executable, PYTHONPATH=str(ROOT),
    )  # fmt: skip
    name = fleet_image("name", checkout)
    assert output.read_text() == f"image={name}@sha256:{7:064d}\n"
    asked = record.read_text().split("\n")
    assert asked[:2] == ["buildx", "build"]
    for option, value in [
        ("--platform", "linux/amd64,linux/arm64"),
        ("--provenance", "mode=max"),
        ("--sbom", "true"),
        ("--tag", name),
    ]:
        assert asked[asked.index(option) + 1] == value


GH = """#!/bin/sh
printf '%s\\n' "$*" >> "$RECORD"
case $* in 'pr list'*) cat "$OPEN" ;; esac
"""


def test_a_promotion_is_proposed_once_for_each_region(rendered: Path, tmp_path: Path) -> None:
    """With a real remote, and a gh that only notes what it is asked for."""
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    run("git", "clone", "--quiet", "--bare", str(ROOT), str(remote))
    run("git", "clone", "--quiet", str(remote), str(clone))
    # The working tree as it is now, which may be ahead of what is committed, on the sample fleet.
    for name in ("fleet", "charts", "foobar_api", ".github", "imports"):
        shutil.copytree(ROOT / name, clone / name, dirs_exist_ok=True)
    shutil.copy(ROOT / "main.py", clone / "main.py")
    # A second app beside it, which is not proposed.
    first = "      foobar-api:\n        hostname: newyork-cluster\n"
    text = SAMPLE.read_text("utf-8")
    assert first in text
    second = "      plain-api: {hostname: plain, image: 'registry.example.org/plain:0.1.0'}\n"
    (clone / "clusters.yaml").write_text(text.replace(first, second + first), "utf-8")
    for name, folder in (("dist", rendered), ("overlays", OVERLAYS), ("apps", APPS)):
        shutil.rmtree(clone / name, ignore_errors=True)
        shutil.copytree(folder, clone / name)
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "a"), ("EMAIL", "a@example.org"))
    }
    run(sys.executable, "main.py", cwd=clone)
    base = run("git", "branch", "--show-current", cwd=clone).strip() or "main"
    run("git", "switch", "--quiet", "-C", base, cwd=clone)
    run("git", "add", "--all", cwd=clone)
    run("git", "commit", "--quiet", "--allow-empty", "-m", "now", cwd=clone, **identity)
    run("git", "push", "--quiet", "origin", base, cwd=clone)

    (tmp_path / "open").write_text("0\n")
    settings = {
        **identity,
        "PATH": on_path(tmp_path / "bin", "gh", GH),
        "RECORD": str(tmp_path / "record"),
        "OPEN": str(tmp_path / "open"),
        "PYTHON": sys.executable,
        "BASE": base,
    }
    new = f"sjc.vultrcr.com/globalregistry/foobar-api:9.9.9-abc@sha256:{7:064d}"
    run(".github/propose.sh", "foobar-api", new, cwd=clone, **settings)
    asked = (tmp_path / "record").read_text()
    assert f"pr create --base {base} --head promote/foobar-api/us-east" in asked
    assert f"us-east: sjc.vultrcr.com/globalregistry/foobar-api:1.0.0 → {new}" in asked
    changes = run("git", "diff", "--stat", f"{base}..promote/foobar-api/us-east", cwd=remote)
    assert "clusters.yaml" in changes
    assert "us-east/foobar-api/Deployment.foobar-api.yaml" in changes
    assert "2 files changed, 2 insertions(+), 2 deletions(-)" in changes

    # Merged, the next region follows; a pull request that is open is brought up to date.
    run("git", "switch", "--quiet", base, cwd=clone)
    run("git", "merge", "--quiet", "--ff-only", "promote/foobar-api/us-east", cwd=clone)
    (tmp_path / "open").write_text("1\n")
    (tmp_path / "record").write_text("")
    run(".github/propose.sh", "foobar-api", cwd=clone, **settings)
    assert "pr create" not in (tmp_path / "record").read_text()
    assert "eu-west/foobar-api" in run(
        "git", "diff", "--stat", f"{base}..promote/foobar-api/eu-west", cwd=remote
    )

    run("git", "switch", "--quiet", base, cwd=clone)
    run("git", "merge", "--quiet", "--ff-only", "promote/foobar-api/eu-west", cwd=clone)
    assert run(".github/propose.sh", "foobar-api", cwd=clone, **settings) == "nothing to promote\n"
